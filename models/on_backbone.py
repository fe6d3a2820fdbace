"""Share what all forecasters on a language model say of it: in headers, in records and in checkpoints."""

from torch import Tensor

from models.base import Model
from models.config import BackboneConfig


class OnBackbone(Model):
    """A forecaster on the first blocks of a language model, whose description is ``origin["backbone"]``."""

    Config = BackboneConfig

    def stored_state(self) -> dict[str, Tensor]:
        """Return what was trained and the buffers, and the frozen blocks where nobody else has them."""
        return self.trained_state() | (self.frozen_state() if self.origin["backbone"]["stored"] else {})

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
