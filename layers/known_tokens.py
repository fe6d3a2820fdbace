"""Embed each column known in advance as one token: its past and its future values become one vector."""

import torch
from torch import Tensor, nn


class KnownTokenEmbedding(nn.Module):
    """A linear map of a known column's L + H steps to width D, one for each of the F columns."""

    def __init__(self, columns: int, steps: int, width: int) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(steps, width) for _ in range(columns))

    def forward(self, known: Tensor) -> Tensor:
        """Map ``known`` (B, L + H, F) to tokens (B, F, D)."""
        tokens = [linear(column) for linear, column in zip(self.linears, known.unbind(-1), strict=True)]
        return torch.stack(tokens, dim=1)
