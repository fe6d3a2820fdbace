"""Load the first blocks of a language model: pretrained from a folder, the cache or the hub, or randomly initialized.

``layers/families.py`` lists the families of language models that can be loaded.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from layers.families import FAMILIES, NO_SPECIAL_TOKENS, TINY, Family, checked_config, keep_blocks, quiet_transformers
from layers.hub import CONFIG, WEIGHTS, find_model, first_line
from utils.errors import UserError, shown_path
from utils.files import read_json
from utils.fingerprint import fingerprint

Initialization = Literal["pretrained", "random"]

FUSED_ACTIVATIONS = {"gelu_new": "gelu_pytorch_tanh"}  # equal functions, the second in one kernel


class Stack:
    """The parts of a language model of any family (transformers' model without its token table).

    Attributes:
        positions: how many tokens the table of learned positions allows; None where there is no such table.
        position_tables: this table in a list, which is empty where there is none.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config
        self.family: Family = FAMILIES[config.model_type]
        self.width: int = config.hidden_size
        self.depth: int = config.num_hidden_layers
        self.heads: int = config.num_attention_heads
        self.blocks: nn.ModuleList = model.get_submodule(self.family.blocks)
        self.norms = [module for module in model.modules() if type(module).__name__ == self.family.norm]
        learned = self.family.positions
        self.position_tables: list[nn.Module] = [] if learned is None else [model.get_submodule(learned)]
        self.positions: int | None = None if learned is None else config.max_position_embeddings


@dataclass(frozen=True)
class Backbone:
    """The first blocks of a language model and where they came from.

    Attributes:
        model: without token table; it becomes part of the forecaster that is built on it.
        token_table: (V, D), for principal word embeddings; None where a checkpoint has its own.
        origin: what to print and to store, as JSON: ``name`` (of the hub, or a folder), ``init``, ``fingerprint`` of
            the weights, ``config``, and ``stored``, whether a checkpoint has to hold the frozen blocks too.
    """

    model: PreTrainedModel
    token_table: Tensor | None
    origin: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        token_table: Tensor | None = None,
        name: str = "unnamed",
        init: Initialization = "random",
    ) -> "Backbone":
        """Describe a model without token table, before anything is added to it."""
        origin = {
            "name": name,
            "init": init,
            "fingerprint": fingerprint(dict(model.named_parameters()) | _rotary_positions(model)),
            "stored": init == "random" or Path(name).is_dir(),  # what another machine would not find
            "config": {key: value for key, value in model.config.to_diff_dict().items() if value is not None},
        }
        return cls(model, token_table, origin)

    @property
    def width(self) -> int:
        """Return D."""
        return self.model.config.hidden_size

    @property
    def label(self) -> str:
        """Return name and initialization, in words."""
        return f"{self.origin['name']} ({self.origin['init']})"


