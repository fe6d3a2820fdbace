"""Load the first blocks of a language model: pretrained from a folder, the cache or the hub, or randomly initialized.

``layers/families.py`` lists the families of language models that can be loaded.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from layers.families import FAMILIES, NO_SPECIAL_TOKENS, Family, checked_config, quiet_transformers
from layers.hub import CONFIG, WEIGHTS, find_model, first_line
from utils.errors import UserError, shown_path
from utils.files import read_regular
from utils.fingerprint import fingerprint

Initialization = Literal["pretrained", "random"]

FUSED_ACTIVATIONS = {"gelu_new": "gelu_pytorch_tanh"}  # equal functions, the second in one kernel
MOST_BYTES = 2**24  # of a config.json


@dataclass(frozen=True)
class Stack:
    """The blocks of a language model of any family.

    Attributes:
        model: transformers' model, without token table.
    """

    model: PreTrainedModel

    @property
    def family(self) -> Family:
        return FAMILIES[self.model.config.model_type]

    @property
    def width(self) -> int:
        return self.model.config.hidden_size

    @property
    def depth(self) -> int:
        return self.model.config.num_hidden_layers

    @property
    def heads(self) -> int:
        return self.model.config.num_attention_heads

    @property
    def positions(self) -> int | None:
        """Return how many tokens the table of learned positions allows; None where there is no such table."""
        return self.model.config.max_position_embeddings if self.position_tables else None

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.get_submodule(self.family.blocks)

    @property
    def position_tables(self) -> list[nn.Module]:
        """Return the table of learned positions in a list, which is empty for a family without one."""
        return [] if self.family.positions is None else [self.model.get_submodule(self.family.positions)]

    @property
    def norms(self) -> list[nn.Module]:
        return [module for module in self.model.modules() if isinstance(module, self.family.norm)]


@dataclass(frozen=True)
class Backbone(Stack):
    """The first blocks of a language model and where they came from.

    Attributes:
        model: transformers' model of N blocks, with positions and final norm, without token table.
        token_table: (V, D), for principal word embeddings; None when it was not asked for.
        name: hub name or folder.
        init: ``pretrained`` or ``random``.
    """

    token_table: Tensor | None
    name: str
    init: Initialization

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of blocks, positions and norms; take it before they become part of a model."""
        return fingerprint(dict(self.model.named_parameters()))

    def describe(self) -> dict[str, Any]:
        """Return what to print and to store, as JSON: name, init, fingerprint and transformers' configuration.

        ``stored`` says that a checkpoint has to hold the frozen blocks too: nobody else has random ones, and the
        path of a local folder means nothing on another machine.
        """
        return {
            "name": self.name,
            "init": self.init,
            "fingerprint": self.fingerprint,
            "stored": self.init == "random" or Path(self.name).is_dir(),
            "config": plain_config(self.model),
        }


def load_backbone(llm: str, init: Initialization, layers: int, token_table: bool = True) -> Backbone:
    """Return the first blocks of a language model.

    Args:
        llm: hub name (``gpt2``) or local folder in transformers' format.
        init: ``pretrained`` weights, or ``random`` ones from the current torch seed. A random start of a known size or
            of a local folder's config.json needs no download.
        layers: how many blocks to keep.
        token_table: keep the token table (V, D) beside the blocks.

    Raises:
        UserError: weights or configuration cannot be had, are damaged, are of an unknown family, or have too few
            blocks.
    """
    config = _known_size(llm) if init == "random" else None
    config = config or _read_config(llm, init)
    if not 1 <= layers <= config.num_hidden_layers:
        most = config.num_hidden_layers
        raise UserError(f"--gpt_layers {layers}: {shown_path(llm)} has {most} blocks; choose 1 to {most}.")
    family = FAMILIES[config.model_type]
    activation = getattr(config, family.activation)
    setattr(config, family.activation, FUSED_ACTIVATIONS.get(activation, activation))
    config.use_cache = False
    model = family.model(config) if init == "random" else _read_weights(llm, config, layers)
    table = model.get_input_embeddings().weight.detach() if token_table else None
    model.set_input_embeddings(None)  # no forward pass looks a token up
    backbone = Backbone(model, table, llm, init)
    del backbone.blocks[layers:]
    model.config.num_hidden_layers = layers
    return backbone


def plain_config(model: PreTrainedModel) -> dict[str, Any]:
    """Return the configuration of a model as JSON."""
    return {key: value for key, value in model.config.to_diff_dict().items() if value is not None}


