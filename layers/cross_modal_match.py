"""Cross-modal match: the series re-expressed in GPT-2's principal words (CALF, section 3.2)."""

import torch
from torch import Tensor, nn


class CrossModalMatch(nn.Module):
    """Multi-head attention from channel tokens to principal word embeddings.

    The words are the same for every sample, so the whole batch is one long row of queries
    against a single set of keys and values: they are projected once a step, not once a sample.

    Args:
        words: principal word embeddings (K, D); fixed, a buffer.
        num_heads: attention heads; D must be divisible by it.
    """

    words: Tensor

    def __init__(self, words: Tensor, num_heads: int) -> None:
        super().__init__()
        self.register_buffer("words", words.detach().to(torch.float32).contiguous())
        self.attention = nn.MultiheadAttention(words.shape[1], num_heads, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map time tokens (B, C, D) to text tokens (B, C, D)."""
        queries = tokens.reshape(1, -1, tokens.shape[-1])  # (1, B·C, D)
        words = self.words.unsqueeze(0)  # (1, K, D)
        matched, _ = self.attention(queries, words, words, need_weights=False)
        return matched.view_as(tokens)
