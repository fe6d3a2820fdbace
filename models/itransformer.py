"""iTransformer: attention among whole channels, each of which is one token.

Liu et al., "iTransformer: Inverted Transformers Are Effective for Time Series Forecasting", ICLR 2024,
arXiv 2310.06625, section 3. Shapes: B batch, L seq_len, H pred_len, C channels, D d_model, F calendar marks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from layers.encoder import encoder_layers, translate_encoder
from layers.instance_norm import denormalize, normalize
from models.base import Model, Output
from models.config import MARKS_HELP, EncoderConfig
from models.tensors import renamed
from utils.flags import SWITCH, flag


class iTransformer(Model):
    """Embed each channel's window as a token, encode the tokens, and map each to its future (section 3.1)."""

    @dataclass(frozen=True)
    class Config(EncoderConfig):
        """Sizes of the encoder, and whether calendar marks are tokens, too."""

        marks: int = flag(0, SWITCH, MARKS_HELP)

    def __init__(self, config: "iTransformer.Config") -> None:
        super().__init__(config)
        self.embedding = nn.Linear(config.seq_len, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = encoder_layers(config.e_layers, config.d_model, config.n_heads, config.d_ff, config.dropout)
        self.norm = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.pred_len)

    def forward(self, x: Tensor, marks: Tensor | None = None) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C); ``marks`` (B, L, F) are F more tokens, through the same map."""
        normal, statistics = normalize(x)
        series = normal if marks is None else torch.cat([normal, marks], dim=-1)
        tokens = self.dropout(self.embedding(rearrange(series, "b l c -> b c l")))  # (B, C + F, D)
        steps = self.head(self.norm(self.encoder(tokens)))[:, : x.shape[-1]]  # (B, C, H)
        return Output(denormalize(rearrange(steps, "b c h -> b h c"), statistics))

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of Time-Series-Library under our names."""
        names = {"enc_embedding.value_embedding": "embedding", "encoder.norm": "norm", "projection": "head"}
        return renamed(translate_encoder(tensors), names)