def empty_backbone(config: Mapping[str, Any]) -> PreTrainedModel:
    """Return a model of a :func:`plain_config`, without token table; its weights are yet to be filled in.

    Raises:
        UserError: the configuration is not possible.
    """
    checked = checked_config({**config, "vocab_size": 1, **NO_SPECIAL_TOKENS})
    model = FAMILIES[checked.model_type].model(checked)
    model.set_input_embeddings(None)
    return model


def check_backbone_config(config: Any) -> None:
    """Check transformers' configuration in a file that may be damaged, before anything is built from it.

    Raises:
        UserError: it is of an unknown family, or a value has the wrong type or is not possible.
    """
    checked_config(config)


def check_backbone_record(record: Any) -> None:
    """Check what a checkpoint says of its backbone (``Backbone.describe()``), before anything is built from it.

    Raises:
        UserError: a part is missing, or not possible.
    """
    if not isinstance(record, Mapping):
        raise UserError("it does not describe its backbone")
    name, init, stored = (record.get(part) for part in ("name", "init", "stored"))
    if not isinstance(name, str) or not name:
        raise UserError("the backbone has no name")
    if init not in get_args(Initialization):
        raise UserError(f"a backbone is pretrained or random, not {repr(init)[:40]}")
    if not isinstance(record.get("fingerprint"), str) or not re.fullmatch(r"[0-9a-f]{12}", record["fingerprint"]):
        raise UserError("the fingerprint of the backbone is not 12 hex digits")
    if not isinstance(stored, bool) or (init == "random" and not stored):
        raise UserError("it does not say properly whether the backbone is stored")
    check_backbone_config(record.get("config"))


def check_same(record: Mapping[str, Any], found: str) -> None:
    """Refuse another backbone than the one that a checkpoint was trained on.

    Args:
        record: what the checkpoint says of its backbone.
        found: fingerprint of the backbone on this machine.

    Raises:
        UserError: the fingerprints differ.
    """
    name, trained_on = shown_path(record["name"]), record["fingerprint"]
    if found != trained_on:
        raise UserError(
            f"it was trained on {name} with fingerprint {trained_on}; the {name} found here has {found}. Put the "
            "weights it was trained on there."
        )


def _known_size(llm: str) -> PreTrainedConfig | None:
    for family in FAMILIES.values():
        if llm in family.sizes and not Path(llm).is_dir():
            return family.model.config_class(**family.sizes[llm])
    return None


def _read_config(llm: str, init: Initialization) -> PreTrainedConfig:
    if any(llm == family.tiny for family in FAMILIES.values()) and not Path(llm).is_dir():
        raise UserError(f"--llm {llm} exists only as a random start: add --llm_init random.")
    file = find_model(llm, (CONFIG,) if init == "random" else (CONFIG, *WEIGHTS)) / CONFIG
    if not file.exists():
        raise UserError(f"--llm {shown_path(llm)}: the folder holds no {CONFIG}; it must be in transformers' format.")
    try:
        content = json.loads(read_regular(file, MOST_BYTES))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{_named(llm)} {CONFIG} is not valid JSON ({error}); get it anew.") from error
    try:
        config = checked_config(content)
    except UserError as error:
        raise UserError(f"--llm {shown_path(llm)}: {error}; see its {CONFIG}.") from error
    if init == "random" and hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        _check_size(llm, config, memory // 4, "this machine's memory")
    return config


def _check_size(llm: str, config: PreTrainedConfig, limit: int, place: str) -> None:
    """Refuse sizes that no file or memory can hold, before memory is taken for them."""
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in FAMILIES[config.model_type].model(config).parameters())
    if count > limit:
        raise UserError(
            f"{_named(llm)} {CONFIG} describes {count:,} parameters, more than {place} can hold ({limit:,}); "
            "get the model anew."
        )


def _read_weights(llm: str, config: PreTrainedConfig, layers: int) -> PreTrainedModel:
    folder = find_model(llm, (CONFIG, *WEIGHTS))
    config.num_hidden_layers = layers  # the blocks above are not even read
    if weights := [*folder.glob("*.safetensors"), *folder.glob("*.bin")]:
        _check_size(llm, config, sum(path.stat().st_size for path in weights), "its files of weights")
    try:
        with quiet_transformers():
            model, report = FAMILIES[config.model_type].model.from_pretrained(
                folder, config=config, dtype=torch.float32, attn_implementation="sdpa", output_loading_info=True
            )
    except Exception as error:  # damaged files of others can surface as anything inside transformers
        raise UserError(f"{_named(llm)} weights cannot be read ({first_line(error)}); get the model anew.") from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"{_named(llm)} weights lack {len(missing)} tensors of a {config.model_type} model, the first is "
            f"{missing[0]}; get the model anew."
        )
    return model


def _named(llm: str) -> str:
    return f"--llm {shown_path(llm)}: its"
