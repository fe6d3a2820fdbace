"""CALF: two branches over one language model, a time branch that forecasts and a text branch that guides it.

Liu et al., "CALF: Aligning LLMs for Time Series Forecasting via Cross-modal Fine-Tuning", AAAI 2025,
arXiv 2403.07300. Here are its flags, the parts it is built from and its checkpoints; ``calf_network`` has the maths.
Shapes: D width, K principal words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from layers.backbone import Stack, check_backbone_record, check_same, empty_backbone, load_backbone, plain_config
from layers.lora import empty_adapters, merge_adapters
from layers.word_embeddings import choose_word_embeddings, load_word_embeddings
from models.base import Model
from models.calf_network import CALFNetwork, CALFOutput
from models.calf_release import lora_rank, read_release
from models.checkpoint import Stored
from models.config import FEATURE_LOSSES, FORECAST_LOSSES, LOSS_HELP
from models.tensors import check_state, fill_model
from utils.errors import UserError, shown_path
from utils.fingerprint import fingerprint
from utils.flags import FILE, MODEL_NAME, SHARE, SWITCH, WEIGHT, NonZero, choice, flag, from_json, whole

__all__ = ["CALF", "CALFOutput"]

RELEASED_TASKS = ("long_term_forecast", "short_term_forecast")


class CALF(CALFNetwork):
    """CALF with its flags, the parts it is built from, and its checkpoints."""

    @dataclass(frozen=True)
    class Config(Model.Config):
        """Sizes, backbone, adapters and the three losses."""

        llm: str = flag("gpt2", MODEL_NAME, "the GPT-2: a hub name or a local folder; gpt2-tiny for trials")
        llm_init: str = flag("pretrained", choice("pretrained", "random"), "pretrained weights, or random ones")
        gpt_layers: int = flag(6, whole(high=1000), "blocks of it to use", aliases=("gpt_layer",))
        word_embedding_path: str | None = flag(None, FILE, "principal word embeddings (pca.py); made when missing")
        lora: int = flag(1, SWITCH, "1 adds LoRA to the time branch; 0 leaves it out")
        r: int = flag(8, whole(high=10_000), "LoRA rank", needs={"lora": (1,)})
        lora_alpha: int = flag(32, whole(high=1_000_000), "LoRA scale times rank", needs={"lora": (1,)})
        lora_dropout: float = flag(0.1, SHARE, "dropout on LoRA's input", needs={"lora": (1,)})
        task_loss: str = flag("l1", choice(*FORECAST_LOSSES), LOSS_HELP, training=True)
        output_loss: str = flag(
            "l1",
            choice(*FORECAST_LOSSES),
            "both branches' forecasts, likewise",
            needs={"output_w": NonZero()},
            training=True,
        )
        feature_loss: str = flag(
            "l1",
            choice(*FEATURE_LOSSES),
            "of features: l1, smooth_l1, mse",
            needs={"feature_w": NonZero()},
            training=True,
        )
        task_w: float = flag(1.0, WEIGHT, "weight of the task loss", training=True)
        output_w: float = flag(1.0, WEIGHT, "weight of the output loss", training=True)
        feature_w: float = flag(0.01, WEIGHT, "weight of the feature loss", training=True)

        def __post_init__(self) -> None:
            super().__post_init__()
            if not (self.task_w or self.output_w or self.feature_w):
                raise UserError("--task_w, --output_w and --feature_w are all 0: nothing is left to train on.")

        @property
        def slug(self) -> str:
            return f"{Path(self.llm).name}-{self.llm_init}{self.gpt_layers}"

    @classmethod
    def build(cls, config: "CALF.Config", write: bool = True) -> "CALF":
        """Make an untrained CALF from the current torch seed; ``write`` makes and saves word embeddings if missing."""
        backbone = load_backbone(config.llm, config.llm_init, config.gpt_layers)
        described = backbone.describe()  # before the adapters change it
        words = choose_word_embeddings(config.word_embedding_path, backbone, write)
        model = cls(config, backbone.model, words.words)
        words.save_if_made()
        model.origin = {"backbone": described, "word_embeddings": words.origin}
        return model

    @classmethod
    def empty(cls, config: "CALF.Config", origin: Mapping[str, Any]) -> "CALF":
        check_backbone_record(origin.get("backbone"))
        words = origin.get("word_embeddings")
        if not isinstance(words, dict) or not whole().fits(words.get("count")):
            raise UserError("it does not say how many word embeddings it has")
        if not all(isinstance(value, str | None) for name, value in words.items() if name != "count"):
            raise UserError("it does not say properly where its word embeddings come from")
        gpt2 = empty_backbone(origin["backbone"]["config"])
        return cls(config, gpt2, torch.zeros(words["count"], Stack(gpt2).width))

    @classmethod
    def restore(cls, config: "CALF.Config", origin: Mapping[str, Any]) -> "CALF":
        """Load the backbone that a checkpoint only names; raise UserError if it is not the one trained on."""
        backbone = origin["backbone"]
        if backbone["stored"]:
            return cls.empty(config, origin)
        loaded = load_backbone(backbone["name"], "pretrained", config.gpt_layers, token_table=False)
        check_same(backbone, loaded.fingerprint)
        return cls(config, loaded.model, torch.zeros(origin["word_embeddings"]["count"], loaded.width))

    @classmethod
    def from_stored(cls, stored: Stored, merge: bool = False) -> "CALF":
        """Make the CALF of a checkpoint, in evaluation mode; ``merge`` folds LoRA in without importing peft."""
        if not (merge and stored.config.get("lora")):
            return super().from_stored(stored)
        names = {name.replace(".base_layer.", "."): name for name in stored.shapes if ".lora_" not in name}
        shapes = {plain: stored.shapes[name] for plain, name in names.items()}
        config = {**stored.config, "lora": 0}
        model = super().from_stored(replace(stored, config=config, shapes=shapes, names=names))
        trained = from_json(cls.Config, stored.config)
        expected = {f"time_gpt2.{name}": t for name, t in empty_adapters(model.time_gpt2, trained.r).items()}
        lora = {name: shape for name, shape in stored.shapes.items() if ".lora_" in name}
        replace(stored, shapes=lora).check(expected)
        adapters = dict(stored.values(expected))
        merge_adapters(model.time_gpt2, "time_gpt2.", adapters, trained.lora_alpha / trained.r)
        return model

    def save(self, folder: Path, extras: Mapping[str, Any], best: Mapping[str, Any]) -> None:
        """Write the model into a checkpoint folder; one that was built by hand is stored whole."""
        if not self.origin:
            whole = {"stored": True, "config": plain_config(self.time_gpt2)}
            named = {"name": "unnamed", "init": "random", "fingerprint": fingerprint(self.frozen_state())}
            self.origin = {"backbone": {**named, **whole}, "word_embeddings": {"count": len(self.match.words)}}
        super().save(folder, extras, best)

    def stored_state(self) -> dict[str, Tensor]:
        """Return what was trained, the words, and the frozen blocks where nobody else has them."""
        whole = not self.origin or self.origin["backbone"]["stored"]
        return self.trained_state() | (self.frozen_state() if whole else {})

    def describe(self) -> list[str]:
        """Return backbone, word embeddings and adapters, in words."""
        words, config = self.origin["word_embeddings"], self.config
        origin = f"{words.get('file')}, of {words.get('llm') or 'a backbone it does not name'}"
        adapters = (
            f"rank {config.r}, alpha {config.lora_alpha}, dropout {config.lora_dropout:g}" if config.lora else "off"
        )
        return [
            f"backbone: {self._backbone_in_words()}, {config.gpt_layers} blocks",
            f"word embeddings: {len(self.match.words)} words, {origin}",
            f"LoRA: {adapters}",
        ]

    def origin_in_words(self) -> list[str]:
        """Return backbone and origin of the word embeddings, for the line of a summary."""
        words = self.origin["word_embeddings"].get("llm") or "unknown origin"
        return [f"backbone {self._backbone_in_words()}", f"words of {words}"]

    def _backbone_in_words(self) -> str:
        backbone = self.origin["backbone"]
        return f"{backbone['name']} ({backbone['init']}, {backbone['fingerprint']})"

    def describe_loss(self) -> str:
        """Return the three losses and their weights, in words."""
        loss = self.loss
        return (
            f"{loss.task_w:g} task ({loss.task}) + {loss.output_w:g} output ({loss.output}) "
            f"+ {loss.feature_w:g} feature ({loss.feature})"
        )

    def frozen_parts(self) -> dict[str, str]:
        """Return the fingerprints of backbone and word embeddings."""
        words = fingerprint({"words": self.match.words})
        return {"backbone": self.origin["backbone"]["fingerprint"], "word embeddings": words}

    @classmethod
    def from_public(cls, sizes: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "CALF":
        """Refuse: released weights are in a file that only :meth:`from_release` reads."""
        raise UserError("released weights of CALF are loaded by CALF.from_release")

    @classmethod
    def from_release(
        cls,
        checkpoint: str | Path,
        *,
        llm: str | Path,
        word_embeddings: str | Path | np.ndarray | Tensor,
        seq_len: int,
        pred_len: int,
        channels: int,
        gpt_layers: int,
        task_name: str = "long_term_forecast",
        lora_alpha: int = 32,
        lora_dropout: float = 0.1,
    ) -> "CALF":
        """Load a checkpoint of the authors' code, in evaluation mode; no code from the file is run.

        Whether LoRA was on, and its rank, follow from the tensors; its alpha does not. All sizes are those of training.

        Args:
            checkpoint: their ``checkpoint.pth``.
            llm: the GPT-2 it was trained on, hub name or local folder.
            word_embeddings: the file it was trained with, or the array itself, (D, K) as in the release.

        Raises:
            UserError: a file cannot be read, or its tensors do not fit these sizes.
        """
        if task_name not in RELEASED_TASKS:
            raise UserError(f"Task {task_name!r} is unknown; the release has {', '.join(RELEASED_TASKS)}.")
        state = read_release(checkpoint)
        rank = lora_rank(state)
        if isinstance(word_embeddings, str | Path):
            words = load_word_embeddings(Path(word_embeddings)).words
        else:
            words = torch.as_tensor(word_embeddings).T
        backbone = load_backbone(str(llm), "pretrained", gpt_layers, token_table=False)
        # Whole, as the checkpoint brings frozen blocks of its own; now, before the adapters change the names.
        described = {**backbone.describe(), "stored": True}
        adapters = {"lora": 0} if rank is None else {"r": rank, "lora_alpha": lora_alpha, "lora_dropout": lora_dropout}
        config = cls.Config(seq_len, pred_len, channels, llm=str(llm), gpt_layers=gpt_layers, **adapters)
        with torch.device("meta"):  # sizes that the file claims take no memory before they are compared
            empty = cls(config, empty_backbone(described["config"]), words.to("meta"))
        check_state(empty, state, shown_path(checkpoint))
        model = cls(config, backbone.model, words)
        fill_model(model, state, shown_path(checkpoint))
        model.origin = {"backbone": described, "word_embeddings": {"count": len(words)}}
        return model.eval()
