"""What a size takes, from one and two windows of it on the CPU: arithmetic, and memory before it is tried.

Both grow by the same amount with every window, so that two batches tell them for any.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from utils.benchmark.contestants import Bench, Mode, PlainBench, Size, without_fused_encoder

CPU = torch.device("cpu")
Shape = tuple[int, ...]


def _attention_flops(query: Shape, key: Shape, value: Shape, *rest: object, **options: object) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward_flops(
    gradient: Shape, query: Shape, key: Shape, value: Shape, *rest: object, **options: object
) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


# The counter knows the attention kernels of CUDA only.
CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}


@dataclass(frozen=True)
class Arithmetic:
    """FLOP of matrix products and attentions: of a training step, and of evaluating a batch.

    What recomputing activations adds is not in it.
    """

    train: int
    evaluation: int


def arithmetic(size: Size) -> Arithmetic:
    """Count what one size takes, whatever it is measured on."""
    bench = Bench(replace(size, batch_size=2), CPU)
    train = _for_batch(size.batch_size, bench, lambda: flops(bench.train_step))
    with bench.evaluating():
        return Arithmetic(train, _for_batch(size.batch_size, bench, lambda: flops(bench.evaluate)))


def training_bytes(size: Size, mode: Mode) -> int:
    """Estimate of what training takes in memory at its peak, beside what the process takes anyway."""
    bench = Bench(replace(size, batch_size=2), CPU, Mode(mode.precision))
    kept = _for_batch(size.batch_size, bench, lambda: saved_bytes(bench))
    if mode.grad_checkpoint:
        once = kept // (2 * size.gpt_layers)  # one block at a time is computed again
        bench.model.checkpoint_activations()
        kept = once + _for_batch(size.batch_size, bench, lambda: saved_bytes(bench))
    return kept + _with_moments(bench.model.parameters())


def plain_bytes(size: Size) -> int:
    """The same of the plain restatement."""
    bench = PlainBench(replace(size, batch_size=2), CPU)
    return _for_batch(size.batch_size, bench, lambda: saved_bytes(bench)) + _with_moments(bench.weights.values())


def flops(work: Callable[[], None]) -> int:
    """Arithmetic of the matrix products and attentions that ``work`` carries out."""
    # The counter does not see into the fused encoder layer.
    with without_fused_encoder(), FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
        work()
    return counter.get_total_flops()


def saved_bytes(bench: Bench) -> int:
    """What the forward pass of a training step keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # an output that is kept for its own gradient would else hold itself for ever

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        bench.training_loss()
    return sum(sizes.values())


def _with_moments(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, and for the trained ones of gradients and two moments."""
    return sum(4 * tensor.nbytes if tensor.requires_grad else tensor.nbytes for tensor in tensors)


def _for_batch(batch_size: int, bench: Bench, count: Callable[[], int]) -> int:
    """``count`` at one and at two windows, carried on to ``batch_size``."""
    x, y = bench.x, bench.y
    two = count()
    bench.x, bench.y = x[:1], y[:1]
    one = count()
    bench.x, bench.y = x, y
    return one + (batch_size - 1) * (two - one)