def _rotary_positions(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return the frequencies of rotary positions, which follow from the configuration alone."""
    return {name: buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")}


def load_backbone(llm: str, init: Initialization, layers: int) -> Backbone:
    """Return the first blocks of a language model.

    Args:
        llm: hub name (``gpt2``) or local folder in transformers' format.
        init: ``pretrained`` weights, or ``random`` ones from the current torch seed; these need no weights of ``llm``.

    Raises:
        UserError: weights or configuration cannot be had, are damaged, or have too few blocks.
    """
    config = _find_config(llm, init)
    most = config.num_hidden_layers
    if not 1 <= layers <= most:
        raise UserError(f"--gpt_layers {layers}: {shown_path(llm)} has {most} blocks; choose 1 to {most}.")
    family = FAMILIES[config.model_type]
    activation = getattr(config, family.activation)
    setattr(config, family.activation, FUSED_ACTIVATIONS.get(activation, activation))
    config.use_cache = False
    model = family.make(config) if init == "random" else _read_weights(llm, config, layers)
    table = model.get_input_embeddings().weight.detach()
    model.set_input_embeddings(None)  # no forward pass looks a token up
    del Stack(model).blocks[layers:]
    keep_blocks(model.config, layers)
    return Backbone.of(model, table, llm, init)


def size_of(llm: str) -> tuple[int, int]:
    """Return width and attention heads of a language model; its weights need not be there."""
    config = _find_config(llm, "random")
    return config.hidden_size, config.num_attention_heads


def positions_of(llm: str, init: Initialization) -> int | None:
    """Return how many tokens a language model has positions for; None where that has no limit or cannot be told."""
    try:
        config = _find_config(llm, init)
    except UserError:  # building the model says why
        return None
    return config.max_position_embeddings if FAMILIES[config.model_type].positions else None


def remake_backbone(origin: Any, weights: bool) -> Backbone:
    """Return the backbone that a checkpoint describes (``Backbone.origin``), to be filled in from it.

    Args:
        weights: load those that the checkpoint does not hold; without them the shapes alone are of use.

    Raises:
        UserError: a part of the description is missing or not possible, or the weights cannot be had, or are not those
            that the model was trained on.
    """
    told = origin if isinstance(origin, Mapping) else {}
    name, init, stored, trained_on = (told.get(part) for part in ("name", "init", "stored", "fingerprint"))
    possible = {
        "name": isinstance(name, str) and name != "",
        "init": init in get_args(Initialization),
        "stored": stored is True or (stored is False and init == "pretrained"),
        "fingerprint": isinstance(trained_on, str) and re.fullmatch(r"[0-9a-f]{12}", trained_on),
    }
    if wrong := [part for part, fine in possible.items() if not fine]:
        raise UserError(f"it does not describe its backbone properly: {wrong[0]} is {repr(told.get(wrong[0]))[:40]}")
    config = checked_config(told.get("config"))
    if stored or not weights:
        config.update({"vocab_size": 1, **NO_SPECIAL_TOKENS})
        model = FAMILIES[config.model_type].make(config)
        model.set_input_embeddings(None)
        return Backbone(model, None, told)
    loaded = load_backbone(name, init, config.num_hidden_layers)
    if (found := loaded.origin["fingerprint"]) != trained_on:
        shown = shown_path(name)
        wrong = f"it was trained on {shown} with fingerprint {trained_on}; the {shown} found here has {found}"
        raise UserError(f"{wrong}. Put the weights it was trained on there.")
    return Backbone(loaded.model, None, told)


def _find_config(llm: str, init: Initialization) -> PreTrainedConfig:
    """Return the configuration of a known size, for a random start, or the one in ``config.json``."""
    for family in FAMILIES.values():
        if llm in family.sizes and not Path(llm).is_dir():
            if init == "random":
                return family.model.config_class(**family.sizes[llm])
            if llm in TINY:
                raise UserError(f"--llm {llm} exists only as a random start: add --llm_init random.")
    file = find_model(llm, (CONFIG,) if init == "random" else (CONFIG, *WEIGHTS)) / CONFIG
    shown = f"--llm {shown_path(llm)}"
    try:
        content = read_json(file)
    except FileNotFoundError as error:
        raise UserError(f"{shown}: the folder holds no {CONFIG}; it must be in transformers' format.") from error
    except ValueError as error:
        raise UserError(f"{shown}: its {CONFIG} is not valid JSON ({error}); get it anew.") from error
    try:
        config = checked_config(content)
    except UserError as error:
        raise UserError(f"{shown}: {error}; see its {CONFIG}.") from error
    if init == "random" and hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        _check_size(llm, config, memory // 4, "this machine's memory")
    return config


def _check_size(llm: str, config: PreTrainedConfig, limit: int, place: str) -> None:
    """Refuse sizes that no file or memory can hold, before memory is taken for them."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in FAMILIES[config.model_type].make(config).parameters())
    if count > limit:
        wrong = f"describes {count:,} parameters, more than {place} can hold ({limit:,})"
        raise UserError(f"--llm {shown_path(llm)}: its {CONFIG} {wrong}; get the model anew.")


def _read_weights(llm: str, config: PreTrainedConfig, layers: int) -> PreTrainedModel:
    folder, shown = find_model(llm, (CONFIG, *WEIGHTS)), f"--llm {shown_path(llm)}: its weights"
    family = FAMILIES[config.model_type]
    keep_blocks(config, layers)  # the blocks above are not even read
    if weights := [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        _check_size(llm, config, sum(path.stat().st_size for path in weights), "its files of weights")
    try:
        with quiet_transformers():
            model, report = family.model.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                attn_implementation="sdpa",
                output_loading_info=True,
                **family.options,
            )
    except Exception as error:  # damaged files of others can surface as anything inside transformers
        raise UserError(f"{shown} cannot be read ({first_line(error)}); get the model anew.") from error
    if missing := sorted(report["missing_keys"]):
        wanted = f"{len(missing)} tensors of a {config.model_type} model, the first is {missing[0]}"
        raise UserError(f"{shown} lack {wanted}; get the model anew.")
    return model
