"""Dropout that does not depend on how a batch is divided among processes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class WholeBatchDropout(TorchDispatchMode):
    """Within the block dropout masks are drawn for the whole batch, and those of some rows are kept.

    All processes draw the same numbers from the same state of the generator, and each takes those of its rows, so
    that the loss is that of one process with the whole batch. It knows dropout as the CPU computes it; the fused
    kernels of CUDA draw masks of their own.

    Args:
        rows: those of this process. total: rows of the whole batch.
    """

    def __init__(self, rows: slice, total: int) -> None:
        super().__init__()
        self._rows, self._total = rows, total
        self._mask: Tensor | None = None  # the newest one, and what it is to mask
        self._masked: Tensor | None = None

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.empty_like.default:
            self._masked, self._mask = args[0], func(*args, **(kwargs or {}))
            return self._mask
        if func is not torch.ops.aten.bernoulli_.float:
            return func(*args, **(kwargs or {}))
        mask, *rest = args
        # A mask has the layout of what it masks, and numbers fill it in the order of the memory. Of a single row the
        # mask itself does not tell where its rows would lie.
        strides = (self._masked if mask is self._mask else mask).stride()
        order = sorted(range(mask.ndim), key=lambda d: (strides[d], mask.shape[d], -d), reverse=True)
        whole = torch.empty_permuted((self._total, *mask.shape[1:]), order, dtype=mask.dtype, device=mask.device)
        func(whole, *rest, **(kwargs or {}))
        return mask.copy_(whole[self._rows])
