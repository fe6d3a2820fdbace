"""PatchTST: attention among the patches of one channel.

Nie et al., "A Time Series is Worth 64 Words: Long-term Forecasting with Transformers", ICLR 2023, arXiv 2211.14730,
section 3.1, in the form of Time-Series-Library, whose figures are the published ones at 96 steps: layer norms within
the encoder layers, sine positions, no bias in the patch embedding.

Shapes: B batch, L seq_len, H pred_len, C channels, N patches, P patch_len, D d_model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from layers.encoder import encoder_layers, translate_encoder
from layers.instance_norm import denormalize, normalize
from layers.patching import count_patches, cut_patches
from layers.positions import sine_positions
from models.base import Model, Output
from models.config import PATCH_HELP, STRIDE_HELP, EncoderConfig
from models.tensors import renamed
from utils.flags import flag, whole


class PatchTST(Model):
    """Embed patches, encode those of each channel, and map them together to the channel's future."""

    @dataclass(frozen=True)
    class Config(EncoderConfig):
        """Sizes of encoder and patches."""

        takes_visible: ClassVar[bool] = True

        patch_len: int = flag(16, whole(high=100_000), PATCH_HELP)
        stride: int = flag(8, whole(high=100_000), STRIDE_HELP)

    def __init__(self, config: "PatchTST.Config") -> None:
        super().__init__(config)
        width, patches = config.d_model, count_patches(config.seq_len, config.patch_len, config.stride)
        self.embedding = nn.Linear(config.patch_len, width, bias=False)
        self.register_buffer("positions", sine_positions(patches, width), persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = encoder_layers(config.e_layers, width, config.n_heads, config.d_ff, config.dropout)
        self.norm = nn.BatchNorm1d(width)
        if config.classes:
            self.head, self.class_head = None, nn.Linear(config.channels * width * patches, config.classes)
        else:
            self.head = nn.Linear(width * patches, config.pred_len)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C), of which only what is ``visible`` (B, L, C) counts."""
        normal, statistics = normalize(x, visible)
        steps = self.head(self._encode(normal))  # (B·C, H)
        return Output(denormalize(rearrange(steps, "(b c) h -> b h c", c=x.shape[-1]), statistics))

    def features(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return the encoded patches of all channels together, (B, C·D·N); statistics are of what is visible."""
        return rearrange(self._encode(normalize(x, visible)[0]), "(b c) f -> b (c f)", b=len(x))

    def _encode(self, normal: Tensor) -> Tensor:
        """Return the encoded patches (B·C, D·N) of normalized windows (B, L, C)."""
        patches = cut_patches(normal, self.config.patch_len, self.config.stride)  # (B·C, N, P)
        tokens = self.encoder(self.dropout(self.embedding(patches) + self.positions))  # (B·C, N, D)
        features = self._norm(rearrange(tokens, "s n d -> s d n"))  # over all windows, channels and patches
        return self.dropout(rearrange(features, "s d n -> s (d n)"))

    def _norm(self, features: Tensor) -> Tensor:
        """Normalize features (B·C, D, N); a single patch, which has no deviation, by the running statistics."""
        if not self.training or features.shape[0] * features.shape[2] > 1:
            return self.norm(features)
        norm = self.norm
        return F.batch_norm(features, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of Time-Series-Library under our names, but for its table of positions."""
        names = {"patch_embedding.value_embedding": "embedding", "encoder.norm.1": "norm", "head.linear": "head"}
        state = renamed(translate_encoder(tensors), names)
        state.pop("patch_embedding.position_embedding.pe", None)
        return state
