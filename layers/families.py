"""List the families of language models that can be a backbone, and check a configuration before anything is built.

To add a family, add its row to ``FAMILIES``, by the ``model_type`` of its ``config.json``. Sizes are read under
transformers' common names (``hidden_size``, ``num_hidden_layers``, …). No other module names the parts of a family.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    BertModel,
    GPT2Model,
    LlamaModel,
    MistralModel,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Model,
    Qwen3Model,
)
from transformers.activations import ACT2FN

from utils.errors import UserError, shown_path

# transformers warns of special tokens outside a small vocabulary.
NO_SPECIAL_TOKENS: dict[str, int | None] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
ATTENTIONS = {"full_attention", "sliding_attention"}
# Kinds of rotary positions, and the numbers that each needs.
ROTARY: dict[str, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
# Keys that make another network of one.
USUAL = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute"}
MOST_BLOCKS = 1000
MOST_ROTARY = 1e30
MOST = 2**20  # of any other number: width, positions, tokens


@dataclass(frozen=True)
class Family:
    """What the program has to know of a family of language models.

    Attributes:
        model: class of transformers, without a head.
        blocks: path of the list of blocks inside the model.
        positions: path of the table of learned positions; None for a family without one (rotary positions).
        norm: name of the class of the normalization layers.
        activation: field of the configuration that names the activation function.
        lora_targets: names of the linear layers that LoRA adapts, as peft chooses them.
        first_word: number of the first token that is a word or a part of one: bytes and marks come before it.
        sizes: fields of the configuration by name of a model, for random starts that read no file.
        fan_in_fan_out: whether these linear layers store their weights as (inputs, outputs).
        causal: whether a token sees only those before it.
        options: what ``model`` takes beside its configuration.
    """

    model: type[PreTrainedModel]
    blocks: str
    positions: str | None
    norm: str
    activation: str
    lora_targets: tuple[str, ...]
    first_word: int
    sizes: Mapping[str, Mapping[str, int | None]]
    fan_in_fan_out: bool = False
    causal: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, config: PreTrainedConfig) -> PreTrainedModel:
        """Return a model with random weights from the current torch seed."""
        return self.model(config, **self.options)


def _tiny(**more: int) -> dict[str, int | None]:
    """Return the sizes of the tiny model of a family under transformers' common names."""
    sizes = {"hidden_size": 96, "num_hidden_layers": 6, "num_attention_heads": 12, "vocab_size": 512, **more}
    return {**sizes, **NO_SPECIAL_TOKENS}


def _llama_like(model: type[PreTrainedModel], norm: str, tiny: str, first_word: int, **more: int) -> Family:
    """Return the row of a causal family with rotary positions."""
    return Family(
        model=model,
        blocks="layers",
        positions=None,
        norm=norm,
        activation="hidden_act",
        lora_targets=("q_proj", "v_proj"),
        first_word=first_word,
        sizes={tiny: _tiny(intermediate_size=256, num_key_value_heads=6, **more)},
    )


