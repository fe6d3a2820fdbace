"""Attention and encoder layers of the peers, and the names that public code gives to their tensors.

Shapes: B batch, T tokens, D width.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

PROJECTIONS = ("query", "key", "value")


def start_attention(attention: nn.MultiheadAttention) -> nn.MultiheadAttention:
    """Start every projection of an attention as a linear layer of its own starts, as public code does; return it."""
    width = attention.embed_dim
    for rows in range(0, 3 * width, width):
        start = nn.Linear(width, width)
        with torch.no_grad():
            attention.in_proj_weight[rows : rows + width] = start.weight
            if attention.in_proj_bias is not None:
                attention.in_proj_bias[rows : rows + width] = start.bias
    attention.out_proj.reset_parameters()
    return attention


class ResidualAttention(nn.Module):
    """One attention over the tokens with its residual and norm, without biases.

    As in the code of Tan et al. (NeurIPS 2024, arXiv 2406.16964), for PAttn and in CALF's ablation LLM2Attn.

    Raises:
        ValueError: the width cannot be shared among the 8 heads.
    """

    HEADS, DROPOUT = 8, 0.1

    def __init__(self, width: int) -> None:
        super().__init__()
        attention = nn.MultiheadAttention(width, self.HEADS, self.DROPOUT, bias=False, batch_first=True)
        self.attention = start_attention(attention)
        self.dropout = nn.Dropout(self.DROPOUT)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, T, D) to tokens (B, T, D)."""
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.norm(self.dropout(attended) + tokens)


def translate_attention(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return tensors of that code's ``basic_attn`` under the names of a :class:`ResidualAttention` called ``name``."""
    ours = {"basic_attn.fc.": f"{name}.attention.out_proj.", "basic_attn.layer_norm.": f"{name}.norm."}
    parts, state = [f"basic_attn.w_{part}s.weight" for part in "qkv"], dict(tensors)
    if all(part in state for part in parts):
        state[f"{name}.attention.in_proj_weight"] = torch.cat([state.pop(part) for part in parts])
    for theirs, own in ours.items():
        state = {tensor.replace(theirs, own): values for tensor, values in state.items()}
    return state


def encoder_layers(count: int, width: int, heads: int, hidden: int, dropout: float) -> nn.Sequential:
    """Return post-norm Transformer layers (Vaswani et al., 2017) with GELU; each maps (B, T, D) to (B, T, D)."""
    layers = [
        nn.TransformerEncoderLayer(width, heads, hidden, dropout, activation="gelu", batch_first=True)
        for _ in range(count)
    ]
    for layer in layers:
        start_attention(layer.self_attn)
    return nn.Sequential(*layers)


def translate_encoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of Time-Series-Library's ``encoder.attn_layers`` under the names of :func:`encoder_layers`.

    Query, key and value become one tensor; convolutions of width 1 become linear layers. Others stay as they are.
    """
    state = dict(tensors)
    firsts = [
        name for name in state if re.fullmatch(r"encoder\.attn_layers\.\d+\.attention\.query_projection\.\w+", name)
    ]
    for name in firsts:
        parts = [name.replace("query", part) for part in PROJECTIONS]
        if all(part in state for part in parts):
            state[name.replace("query_projection.", "in_proj_")] = torch.cat([state.pop(part) for part in parts])
    renamed = {"attention.out_projection": "self_attn.out_proj", "attention.in_proj": "self_attn.in_proj",
               "conv1": "linear1", "conv2": "linear2"}  # fmt: skip
    translated = {}
    for name, tensor in state.items():
        own = name.replace("encoder.attn_layers.", "encoder.")
        for public, ours in renamed.items():
            own = own.replace(public, ours)
        is_convolution = tensor.ndim == 3 and ".linear" in own
        translated[own] = tensor.squeeze(-1) if is_convolution else tensor
    return translated
