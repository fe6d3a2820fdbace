"""Share what all forecasters on a language model say of it: in headers, in records and in checkpoints."""

from torch import Tensor
from transformers import PreTrainedModel

from layers.families import FAMILIES
from models.base import Model
from models.config import BackboneConfig


class OnBackbone(Model):
    """A forecaster on the first blocks of a language model, whose description is ``origin["backbone"]``.

    There is none where an ablation needs no language model.
    """

    Config = BackboneConfig

    def branch_inputs(self, x: Tensor, **covariates: Tensor) -> dict[str, tuple[PreTrainedModel, Tensor]]:
        """Return each language model inside, with the tokens (S, T, D) that it reads of windows ``x`` (B, L, C).

        The first one is called ``time`` and makes the forecast. ``covariates`` are what ``forward`` takes beside x.
        """
        raise NotImplementedError

    def stored_state(self) -> dict[str, Tensor]:
        """Return what was trained and the buffers, and the frozen blocks where nobody else has them."""
        stored = self.origin.get("backbone", {}).get("stored")
        return self.trained_state() | (self.frozen_state() if stored else {})

    def describe(self) -> list[str]:
        """Return the backbone in words."""
        blocks = f"{self.config.gpt_layers} blocks"
        if "backbone" in self.origin:
            family = self.origin["backbone"]["config"]["model_type"]
            blocks += f" of {family}" + ("" if FAMILIES[family].causal else ", bidirectional (no causal mask)")
        return [f"backbone: {words}, {blocks}" for words in self._backbone_in_words()]

    def origin_in_words(self) -> list[str]:
        """Return the backbone, for the line of a summary."""
        return [f"backbone {words}" for words in self._backbone_in_words()]

    def frozen_parts(self) -> dict[str, str]:
        """Return the fingerprint of the backbone."""
        return {"backbone": self.origin["backbone"]["fingerprint"]} if "backbone" in self.origin else {}

    def _backbone_in_words(self) -> list[str]:
        known = [self.origin["backbone"]] if "backbone" in self.origin else []
        return [f"{backbone['name']} ({backbone['init']}, {backbone['fingerprint']})" for backbone in known]
