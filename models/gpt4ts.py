"""GPT4TS: the first blocks of GPT-2 on the patches of a channel, of which norms and positions alone are trained.

Zhou et al., "One Fits All: Power General Time Series Analysis by Pretrained LM", NeurIPS 2023, arXiv 2302.11939,
section 3. Shapes: B batch, L seq_len, H pred_len, C channels, N patches, P patch_len, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from transformers import PreTrainedModel

from layers.backbone import Backbone, Stack, load_backbone, remake_backbone
from layers.instance_norm import denormalize, normalize
from layers.patching import count_patches, cut_patches
from layers.recomputing import recompute_in_backward
from models.base import Output
from models.config import PATCH_HELP, STRIDE_HELP, BackboneConfig
from models.on_backbone import OnBackbone
from models.tensors import renamed
from utils.errors import UserError
from utils.fingerprint import fingerprint
from utils.flags import flag, whole


class GPT4TS(OnBackbone):
    """Embed patches as tokens of GPT-2, and map its states together to the channel's future (section 3).

    Args:
        backbone: the first blocks of a GPT-2 of width D, which become part of the model.

    Raises:
        UserError: there are more patches than positions, or another number of blocks than ``--gpt_layers``.
    """

    @dataclass(frozen=True)
    class Config(BackboneConfig):
        """Backbone, and sizes of the patches."""

        takes_visible: ClassVar[bool] = True

        patch_len: int = flag(16, whole(high=100_000), PATCH_HELP)
        stride: int = flag(8, whole(high=100_000), STRIDE_HELP)

    def __init__(self, config: "GPT4TS.Config", backbone: Backbone) -> None:
        super().__init__(config)
        self.origin = {"backbone": backbone.origin}
        stack, patches = Stack(backbone.model), count_patches(config.seq_len, config.patch_len, config.stride)
        if stack.depth != config.gpt_layers:
            raise UserError(f"--gpt_layers is {config.gpt_layers}, but the backbone has {stack.depth} blocks.")
        if stack.positions is not None and patches > stack.positions:
            raise UserError(
                f"{patches} patches, but the backbone has {stack.positions} positions: choose a longer --stride."
            )
        # To classify, the patches of all channels at one time are one token.
        width, together = patches * stack.width, config.channels if config.classes else 1
        self.embedding = nn.Linear(config.patch_len * together, stack.width)
        self.gpt2 = backbone.model.requires_grad_(False)
        for part in (*stack.norms, *stack.position_tables):
            part.requires_grad_(True)
        if config.classes:
            self.head, self.norm = None, nn.LayerNorm(width)
            self.class_head = nn.Linear(width, config.classes)
        else:
            self.head = nn.Linear(width, config.pred_len)

    @classmethod
    def build(cls, config: "GPT4TS.Config", write: bool = True) -> "GPT4TS":
        """Make an untrained model from the current torch seed; nothing is written."""
        return cls(config, load_backbone(config.llm, config.llm_init, config.gpt_layers))

    @classmethod
    def remake(cls, config: "GPT4TS.Config", origin: Mapping[str, Any], weights: bool = True) -> "GPT4TS":
        return cls(config, remake_backbone(origin.get("backbone"), weights))

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Output:
        """Forecast (B, H, C) windows ``x`` (B, L, C), of which only what is ``visible`` (B, L, C) counts."""
        normal, statistics = normalize(x, visible)
        steps = self.head(self._run(self._embed(normal)))  # (B·C, H)
        return Output(denormalize(rearrange(steps, "(b c) h -> b h c", c=x.shape[-1]), statistics))

    def features(self, x: Tensor, visible: Tensor) -> Tensor:
        """Return the states of all patches together, (B, N·D), normalized."""
        return self.norm(F.gelu(self._run(self._embed(x))))

    def _run(self, tokens: Tensor) -> Tensor:
        """Return the states (S, N·D) of the language model on tokens (S, N, D)."""
        states = self.gpt2(inputs_embeds=tokens, use_cache=False).last_hidden_state
        return rearrange(states, "s n d -> s (n d)")

    def branch_inputs(self, x: Tensor) -> dict[str, tuple[PreTrainedModel, Tensor]]:
        """Return the language model with the tokens (B·C, N, D) of all patches."""
        return {"time": (self.gpt2, self._embed(normalize(x)[0]))}

    def _embed(self, normal: Tensor) -> Tensor:
        """Return the tokens (B·C, N, D) of the patches of normalized windows (B, L, C); to classify (B, N, D)."""
        patches = cut_patches(normal, self.config.patch_len, self.config.stride)
        if self.config.classes:
            patches = rearrange(patches, "(b c) n p -> b n (p c)", b=len(normal))
        return self.embedding(patches)

    def recompute_activations(self) -> None:
        """Keep only the inputs of the blocks while training."""
        for block in Stack(self.gpt2).blocks:
            recompute_in_backward(block)

    @classmethod
    def public_origin(cls, sizes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """Describe the GPT-2 whose sizes and tensors lie beside those of the public model."""
        names = {"d_model": "n_embd", "gpt_layers": "n_layer", "n_heads": "n_head", "n_positions": "n_positions"}
        own = {name: tensor for name, tensor in tensors.items() if name.startswith("gpt2.")}
        config = {ours: sizes[theirs] for theirs, ours in names.items() if theirs in sizes}
        described = {"name": str(sizes.get("backbone", "gpt2")), "init": "pretrained", "fingerprint": fingerprint(own)}
        return {"backbone": {**described, "stored": True, "config": {"model_type": "gpt2", **config}}}

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of the authors' code under our names, but for the token table, which no forecast reads."""
        state = renamed(tensors, {"in_layer": "embedding", "out_layer": "head"})
        state.pop("gpt2.wte.weight", None)
        return state
