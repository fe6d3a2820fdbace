"""Keep any model in a checkpoint folder, on the Hugging Face hub, and read the weights of public implementations."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor, nn

from models.checkpoint import Stored, copy_side_files, find_checkpoint, read_stored, write_checkpoint
from models.config import OF_WINDOWS, ModelConfig
from models.tensors import WEIGHTS, check_state, fill_model
from utils.errors import UserError, shown_path
from utils.flags import from_json

MODEL_CARD = """---
{{ card_data }}
---

# A forecaster of time series

`config.json` names the model, its columns, their scale and the step between rows.

```python
import models
from exp.forecaster import Forecaster

future = Forecaster.load("user/name").predict(table)  # pandas in and out, in the units of the table
model = models.load("user/name")  # the network itself, on standardized windows
```
"""


class StorableModel(
    nn.Module,
    ModelHubMixin,
    library_name="calf",
    tags=["time-series-forecasting"],
    license="apache-2.0",
    model_card_template=MODEL_CARD,
):
    """A network that a checkpoint folder can hold; ``from_pretrained`` and ``push_to_hub`` are of huggingface_hub.

    Attributes:
        origin: where its parts come from (a backbone, word embeddings), as JSON for records and checkpoints.
        stored: the checkpoint that it was loaded from; None for a model that was not loaded.
    """

    Config: ClassVar[type[ModelConfig]] = ModelConfig
    stored: Stored | None = None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.origin: dict[str, Any] = {}

    @property
    def stored_name(self) -> str:
        """Return the name by which ``models.load`` finds the class of a checkpoint's model."""
        return type(self).__name__

    @classmethod
    def build(cls, config: ModelConfig, write: bool = True) -> Self:
        """Make an untrained model from the current torch seed; ``write`` saves files that had to be made for it."""
        return cls(config)

    @classmethod
    def remake(cls, config: ModelConfig, origin: Mapping[str, Any], weights: bool = True) -> Self:
        """Make a model that is filled in from a checkpoint; raise UserError where a part of it cannot be had.

        Args:
            origin: where the parts of the checkpoint's model come from.
            weights: load those that a checkpoint only names; without them the shapes alone are of use.
        """
        return cls(config)

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained tensors, and the buffers that are part of the model."""
        trained = {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}
        kept = self.state_dict().keys()  # without buffers that follow from the sizes
        return trained | {name: buffer for name, buffer in self.named_buffers() if name in kept}

    def frozen_state(self) -> dict[str, Tensor]:
        """Return the tensors that do not train, each once."""
        return {name: p.detach() for name, p in self.named_parameters() if not p.requires_grad}

    def stored_state(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint has to hold."""
        return self.trained_state() | self.frozen_state()

    @classmethod
    def from_public(cls, sizes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Make a model with the weights of a public implementation, in evaluation mode.

        Args:
            sizes: values for the fields of ``Config`` by name; others are ignored.
            tensors: under that implementation's names; UserError where they do not fit the sizes.
        """
        known = {one.name: sizes.get(one.name, one.default) for one in fields(cls.Config)}
        known = {name: int(v) if isinstance(v, bool) else v for name, v in known.items() if v is not MISSING}
        config, state = from_json(cls.Config, known), cls.translate_public(tensors)
        origin = cls.public_origin(sizes, tensors)
        with torch.device("meta"):  # sizes that a file claims take no memory before they are compared
            check_state(cls.remake(config, origin, weights=False), state, WEIGHTS)
        model = cls.remake(config, origin, weights=False)
        fill_model(model, state, WEIGHTS)
        return model.eval()

    @classmethod
    def public_origin(cls, sizes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return ``origin`` of a model with the weights of a public implementation."""
        return {}

    @classmethod
    def translate_public(cls, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a public implementation under the names they have here."""
        return dict(tensors)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """Load a checkpoint like ``models.load``; raise UserError where it is damaged or holds another model."""
        stored = read_stored(find_checkpoint(pretrained_model_name_or_path, **options))
        if stored.name != cls.__name__:
            where, name = shown_path(stored.folder), shown_path(stored.name[:40])
            raise UserError(f"{where} holds a model {name}, not {cls.__name__}; load it by models.load.")
        return cls.from_stored(stored)

    @classmethod
    def from_stored(cls, stored: Stored, merge: bool = False) -> Self:
        """Make the model of a checkpoint, in evaluation mode; ``merge`` folds adapters into its weights.

        Raises:
            UserError: its configuration is not possible, or its tensors do not fit it.
        """
        try:
            config = from_json(cls.Config, OF_WINDOWS | stored.config)
            with torch.device("meta"):  # sizes that a file claims take no memory before they are compared
                empty = cls.remake(config, stored.origin, weights=False)
            stored.check(empty.stored_state())
            model = cls.remake(config, stored.origin)
        except UserError as error:
            raise UserError(f"{shown_path(stored.folder)} cannot be loaded: {error}") from error
        model.stored = stored
        state = model.stored_state()
        for name, values in stored.values(state):
            state[name].copy_(values)
        return model.eval()

    def start_from(self, folder: Path) -> None:
        """Take the weights of another checkpoint to go on training from.

        Raises:
            UserError: there is none, it is damaged, or it holds a model of another kind or size.
        """
        stored = read_stored(find_checkpoint(folder))
        if stored.name != type(self).__name__:
            raise UserError(
                f"--init_from {shown_path(folder)} holds a model {shown_path(stored.name[:40])}, and this run trains "
                f"{type(self).__name__}."
            )
        state = self.stored_state()
        try:
            stored.check(state)
        except UserError as error:
            raise UserError(f"--init_from: this run's model has another size or other switches: {error}") from error
        for name, values in stored.values(state):
            state[name].copy_(values)

    def save(self, folder: Path, extras: Mapping[str, Any], best: Mapping[str, Any]) -> None:
        """Write a checkpoint folder; ``extras`` is what else ``config.json`` holds, ``best`` is epoch and score."""
        described = {"name": self.stored_name, "config": asdict(self.config), "origin": self.origin}
        write_checkpoint(folder, described, self.stored_state(), extras, best)

    def _save_pretrained(self, save_directory: Path) -> None:
        extras, best = (self.stored.extras, self.stored.best) if self.stored else ({}, {})
        self.save(save_directory, extras, best)
        if self.stored:
            copy_side_files(self.stored.folder, save_directory)
