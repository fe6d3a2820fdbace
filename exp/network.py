"""The network of a run: new, from a backbone and word embeddings, or out of a checkpoint."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import models
from exp.config import RunConfig
from layers.backbone import Backbone, load_backbone
from layers.word_embeddings import (
    DEFAULT_COMPONENTS,
    WordEmbeddings,
    load_word_embeddings,
    principal_words,
    save_word_embeddings,
)
from models import CALF, CALFConfig
from models.stored import load_model
from utils.checkpoint import CONFIG
from utils.errors import UserError
from utils.fingerprint import fingerprint

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A model and where its parts come from.

    Attributes:
        backbone: ``Backbone.describe()``. words: origin of the word embeddings, for the records.
    """

    model: CALF
    backbone: dict[str, Any]
    words: dict[str, Any]

    @property
    def backbone_name(self) -> str:
        return f"{self.backbone['name']} ({self.backbone['init']}, {self.backbone['fingerprint']})"

    @property
    def words_name(self) -> str:
        return f"{self.words.get('file')}, of {self.words.get('llm') or 'a backbone it does not name'}"


def new_network(config: RunConfig, channels: int, write: bool = True) -> Network:
    """Build an untrained network from the current torch seed.

    Args:
        write: save word embeddings that had to be made; without it they are neither made nor saved.

    Raises:
        UserError: the backbone or the word embeddings cannot be had, or do not fit.
    """
    backbone = load_backbone(config.llm, config.llm_init, config.gpt_layers)
    token_fingerprint = fingerprint({"wte": backbone.token_table})
    path = word_embedding_path(config, backbone, token_fingerprint)
    sizes = CALFConfig(config.data.seq_len, config.data.pred_len, channels, config.lora, config.task_name)
    described = backbone.describe()
    make = not path.exists()
    if make:
        words = _make_words(backbone, token_fingerprint, path, pretend=not write)
    else:
        words = load_word_embeddings(path)
        _check_origin(words, backbone, token_fingerprint, path)
    model = getattr(models, config.model)(sizes, backbone.gpt2, words.words)
    if make and write:
        save_word_embeddings(path, words)
        logger.info("word embeddings saved to %s", path)
    origin = {"file": str(path), "llm": words.llm, "token_fingerprint": words.token_fingerprint}
    return Network(model, described, origin)


def stored_network(folder: Path) -> tuple[Network, dict[str, Any]]:
    """The network in a checkpoint folder, and what was saved beside it.

    Raises:
        UserError: the folder is incomplete, damaged or does not fit together.
    """
    stored = load_model(folder)
    for part in ("data", "word_embeddings", "best"):
        if not isinstance(stored.extras.get(part), dict):
            raise UserError(
                f"{folder / CONFIG} is damaged: it has no proper {part!r}. Train anew or restore the folder."
            )
    return Network(stored.model, stored.backbone, stored.extras["word_embeddings"]), stored.extras


def word_embedding_path(config: RunConfig, backbone: Backbone, token_fingerprint: str) -> Path:
    """The file the flag names; else one per token table, so that those of different backbones never meet."""
    if config.word_embedding_path:
        return Path(config.word_embedding_path)
    name = f"wte_pca_{min(DEFAULT_COMPONENTS, *backbone.token_table.shape)}"
    if config.llm == "gpt2" and config.llm_init == "pretrained":
        return Path(f"{name}.pt")
    return Path(f"{name}_{re.sub(r'[^A-Za-z0-9.-]+', '-', Path(config.llm).name)}_{token_fingerprint}.pt")


def _make_words(backbone: Backbone, token_fingerprint: str, path: Path, pretend: bool) -> WordEmbeddings:
    vocabulary, width = backbone.token_table.shape
    components = min(DEFAULT_COMPONENTS, vocabulary, width)
    if pretend:
        logger.info("word embeddings: %s is missing and would be made from the token table", path)
        return WordEmbeddings(torch.zeros(components, width), backbone.name, token_fingerprint)
    logger.info("word embeddings: %s is missing; making it from the token table of %s", path, backbone.name)
    words = principal_words(backbone.token_table, components)
    return WordEmbeddings(words, f"{backbone.name} ({backbone.init})", token_fingerprint)


def _check_origin(words: WordEmbeddings, backbone: Backbone, token_fingerprint: str, path: Path) -> None:
    if words.words.shape[1] != backbone.width:
        raise UserError(
            f"{path} has word embeddings of width {words.words.shape[1]}, the backbone {backbone.name} has width "
            f"{backbone.width}. Leave --word_embedding_path out to make a fitting file."
        )
    if words.token_fingerprint not in (None, token_fingerprint):
        raise UserError(
            f"{path} was made from the token table of {words.llm}, {words.token_fingerprint}; "
            f"this run's backbone is {backbone.name} ({backbone.init}), {token_fingerprint}. Leave "
            "--word_embedding_path out to make a fitting file, or, to mix them on purpose, give a bare array (.npy)."
        )
