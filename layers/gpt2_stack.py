"""GPT-2's blocks for a forecast: plain PyTorch, since importing transformers takes longer than everything else.

Tensors have the names and the layout (in, out) that transformers gives them; the tests hold the two side by side.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.errors import UserError

_tanh_gelu = partial(F.gelu, approximate="tanh")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_new": _tanh_gelu, "gelu_pytorch_tanh": _tanh_gelu, "gelu": F.gelu,
    "relu": F.relu, "silu": F.silu, "swish": F.silu, "tanh": torch.tanh,
}  # fmt: skip


class _Linear(nn.Module):
    """x (…, in) to (…, out), its weight (in, out)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.T, self.bias)


class _Positions(nn.Module):
    """As ``nn.Embedding``, whose random start would import half of PyTorch's compiler on the meta device."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, width))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, scale: float) -> None:
        super().__init__()
        self.c_attn = _Linear(width, 3 * width)
        self.c_proj = _Linear(width, width)
        self._heads, self._scale = heads, scale

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        split = self.c_attn(x).view(batch, tokens, 3, self._heads, width // self._heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (B, heads, C, D / heads) each
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=self._scale)
        return self.c_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.c_fc = _Linear(width, inner)
        self.c_proj = _Linear(inner, width)
        self._activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self._activation(self.c_fc(x)))


class _Block(nn.Module):
    def __init__(self, width: int, inner: int, epsilon: float, attention: _Attention, activation: Any) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, epsilon)
        self.attn = attention
        self.ln_2 = nn.LayerNorm(width, epsilon)
        self.mlp = _FeedForward(width, inner, activation)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2Stack(nn.Module):
    """N blocks of a GPT-2 with positions and final layer norm, without token table and dropout.

    Args:
        config: of transformers' ``GPT2Config``, as JSON; what is missing has GPT-2's own value.

    Raises:
        UserError: a size is impossible, or the activation is unknown.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, heads = config.get("n_embd", 768), config.get("n_head", 12)
        sizes = {"n_embd": width, "n_head": heads, "n_layer": config.get("n_layer", 12)}
        sizes |= {"n_positions": config.get("n_positions", 1024), "n_inner": config.get("n_inner") or 4 * width}
        for name, size in sizes.items():
            if type(size) is not int or size < 1:
                raise UserError(f"a GPT-2 with {name} {size!r} cannot be.")
        if width % heads:
            raise UserError(f"a GPT-2 of width {width} cannot have {heads} attention heads.")
        activation = config.get("activation_function", "gelu_new")
        if activation not in ACTIVATIONS:
            raise UserError(f"the GPT-2's activation is {activation}; known are {', '.join(ACTIVATIONS)}.")
        epsilon = config.get("layer_norm_epsilon", 1e-5)
        self.wpe = _Positions(sizes["n_positions"], width)
        scale = (width // heads) ** -0.5 if config.get("scale_attn_weights", True) else 1.0
        by_layer = config.get("scale_attn_by_inverse_layer_idx", False)
        self.h = nn.ModuleList(
            _Block(
                width,
                sizes["n_inner"],
                epsilon,
                _Attention(width, heads, scale / (layer + 1) if by_layer else scale),
                ACTIVATIONS[activation],
            )
            for layer in range(sizes["n_layer"])
        )
        self.ln_f = nn.LayerNorm(width, epsilon)

    def forward(self, tokens: Tensor) -> Tensor:
        """Final state (B, C, D) of ``tokens`` (B, C, D)."""
        state = tokens + self.wpe.weight[: tokens.shape[1]]
        for block in self.h:
            state = block(state)
        return self.ln_f(state)
