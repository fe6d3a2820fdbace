"""The network of a run: new, from a backbone and word embeddings, or out of a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models
from exp.config import RunConfig
from layers.backbone import load_backbone
from layers.word_embeddings import choose_word_embeddings
from models import CALF, CALFConfig
from models.stored import load_model
from utils.checkpoint import CONFIG
from utils.errors import UserError


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
    sizes = CALFConfig(config.data.seq_len, config.data.pred_len, channels, config.lora, config.task_name)
    described = backbone.describe()
    words = choose_word_embeddings(config.word_embedding_path, backbone, write)
    model = getattr(models, config.model)(sizes, backbone.model, words.words)
    words.save_if_made()
    return Network(model, described, words.origin)


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
