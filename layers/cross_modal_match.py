"""Express time tokens in the principal words of a language model (CALF, section 3.2).

Shapes: B batch, C channels, D width, K principal words.
"""

import torch
from torch import Tensor, nn


class CrossModalMatch(nn.Module):
    """Multi-head attention from channel tokens to word embeddings (K, D), which do not train unless ``learned``.

    The whole batch is one long row of queries, so that keys and values are projected once per step, not per sample.
    """

    words: Tensor

    def __init__(self, words: Tensor, num_heads: int, learned: bool = False) -> None:
        super().__init__()
        words = words.detach().to(torch.float32).contiguous()
        if learned:
            self.words = nn.Parameter(words)
        else:
            self.register_buffer("words", words)
        self.attention = nn.MultiheadAttention(words.shape[1], num_heads, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map time tokens (B, C, D) to text tokens (B, C, D)."""
        return self._attend(tokens, need_weights=False)[0].view_as(tokens)

    def weights(self, tokens: Tensor) -> Tensor:
        """Return how much each time token (B, C, D) attends to each word: (B, C, K), the mean of the heads."""
        return self._attend(tokens, need_weights=True)[1].view(*tokens.shape[:2], -1)

    def _attend(self, tokens: Tensor, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        queries = tokens.reshape(1, -1, tokens.shape[-1])  # (1, B·C, D)
        words = self.words.unsqueeze(0)  # (1, K, D)
        return self.attention(queries, words, words, need_weights=need_weights)
