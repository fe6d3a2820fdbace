"""PAttn: one attention among the patches of a channel, and no language model.

Tan et al., "Are Language Models Actually Useful for Time Series Forecasting?", NeurIPS 2024, arXiv 2406.16964, as the
authors' code has it: patches overlap by half, 8 heads, no feed-forward part.

Shapes: B batch, L seq_len, H pred_len, C channels, N patches, P patch_len, D d_model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from einops import rearrange
from torch import Tensor, nn

from layers.encoder import ResidualAttention, translate_attention
from layers.instance_norm import denormalize, normalize
from layers.patching import count_patches, cut_patches
from models.base import Model, Output
from models.config import PATCH_HELP, ModelConfig, check_heads
from models.tensors import renamed
from utils.flags import flag, whole


class PAttn(Model):
    """Embed patches, let those of a channel attend to each other once, and map them to the channel's future."""

    @dataclass(frozen=True)
    class Config(ModelConfig):
        """Sizes of tokens and patches."""

        takes_visible: ClassVar[bool] = True

        d_model: int = flag(768, whole(high=100_000), "width of the tokens")
        patch_len: int = flag(16, whole(2, high=100_000), PATCH_HELP)

    def __init__(self, config: "PAttn.Config") -> None:
        super().__init__(config)
        check_heads(config.d_model, ResidualAttention.HEADS)
        width, self.stride = config.d_model, config.patch_len // 2
        self.embedding = nn.Linear(config.patch_len, width)
        self.attention = ResidualAttention(width)
        features = width * count_patches(config.seq_len, config.patch_len, self.stride)
        if config.classes:
            self.head, self.class_head = None, nn.Linear(config.channels * features, config.classes)
        else:
            self.head = nn.Linear(features, config.pred_len)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C), of which only what is ``visible`` (B, L, C) counts."""
        normal, statistics = normalize(x, visible)
        steps = self.head(self._attend(normal))  # (B·C, H)
        return Output(denormalize(rearrange(steps, "(b c) h -> b h c", c=x.shape[-1]), statistics))

    def features(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return the patches of all channels after attention, (B, C·N·D); statistics are of what is visible."""
        return rearrange(self._attend(normalize(x, visible)[0]), "(b c) f -> b (c f)", b=len(x))

    def _attend(self, normal: Tensor) -> Tensor:
        """Return the patches (B·C, N·D) of normalized windows (B, L, C) after attention."""
        tokens = self.embedding(cut_patches(normal, self.config.patch_len, self.stride))  # (B·C, N, D)
        return rearrange(self.attention(tokens), "s n d -> s (n d)")

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of the authors' code under our names."""
        return translate_attention(renamed(tensors, {"in_layer": "embedding", "out_layer": "head"}), "attention")
