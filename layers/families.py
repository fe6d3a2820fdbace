"""List the families of language models that can be a backbone, and check a configuration before anything is built.

A family is one row of ``FAMILIES``, by the ``model_type`` of its ``config.json``. To add a family, add its row:
transformers' class without a head, where blocks, norms and positions lie in it, what LoRA adapts, and sizes for random
starts. Sizes are read under transformers' common names (``hidden_size``, ``num_hidden_layers``,
``num_attention_heads``, ``max_position_embeddings``). No other module names the parts of a family.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import GPT2Model, PreTrainedConfig, PreTrainedModel
from transformers.activations import ACT2FN

from utils.errors import UserError, shown_path

# transformers warns of special tokens outside a small vocabulary.
NO_SPECIAL_TOKENS: dict[str, int | None] = {"bos_token_id": None, "eos_token_id": None}
MOST_BLOCKS = 1000
MOST = 2**20  # of any other size: widths, positions, tokens


@dataclass(frozen=True)
class Family:
    """What the program has to know of a family of language models.

    Attributes:
        model: class of transformers, without a head.
        blocks: path of the list of blocks inside the model.
        positions: path of the table of learned positions; None for a family without one (rotary positions).
        norm: class of the normalization layers.
        activation: field of the configuration that names the activation function.
        lora_targets: names of the linear layers that LoRA adapts.
        fan_in_fan_out: whether these layers store their weights as (inputs, outputs).
        sizes: fields of the configuration by name of a model, for random starts that read no file.
        tiny: name of the size that exists only as a random start.
        older_names: keys that older config.json files hold instead of fields of the configuration.
    """

    model: type[PreTrainedModel]
    blocks: str
    positions: str | None
    norm: type[nn.Module]
    activation: str
    lora_targets: tuple[str, ...]
    fan_in_fan_out: bool
    sizes: Mapping[str, Mapping[str, int | None]]
    tiny: str
    older_names: frozenset[str] = frozenset()

    @property
    def settings(self) -> frozenset[str]:
        """Return the names of the fields that the computation of this family depends on."""
        common = {one.name for one in fields(PreTrainedConfig)}
        return frozenset(one.name for one in fields(self.model.config_class)) - common


FAMILIES = {
    "gpt2": Family(
        model=GPT2Model,
        blocks="h",
        positions="wpe",
        norm=nn.LayerNorm,
        activation="activation_function",
        lora_targets=("c_attn",),
        fan_in_fan_out=True,
        sizes={
            "gpt2": {},
            "gpt2-medium": {"n_embd": 1024, "n_layer": 24, "n_head": 16},
            "gpt2-large": {"n_embd": 1280, "n_layer": 36, "n_head": 20},
            "gpt2-xl": {"n_embd": 1600, "n_layer": 48, "n_head": 25},
            "gpt2-tiny": {"n_embd": 96, "n_layer": 6, "n_head": 12, "vocab_size": 512, **NO_SPECIAL_TOKENS},
        },
        tiny="gpt2-tiny",
    )
}


def checked_config(content: Any) -> PreTrainedConfig:
    """Return the configuration in a JSON object, its keys that the computation does not depend on left out."""
    kind = content.get("model_type") if isinstance(content, Mapping) else None
    if not isinstance(kind, str):
        raise UserError("the backbone's configuration does not say its family (model_type)")
    if kind not in FAMILIES:
        raise UserError(f"the backbone is a {shown_path(kind[:40])} model; this program knows {', '.join(FAMILIES)}")
    family = FAMILIES[kind]
    common = family.model.config_class.attribute_map
    given = {common.get(name, name): value for name, value in content.items()}
    read = {name: given[name] for name in given.keys() & (family.settings | family.older_names)}
    try:
        with quiet_transformers():
            config = family.model.config_class(**read)
    except StrictDataclassError as error:
        reason = shown_path(str(error).splitlines()[-1].strip()[:200])
        raise UserError(f"the backbone's configuration has a value that cannot be used: {reason}") from error
    _check_values(config, family)
    return config


def _check_values(config: PreTrainedConfig, family: Family) -> None:
    for name in sorted(family.settings):
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or name.endswith("_token_id"):
            continue
        if "drop" in name:
            possible, wanted = 0 <= value < 1, "from 0 to below 1"
        elif isinstance(value, int):
            possible, wanted = 1 <= value <= MOST, f"a whole number from 1 to {MOST:,}"
        else:
            possible, wanted = math.isfinite(value) and value >= 0, "a finite number of at least 0"
        if not possible:
            raise UserError(f"the backbone's {name} is {str(value)[:40]}; it has to be {wanted}")
    width, heads, blocks = config.hidden_size, config.num_attention_heads, config.num_hidden_layers
    if blocks > MOST_BLOCKS:
        raise UserError(f"the backbone has {blocks:,} blocks, more than {MOST_BLOCKS:,}")
    if width % heads:
        raise UserError(f"the backbone's width {width} cannot be divided among {heads} attention heads")
    if (activation := getattr(config, family.activation)) not in ACT2FN:
        raise UserError(f"the backbone's {family.activation} is {repr(activation)[:40]}; there is no such function")


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence transformers' warnings and progress bars: what matters is checked and said here."""
    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()
