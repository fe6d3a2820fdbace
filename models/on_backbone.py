"""Share what all forecasters on a language model say of it: in headers, in records and in checkpoints."""

from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor
from transformers import PreTrainedModel

from layers.backbone import check_backbone_record, check_same, empty_backbone, load_backbone
from models.base import Model
from models.config import BackboneConfig


class OnBackbone(Model):
    """A forecaster on the first blocks of a language model, whose description is ``origin["backbone"]``."""

    Config = BackboneConfig

    @classmethod
    def on(cls, config: BackboneConfig, backbone: PreTrainedModel, origin: Mapping[str, Any]) -> Self:
        """Make a model on a backbone; ``origin`` describes its parts, and sizes follow from it."""
        return cls(config, backbone)

    @classmethod
    def empty(cls, config: BackboneConfig, origin: Mapping[str, Any]) -> Self:
        check_backbone_record(origin.get("backbone"))
        return cls.on(config, empty_backbone(origin["backbone"]["config"]), origin)

    @classmethod
    def restore(cls, config: BackboneConfig, origin: Mapping[str, Any]) -> Self:
        """Load the backbone that a checkpoint only names; raise UserError if it is not the one trained on."""
        backbone = origin["backbone"]
        if backbone["stored"]:
            return cls.empty(config, origin)
        loaded = load_backbone(backbone["name"], "pretrained", config.gpt_layers, token_table=False)
        check_same(backbone, loaded.fingerprint)
        return cls.on(config, loaded.model, origin)

    def stored_state(self) -> dict[str, Tensor]:
        """Return what was trained and the buffers, and the frozen blocks where nobody else has them."""
        whole = not self.origin or self.origin["backbone"]["stored"]
        return self.trained_state() | (self.frozen_state() if whole else {})

    def describe(self) -> list[str]:
        """Return the backbone in words."""
        return [f"backbone: {self._backbone_in_words()}, {self.config.gpt_layers} blocks"]

    def origin_in_words(self) -> list[str]:
        """Return the backbone, for the line of a summary."""
        return [f"backbone {self._backbone_in_words()}"]

    def frozen_parts(self) -> dict[str, str]:
        """Return the fingerprint of the backbone."""
        return {"backbone": self.origin["backbone"]["fingerprint"]}

    def _backbone_in_words(self) -> str:
        backbone = self.origin["backbone"]
        return f"{backbone['name']} ({backbone['init']}, {backbone['fingerprint']})"
