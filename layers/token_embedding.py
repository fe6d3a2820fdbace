"""Embed each channel as one token: its whole look-back window becomes one vector."""

import torch
from torch import Tensor, nn

FEEDFORWARD_WIDTH = 2048
DROPOUT = 0.1


class ChannelTokenEmbedding(nn.Module):
    """Linear map of a channel's L steps to width D, then one post-norm Transformer encoder layer over the channels.

    Feed-forward width, ReLU and dropout are those of the released code.
    """

    def __init__(self, seq_len: int, width: int, num_heads: int) -> None:
        super().__init__()
        self.linear = nn.Linear(seq_len, width)
        self.encoder = nn.TransformerEncoderLayer(
            width, num_heads, dim_feedforward=FEEDFORWARD_WIDTH, dropout=DROPOUT, batch_first=True
        )

    def forward(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """Map windows (B, L, C) to tokens (B, C, D), which see tokens ``before`` (B, F, D) and come after them."""
        tokens = self.linear(x.transpose(1, 2))
        return self.encoder(tokens if before is None else torch.cat([before, tokens], dim=1))
