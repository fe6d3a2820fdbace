"""List the families of language models that can be a backbone, and check a configuration before anything is built.

To add a family, add its row to ``FAMILIES``, by the ``model_type`` of its ``config.json``. Sizes are read under
transformers' common names (``hidden_size``, ``num_hidden_layers``, …). No other module names the parts of a family.
"""

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
MOST = 2**20  # of any other number: width, positions, tokens


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
        first_word: number of the first token that is a word or a part of one: bytes and marks come before it.
        sizes: fields of the configuration by name of a model, for random starts that read no file.
        tiny: name of the size that exists only as a random start.
    """

    model: type[PreTrainedModel]
    blocks: str
    positions: str | None
    norm: type[nn.Module]
    activation: str
    lora_targets: tuple[str, ...]
    fan_in_fan_out: bool
    first_word: int
    sizes: Mapping[str, Mapping[str, int | None]]
    tiny: str


FAMILIES = {
    "gpt2": Family(
        model=GPT2Model,
        blocks="h",
        positions="wpe",
        norm=nn.LayerNorm,
        activation="activation_function",
        lora_targets=("c_attn",),
        fan_in_fan_out=True,
        first_word=256,
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
    """Return the configuration in a JSON object, without the keys that the computation does not depend on.

    Raises:
        UserError: it is of an unknown family, or a value has the wrong type or is not possible.
    """
    kind = content.get("model_type") if isinstance(content, Mapping) else None
    if not isinstance(kind, str):
        raise UserError("the backbone's configuration does not say its family (model_type)")
    if kind not in FAMILIES:
        raise UserError(f"the backbone is a {shown_path(kind[:40])} model; this program knows {', '.join(FAMILIES)}")
    config_class = FAMILIES[kind].model.config_class
    settings = {one.name for one in fields(config_class)} - {one.name for one in fields(PreTrainedConfig)}
    given = {config_class.attribute_map.get(name, name): value for name, value in content.items()}
    try:
        with quiet_transformers():
            config = config_class(**{name: given[name] for name in given.keys() & settings})
    except StrictDataclassError as error:
        reason = shown_path(str(error).splitlines()[-1].strip()[:200])
        raise UserError(f"the backbone's configuration has a value that cannot be used: {reason}") from error
    for name in sorted(settings):
        _check_number(name, getattr(config, name))
    _check_architecture(config, FAMILIES[kind].activation)
    return config


def _check_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or name.endswith("_token_id"):
        return
    probability = "drop" in name
    least, most = int(isinstance(value, int) and not probability), 1 if probability else MOST
    if not least <= value <= most:  # NaN is refused, too
        raise UserError(f"the backbone's {name} is {str(value)[:40]}; it has to be from {least} to {most:,}")


def _check_architecture(config: PreTrainedConfig, activation: str) -> None:
    width, heads, blocks = config.hidden_size, config.num_attention_heads, config.num_hidden_layers
    if blocks > MOST_BLOCKS:
        raise UserError(f"the backbone has {blocks:,} blocks, more than {MOST_BLOCKS:,}")
    if width % heads:
        raise UserError(f"the backbone's width {width} cannot be divided among {heads} attention heads")
    if (name := getattr(config, activation)) not in ACT2FN:
        raise UserError(f"the backbone's {activation} is {repr(name)[:40]}; there is no such function")


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
