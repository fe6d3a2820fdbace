"""The backbone: the first blocks of a GPT-2, from a folder, the cache or the hub, or randomly initialised."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch import Tensor
from transformers import AutoConfig, GPT2Config, GPT2Model

from layers.hub import CONFIG, WEIGHTS, find_gpt2, first_line
from utils.errors import UserError
from utils.fingerprint import fingerprint

Initialisation = Literal["pretrained", "random"]

# transformers warns of special tokens outside a small vocabulary.
NO_SPECIAL_TOKENS: dict[str, None] = {"bos_token_id": None, "eos_token_id": None}

# Sizes a random start can take without reading anything. gpt2-tiny exists only as a random start.
KNOWN_SIZES: dict[str, dict[str, int | None]] = {
    "gpt2": {},
    "gpt2-medium": {"n_embd": 1024, "n_layer": 24, "n_head": 16},
    "gpt2-large": {"n_embd": 1280, "n_layer": 36, "n_head": 20},
    "gpt2-xl": {"n_embd": 1600, "n_layer": 48, "n_head": 25},
    "gpt2-tiny": {"n_embd": 96, "n_layer": 6, "n_head": 12, "vocab_size": 512, **NO_SPECIAL_TOKENS},
}


@dataclass(frozen=True)
class Backbone:
    """The first blocks of a GPT-2 and where they came from.

    Attributes:
        gpt2: N blocks, positions and final layer norm; the token table is not part of it.
        token_table: (V, D), for principal word embeddings; None when it was not asked for.
        name: hub name or folder. init: ``pretrained`` or ``random``.
    """

    gpt2: GPT2Model
    token_table: Tensor | None
    name: str
    init: Initialisation

    @property
    def width(self) -> int:
        return self.gpt2.config.n_embd

    @property
    def fingerprint(self) -> str:
        """Fingerprint of blocks, positions and norms; take it before they become part of a model."""
        return fingerprint(dict(self.gpt2.named_parameters()))

    def describe(self) -> dict[str, Any]:
        """What to print and to store: name, init, fingerprint and transformers' configuration.

        ``stored`` says that a checkpoint has to hold the frozen blocks too: nobody else has random ones, and the
        path of a local folder means nothing on another machine.
        """
        return {
            "name": self.name,
            "init": self.init,
            "fingerprint": self.fingerprint,
            "stored": self.init == "random" or Path(self.name).is_dir(),
            "config": plain_config(self.gpt2),
        }


def load_backbone(llm: str, init: Initialisation, layers: int, token_table: bool = True) -> Backbone:
    """Get the first ``layers`` blocks of a GPT-2.

    Args:
        llm: hub name (``gpt2``) or local folder in transformers' format.
        init: ``pretrained`` weights, or ``random`` ones from the current torch seed. A random start
            of a known size or of a local folder's config.json needs no download.
        layers: how many blocks to keep.
        token_table: keep the token table (V, D) beside the blocks.

    Raises:
        UserError: weights or config cannot be had, are damaged, are no GPT-2, or have too few blocks.
    """
    config = _read_config(llm, init)
    if not 1 <= layers <= config.n_layer:
        raise UserError(f"--gpt_layers {layers}: {llm} has {config.n_layer} blocks; choose 1 to {config.n_layer}.")
    if config.activation_function == "gelu_new":
        config.activation_function = "gelu_pytorch_tanh"  # the same function in one fused kernel
    config.use_cache = False
    gpt2 = _random_weights(llm, config) if init == "random" else _read_weights(llm, config, layers)
    gpt2.h = gpt2.h[:layers]
    gpt2.config.n_layer = layers
    table = gpt2.wte.weight.detach() if token_table else None
    gpt2.wte = None  # no forward pass looks a token up
    return Backbone(gpt2, table, llm, init)


def plain_config(gpt2: GPT2Model) -> dict[str, Any]:
    """The part of a GPT-2's configuration that its computation depends on, as JSON."""
    config = gpt2.config.to_diff_dict()
    kept = {key: value for key, value in config.items() if isinstance(value, str | int | float | bool)}
    return {**kept, "n_layer": gpt2.config.n_layer}


def empty_backbone(config: dict[str, object]) -> GPT2Model:
    """A GPT-2 stack of the given transformers config, without token table, its weights yet to be filled in."""
    gpt2 = GPT2Model(GPT2Config(**{**config, "vocab_size": 1, **NO_SPECIAL_TOKENS}))
    gpt2.wte = None
    return gpt2


def _read_config(llm: str, init: Initialisation) -> GPT2Config:
    if init == "random" and llm in KNOWN_SIZES and not Path(llm).is_dir():
        return GPT2Config(**KNOWN_SIZES[llm])
    if llm == "gpt2-tiny":
        raise UserError("--llm gpt2-tiny exists only as a random start: add --llm_init random.")
    folder = find_gpt2(llm, (CONFIG,) if init == "random" else (CONFIG, *WEIGHTS))
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"--llm {llm}: the folder holds no {CONFIG}; it must be in transformers' format.")
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"--llm {llm}: {file} is not valid JSON ({error}); get it anew.") from error
    try:
        with _quiet_transformers():
            # Without a definite no, transformers asks at the prompt whether to run code from the folder.
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # damage can surface as anything inside transformers
        raise UserError(_damaged(llm, error)) from error
    if not isinstance(config, GPT2Config):
        raise UserError(f"--llm {llm} is a {config.model_type} model; CALF needs a GPT-2 (gpt2, gpt2-medium, …).")
    return config


def _random_weights(llm: str, config: GPT2Config) -> GPT2Model:
    try:
        return GPT2Model(config)
    except Exception as error:  # sizes that contradict each other
        raise UserError(_damaged(llm, error)) from error


def _read_weights(llm: str, config: GPT2Config, layers: int) -> GPT2Model:
    folder = find_gpt2(llm, (CONFIG, *WEIGHTS))
    config.n_layer = layers  # the blocks above are not even read
    try:
        with _quiet_transformers():
            gpt2, report = GPT2Model.from_pretrained(
                folder, config=config, dtype=torch.float32, attn_implementation="sdpa", output_loading_info=True
            )
    except Exception as error:  # as above
        raise UserError(_damaged(llm, error)) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"--llm {llm}: its weights lack {len(missing)} tensors of a GPT-2, the first is {missing[0]}; "
            "get the model anew."
        )
    return gpt2


def _damaged(llm: str, error: Exception) -> str:
    return f"--llm {llm}: cannot read the model in this folder ({first_line(error)}); get it anew."


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence the report on unused blocks and the progress bars: what matters is checked and said by us."""
    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()


def check_backbone_record(backbone):
    pass


def check_same(backbone, found):
    name, trained_on = backbone["name"], backbone["fingerprint"]
    if found != trained_on:
        raise UserError(
            f"it was trained on {name} with fingerprint {trained_on}; the {name} found here has {found}. Put the same weights there."
        )
