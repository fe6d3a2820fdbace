"""iTransformer: attention among whole channels, each of which is one token.

Liu et al., "iTransformer: Inverted Transformers Are Effective for Time Series Forecasting", ICLR 2024,
arXiv 2310.06625, section 3. Shapes: B batch, L seq_len, H pred_len, C channels, D d_model, F known columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from layers.encoder import encoder_layers, translate_encoder
from layers.instance_norm import denormalize, normalize
from layers.known_tokens import KnownTokenEmbedding
from models.base import Model, Output
from models.config import MARKS_HELP, EncoderConfig
from models.tensors import renamed
from utils.flags import SWITCH, flag


class iTransformer(Model):
    """Embed each channel's window as a token, encode the tokens, and map each to its future (section 3.1)."""

    @dataclass(frozen=True)
    class Config(EncoderConfig):
        """Sizes of the encoder, and whether calendar marks are tokens, too."""

        takes_known: ClassVar[bool] = True
        takes_visible: ClassVar[bool] = True

        marks: int = flag(0, SWITCH, MARKS_HELP)

    def __init__(self, config: "iTransformer.Config") -> None:
        super().__init__(config)
        steps = config.seq_len + config.pred_len
        self.embedding = nn.Linear(config.seq_len, config.d_model)
        self.known_embedding = KnownTokenEmbedding(config.known, steps, config.d_model) if config.known else None
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = encoder_layers(config.e_layers, config.d_model, config.n_heads, config.d_ff, config.dropout)
        self.norm = nn.LayerNorm(config.d_model)
        if config.classes:
            self.head, self.class_head = None, nn.Linear(config.channels * config.d_model, config.classes)
        else:
            self.head = nn.Linear(config.d_model, config.pred_len)

    def forward(
        self, x: Tensor, marks: Tensor | None = None, known: Tensor | None = None, visible: Tensor | None = None
    ) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C), of which only what is ``visible`` (B, L, C) counts.

        ``marks`` (B, L, 4) are 4 more tokens, through the same map; ``known`` (B, L + H, F) are F more, through maps of
        their own.
        """
        normal, statistics = normalize(x, visible)
        steps = self.head(self._encode(normal, marks, known))[:, : x.shape[-1]]  # (B, C, H)
        return Output(denormalize(rearrange(steps, "b c h -> b h c"), statistics))

    def features(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return the encoded tokens of all channels together, (B, C·D)."""
        return self.dropout(F.gelu(self._encode(x))).flatten(1)

    def _encode(self, normal: Tensor, marks: Tensor | None = None, known: Tensor | None = None) -> Tensor:
        """Return the encoded tokens (B, C, D) of windows (B, L, C), and after them those of marks and known columns."""
        series = normal if marks is None else torch.cat([normal, marks], dim=-1)
        tokens = self.embedding(rearrange(series, "b l c -> b c l"))  # (B, C or C + 4, D)
        if known is not None:
            tokens = torch.cat([tokens, self.known_embedding(known)], dim=1)
        return self.norm(self.encoder(self.dropout(tokens)))

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of Time-Series-Library under our names."""
        names = {"enc_embedding.value_embedding": "embedding", "encoder.norm": "norm", "projection": "head"}
        return renamed(translate_encoder(tensors), names)