FAMILIES = {
    "gpt2": Family(
        model=GPT2Model,
        blocks="h",
        positions="wpe",
        norm="LayerNorm",
        activation="activation_function",
        lora_targets=("c_attn",),
        first_word=256,
        sizes={
            "gpt2": {},
            "gpt2-medium": {"n_embd": 1024, "n_layer": 24, "n_head": 16},
            "gpt2-large": {"n_embd": 1280, "n_layer": 36, "n_head": 20},
            "gpt2-xl": {"n_embd": 1600, "n_layer": 48, "n_head": 25},
            "gpt2-tiny": _tiny(),
        },
        fan_in_fan_out=True,
    ),
    "bert": Family(
        model=BertModel,
        blocks="encoder.layer",
        positions="embeddings.position_embeddings",
        norm="LayerNorm",
        activation="hidden_act",
        lora_targets=("query", "value"),
        first_word=1996,
        sizes={"bert-tiny": _tiny(intermediate_size=384)},
        causal=False,
        options={"add_pooling_layer": False},
    ),
    "llama": _llama_like(LlamaModel, "LlamaRMSNorm", "llama-tiny", first_word=259),
    "mistral": _llama_like(MistralModel, "MistralRMSNorm", "mistral-tiny", first_word=259),
    "qwen2": _llama_like(Qwen2Model, "Qwen2RMSNorm", "qwen2-tiny", first_word=256),
    "qwen3": _llama_like(Qwen3Model, "Qwen3RMSNorm", "qwen3-tiny", first_word=256, head_dim=8),
}
TINY = tuple(name for family in FAMILIES.values() for name in family.sizes if name.endswith("-tiny"))


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
    if "rope_parameters" in settings:
        settings |= {"rope_theta", "rope_scaling"}  # where older files keep them
    given = {config_class.attribute_map.get(name, name): value for name, value in content.items()}
    if "rope_parameters" in settings:
        _check_rotary_positions(given)
    for name in sorted(settings & given.keys()):
        _check_number(name, given[name])
    for name, usual in USUAL.items():
        if content.get(name, usual) != usual:
            raise UserError(f"the backbone's {name} is {repr(content[name])[:40]}; only {usual!r} is computed here")
    try:
        with quiet_transformers():
            config = config_class(**{name: given[name] for name in given.keys() & settings})
    except (
        StrictDataclassError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # rotary positions raise the last three
        reason = shown_path((str(error).splitlines() or [type(error).__name__])[-1].strip()[:200])
        raise UserError(f"the backbone's configuration has a value that cannot be used: {reason}") from error
    for name in sorted(settings):
        _check_number(name, getattr(config, name, None))
    _check_architecture(config, FAMILIES[kind].activation)
    if not 0 <= (config.pad_token_id or 0) < config.vocab_size:
        config.pad_token_id = None  # of no use here, and transformers stops at it
    return config


def keep_blocks(config: PreTrainedConfig, count: int) -> None:
    """Let a configuration describe the first ``count`` blocks alone."""
    config.num_hidden_layers = count
    if kinds := getattr(config, "layer_types", None):
        config.layer_types = kinds[:count]


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
    if heads % (groups := getattr(config, "num_key_value_heads", heads)):
        raise UserError(f"the backbone's {heads} attention heads cannot share {groups} of keys and values")
    if (name := getattr(config, activation)) not in ACT2FN:
        raise UserError(f"the backbone's {activation} is {repr(name)[:40]}; there is no such function")
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds <= (ATTENTIONS if getattr(config, "sliding_window", None) else {"full_attention"}):
        raise UserError(f"the backbone's layer_types are {shown_path(str(sorted(kinds))[:80])}, not all full_attention")
    if hasattr(config, "rope_parameters") and (size := getattr(config, "head_dim", None) or width // heads) % 2:
        raise UserError(f"the backbone's heads have width {size}; rotary positions need an even one")


def _check_rotary_positions(given: Mapping[str, Any]) -> None:
    stated = given.get("rope_scaling") or given.get("rope_parameters") or {}
    if not isinstance(stated, Mapping):
        raise UserError(f"the backbone's rope_parameters are {repr(stated)[:40]}; they have to be named numbers")
    kind = stated.get("rope_type", stated.get("type", "default"))
    if not isinstance(kind, str) or kind not in ROTARY:
        raise UserError(f"the backbone's rope_type is {repr(kind)[:40]}; this program knows {', '.join(ROTARY)}")
    numbers = {name: value for name, value in stated.items() if name not in ("rope_type", "type")}
    theta = {"rope_theta": given["rope_theta"]} if "rope_theta" in given else {}
    numbers = theta | dict.fromkeys(ROTARY[kind]) | numbers
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_ROTARY:
            raise UserError(f"the backbone's {name} is {repr(value)[:40]}; it has to be a positive number")


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
