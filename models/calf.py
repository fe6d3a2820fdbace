"""CALF: two branches over one GPT-2, a time branch that forecasts and a text branch that guides it.

Liu et al., "CALF: Aligning LLMs for Time Series Forecasting via Cross-modal Fine-Tuning", AAAI 2025,
arXiv 2403.07300. Section numbers below are the paper's.

Shapes: B batch, L seq_len, H pred_len, C channels, D width, K principal words, N blocks, F columns known in advance.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from layers.backbone import Backbone, Stack, load_backbone, positions_of, remake_backbone, size_of
from layers.branches import copy_branch, run_branch
from layers.channel_order import channel_order
from layers.cross_modal_match import CrossModalMatch
from layers.instance_norm import WindowStatistics, denormalize, normalize
from layers.known_tokens import KnownTokenEmbedding
from layers.lora import add_adapters, empty_adapters, is_adapted, merge_adapters, merged
from layers.recomputing import recompute_in_backward
from layers.stand_ins import make_stand_in
from layers.token_embedding import ChannelTokenEmbedding
from layers.word_embeddings import (
    WordEmbeddings,
    choose_word_embeddings,
    control_words,
    empty_word_embeddings,
    load_word_embeddings,
    save_word_embeddings,
)
from models.base import ParameterGroup
from models.calf_loss import CALFOutput, calf_loss
from models.calf_release import lora_rank, read_release
from models.checkpoint import Stored
from models.config import (
    CHANNEL_ORDER,
    FEATURE_LOSSES,
    FORECAST_LOSSES,
    FREEZES,
    LOSS_HELP,
    STAND_INS,
    SWITCHES,
    TASK_LOSSES,
    WORDS,
    BackboneConfig,
)
from models.on_backbone import OnBackbone
from models.tensors import check_state, fill_model
from utils.errors import UserError, shown_path
from utils.fingerprint import fingerprint
from utils.flags import FILE, SHARE, SWITCH, WEIGHT, NonZero, choice, flag, from_json, whole

ALIGNMENT_RATE = 1e-4
RELEASED_HEADS = 12
RELEASED_TASKS = (
    "long_term_forecast", "short_term_forecast", "imputation", "anomaly_detection", "classification",
)  # fmt: skip


@dataclass(frozen=True)
class TokenSize:
    """Width D and attention heads where no branch has a language model; UserError where they are not possible."""

    width: int
    heads: int

    def __post_init__(self) -> None:
        possible = all(whole(high=1_000_000).fits(value) for value in (self.width, self.heads))
        if not possible or self.width % self.heads:
            raise UserError(f"width {str(self.width)[:40]} and {str(self.heads)[:40]} heads are no size of tokens")


class CALF(OnBackbone):
    """The dual-branch model of section 3, and its ablations, in which a branch is left out or another takes its place.

    Args:
        backbone: the first N blocks of a GPT-2 of width D, which become part of the model; where neither branch has a
            language model (``Config.needs_llm``), width D and heads alone.
        words: word embeddings (K, D); None without the text branch.

    Raises:
        UserError: the widths do not fit, or there are more channels than positions.
    """

    @dataclass(frozen=True)
    class Config(BackboneConfig):
        """Sizes, branches, backbone, adapters and the three losses."""

        takes_known: ClassVar[bool] = True
        takes_visible: ClassVar[bool] = True

        backbone: str = flag(
            "gpt2",
            choice("gpt2", *STAND_INS),
            "of the time branch: the language model (gpt2), or its stand-in",
        )
        text_branch: int = flag(1, SWITCH, "0 leaves the text branch out, and with it output and feature loss")
        freeze: str = flag(
            "paper", choice(*FREEZES), "of the language model: all but norms and positions (paper), nothing, or all"
        )
        words: str = flag(
            "pca",
            choice(*WORDS),
            "what the text branch attends to: principal words, random directions, learned ones, the first tokens",
            needs={"text_branch": (1,)},
        )
        channel_order: str = flag("file", CHANNEL_ORDER, "of the tokens: file, reversed or random:SEED")
        word_embedding_path: str | None = flag(
            None, FILE, "principal word embeddings (pca.py); made when missing", needs={"text_branch": (1,)}
        )
        lora: int = flag(1, SWITCH, "1 adds LoRA to the time branch; 0 leaves it out", needs={"backbone": ("gpt2",)})
        r: int = flag(8, whole(high=10_000), "LoRA rank", needs={"lora": (1,)})
        lora_alpha: int = flag(32, whole(high=1_000_000), "LoRA scale times rank", needs={"lora": (1,)})
        lora_dropout: float = flag(0.1, SHARE, "dropout on LoRA's input", needs={"lora": (1,)})
        task_loss: str = flag("l1", choice(*TASK_LOSSES), LOSS_HELP, training=True)
        output_loss: str = flag(
            "l1",
            choice(*FORECAST_LOSSES),
            "both branches' forecasts, likewise",
            needs={"text_branch": (1,), "output_w": NonZero()},
            training=True,
        )
        feature_loss: str = flag(
            "l1",
            choice(*FEATURE_LOSSES),
            "of features: l1, smooth_l1, mse",
            needs={"text_branch": (1,), "feature_w": NonZero()},
            training=True,
        )
        task_w: float = flag(1.0, WEIGHT, "weight of the task loss", training=True)
        output_w: float = flag(1.0, WEIGHT, "weight of the output loss", needs={"text_branch": (1,)}, training=True)
        feature_w: float = flag(0.01, WEIGHT, "weight of the feature loss", needs={"text_branch": (1,)}, training=True)

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.text_branch and not (self.task_w or self.output_w or self.feature_w):
                raise UserError("--task_w, --output_w and --feature_w are all 0: nothing is left to train on.")
            if not self.text_branch and not self.task_w:
                raise UserError("--task_w 0 --text_branch 0: without the text branch the task loss is all there is.")
            if self.text_branch and self.feature_w and self.backbone != "gpt2":
                raise UserError(
                    f"--backbone {self.backbone} has no features for the feature loss: add --text_branch 0, "
                    "or --feature_w 0 to keep the text branch and its output loss."
                )

        @property
        def needs_llm(self) -> bool:
            """Return whether a branch runs the language model."""
            return self.backbone == "gpt2" or bool(self.text_branch)

        @property
        def any_channels(self) -> bool:
            return self.channel_order == "file"

        @property
        def switches(self) -> dict[str, str]:
            usual = {one.name: one.default for one in fields(self)}
            switched = [name for name in SWITCHES if getattr(self, name) != usual[name]]
            idle = set() if self.text_branch else {"words", "output_w", "feature_w"}
            return {name: f"{getattr(self, name)}" for name in switched if name not in idle}

        @property
        def slug(self) -> str:
            return "_".join([super().slug, *(f"{name}-{value}" for name, value in self.switches.items())])

    def __init__(
        self, config: "CALF.Config", backbone: Backbone | TokenSize, words: WordEmbeddings | None = None
    ) -> None:
        super().__init__(config)
        if isinstance(backbone, Backbone):
            stack = Stack(backbone.model)
            size = TokenSize(stack.width, stack.heads)
            _check_fit(config, stack, words)
            self.origin = {"backbone": backbone.origin} | ({"word_embeddings": words.origin} if words else {})
        else:
            size, self.origin = backbone, {"tokens": asdict(backbone)}
        width, heads = size.width, attention_heads(size.width, size.heads)
        self.embedding = ChannelTokenEmbedding(config.seq_len, width, heads)
        steps = config.seq_len + config.pred_len
        self.known_embedding = KnownTokenEmbedding(config.known, steps, width) if config.known else None
        self.match = None if words is None else CrossModalMatch(words.words, heads, config.words == "learned")
        on_gpt2 = config.backbone == "gpt2"
        self.time_gpt2 = backbone.model if on_gpt2 else None
        self.text_gpt2 = None if words is None else copy_branch(backbone.model)
        if on_gpt2 and config.lora:
            add_adapters(self.time_gpt2, config.r, config.lora_alpha, config.lora_dropout)
        self.stand_in = None if on_gpt2 else make_stand_in(config.backbone, width, heads)
        features = config.gpt_layers + 1 if on_gpt2 and words is not None and config.feature_w else 0
        self.time_projections = _projections(width, features) if features else None
        self.text_projections = _projections(width, features) if features else None
        self.class_head = None  # the head that both branches share gives the logits
        classes = config.classes
        self.head = nn.Linear(config.channels * width, classes) if classes else nn.Linear(width, config.pred_len)
        order = channel_order(config.channel_order, config.channels)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(), persistent=False)
        self.requires_grad_(False)
        for parameter in (p for group in self.parameter_groups() for p in group.parameters):
            parameter.requires_grad_(True)

    @classmethod
    def build(cls, config: "CALF.Config", write: bool = True) -> "CALF":
        """Make an untrained CALF from the current torch seed; ``write`` makes and saves word embeddings if missing."""
        if not config.needs_llm:
            return cls(config, TokenSize(*size_of(config.llm)))
        backbone = load_backbone(config.llm, config.llm_init, config.gpt_layers)
        if not config.text_branch:
            return cls(config, backbone)
        words = choose_word_embeddings(config.word_embedding_path, backbone, write)
        model = cls(config, backbone, control_words(config.words, words, backbone))
        if write and not words.path.exists():
            save_word_embeddings(words.path, words)
        return model

    @classmethod
    def remake(cls, config: "CALF.Config", origin: Mapping[str, Any], weights: bool = True) -> "CALF":
        if not config.needs_llm:
            return cls(config, from_json(TokenSize, origin.get("tokens")))
        backbone = remake_backbone(origin.get("backbone"), weights)
        words = empty_word_embeddings(origin.get("word_embeddings"), backbone.width) if config.text_branch else None
        return cls(config, backbone, words)

    @classmethod
    def from_stored(cls, stored: Stored, merge: bool = False) -> "CALF":
        """Make the CALF of a checkpoint, in evaluation mode; ``merge`` folds LoRA in without importing peft."""
        if not (merge and stored.config.get("lora") and stored.config.get("backbone") == "gpt2"):
            return super().from_stored(stored)
        names = {name.replace(".base_layer.", "."): name for name in stored.shapes if ".lora_" not in name}
        shapes = {plain: stored.shapes[name] for plain, name in names.items()}
        config = {**stored.config, "lora": 0}
        model = super().from_stored(replace(stored, config=config, shapes=shapes, names=names))
        trained = model.config
        expected = {f"time_gpt2.{name}": t for name, t in empty_adapters(model.time_gpt2, trained.r).items()}
        lora = {name: shape for name, shape in stored.shapes.items() if ".lora_" in name}
        replace(stored, shapes=lora).check(expected)
        adapters = dict(stored.values(expected))
        merge_adapters(model.time_gpt2, "time_gpt2.", adapters, trained.lora_alpha / trained.r)
        return model

    @classmethod
    def check_channels(cls, config: "CALF.Config") -> None:
        """Raise UserError if the backbone has fewer positions than there are channels."""
        if config.needs_llm:
            _check_room(config, positions_of(config.llm, config.llm_init))

    def training_loss(
        self, x: Tensor, y: Tensor, mask: Tensor | None = None, scored: slice = slice(None), **covariates: Tensor
    ) -> Tensor:
        """Return the weighted sum of task, output and feature loss (section 3.3); arguments as in ``Model``."""
        output = self(x, text_branch=bool(self.config.output_w or self.config.feature_w), **covariates)
        text = None if output.text_forecast is None else output.text_forecast[..., scored]
        output = replace(output, forecast=output.forecast[..., scored], text_forecast=text)
        return calf_loss(self.config, output, y[..., scored], self.masked(x, mask, scored))

    def describe(self) -> list[str]:
        """Return backbone, word embeddings, adapters and what is not as in the paper, in words."""
        config, lines = self.config, super().describe()
        if self.stand_in is not None:
            width = self.head.in_features
            lines.append(f"time branch: {config.backbone} in place of the language model, width {width}")
        if self.match is not None:
            words = self.origin["word_embeddings"]
            origin = f"{words.get('file')}, of {words.get('llm') or 'a backbone it does not name'}"
            lines.append(f"word embeddings: {len(self.match.words)} words, {origin}")
        else:
            lines.append("text branch: left out")
        if self.time_gpt2 is not None:
            adapters = f"rank {config.r}, alpha {config.lora_alpha}, dropout {config.lora_dropout:g}"
            lines.append(f"LoRA: {adapters if config.lora else 'off'}")
        if config.needs_llm and config.freeze != "paper":
            lines.append("frozen in the language model: " + {"none": "nothing", "all": "everything"}[config.freeze])
        if config.channel_order != "file":
            lines.append(f"order of the channels: {config.channel_order}")
        return lines

    def origin_in_words(self) -> list[str]:
        """Return backbone and origin of the word embeddings, for the line of a summary."""
        stand_in = [] if self.stand_in is None else [f"time branch {self.config.backbone}"]
        if self.match is None:
            return [*super().origin_in_words(), *stand_in, "no text branch"]
        words = self.origin["word_embeddings"].get("llm") or "unknown origin"
        return [*super().origin_in_words(), *stand_in, f"words of {words}"]

    def describe_loss(self) -> str:
        """Return the losses and their weights, in words."""
        config = self.config
        task = f"{config.task_w:g} task ({config.task_loss})"
        if not config.text_branch:
            return task
        output = f"{config.output_w:g} output ({config.output_loss})"
        return f"{task} + {output} + {config.feature_w:g} feature ({config.feature_loss})"

    def frozen_parts(self) -> dict[str, str]:
        """Return the fingerprints of backbone and word embeddings."""
        if self.match is None or self.config.words == "learned":
            return super().frozen_parts()
        return super().frozen_parts() | {"word embeddings": fingerprint({"words": self.match.words})}

    def forward(
        self,
        x: Tensor,
        text_branch: bool | None = None,
        known: Tensor | None = None,
        visible: Tensor | None = None,
    ) -> CALFOutput:
        """Forecast windows ``x`` (B, L, C); the text branch is for the training losses, else computed on request.

        Where ``visible`` (B, L, C) is 0, the model sees zeros. Each of the columns ``known`` (B, L + H, F) in advance
        is a token before those of the channels, so that causal attention lets every channel see it. Forecasts and
        features are of the channels alone.
        """
        tokens, statistics = self._tokens(x, known, visible)
        if self.match is None or not (self.training if text_branch is None else text_branch):
            time_state, _ = self._run_time_branch(tokens, None)
            return CALFOutput(self._forecast(time_state, statistics))
        text_tokens = self.match(tokens)  # (B, F + C, D)
        time_state, time_features = self._run_time_branch(tokens, self.time_projections)
        text_state, text_features = run_branch(self.text_gpt2, text_tokens, self.text_projections)
        forecasts = (self._forecast(state, statistics) for state in (time_state, text_state))
        features = (tuple(one[:, self.config.known :] for one in each) for each in (time_features, text_features))
        return CALFOutput(*forecasts, *features)

    def branch_inputs(self, x: Tensor, known: Tensor | None = None) -> dict[str, tuple[PreTrainedModel, Tensor]]:
        """Return the language models of both branches, as far as there are any, with their tokens (B, F + C, D)."""
        tokens, _ = self._tokens(x, known)
        found = {} if self.time_gpt2 is None else {"time": (self.time_gpt2, tokens)}
        return found | ({} if self.match is None else {"text": (self.text_gpt2, self.match(tokens))})

    def channel_tokens(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the tokens (B, C, D) that the channels of windows ``x`` (B, L, C) become before the branches."""
        return self._tokens(x, known)[0][:, self.config.known :]

    def classify(self, x: Tensor, visible: Tensor) -> CALFOutput:
        """Return the logits (B, K) of windows ``x`` (B, L, C), which are 0 beyond the end of their series."""
        return self(x)

    def _tokens(
        self, x: Tensor, known: Tensor | None, visible: Tensor | None = None
    ) -> tuple[Tensor, WindowStatistics | None]:
        """Return the tokens (B, F + C, D) before the branches, and the statistics of the windows.

        Windows to classify are standardized as they come, and have no statistics of their own.
        """
        if self.config.channel_order != "file":
            x, visible = x[..., self.order], None if visible is None else visible[..., self.order]
        statistics = None
        if not self.config.classes:
            x, statistics = normalize(x, visible, mean_of_all=bool(self.config.mean_of_all))
        return self.embedding(x, None if known is None else self.known_embedding(known)), statistics

    def branches(self, x: Tensor, known: Tensor | None = None, visible: Tensor | None = None) -> CALFOutput:
        """Return everything that both branches compute on ``x`` (B, L, C), also in evaluation."""
        return self(x, text_branch=True, known=known, visible=visible)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return what trains and at which rate; all else is frozen.

        The alignment group (projections, and the in/out projections of both attentions before the
        backbone) keeps a constant rate, as in the released code that the published numbers come from.
        """
        alignment = [self.time_projections, self.text_projections, self.embedding.encoder.self_attn]
        alignment += [self.match and self.match.attention, getattr(self.stand_in, "self_attn", None)]
        constant = dict.fromkeys(p for module in alignment if module is not None for p in module.parameters())
        scheduled = dict.fromkeys(self._scheduled())
        return [
            ParameterGroup("alignment", list(constant), ALIGNMENT_RATE),
            ParameterGroup("backbone", [p for p in scheduled if p not in constant]),
        ]

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
        channels: int,
        gpt_layers: int,
        pred_len: int | None = None,
        task_name: str = "long_term_forecast",
        lora_alpha: int = 32,
        lora_dropout: float = 0.1,
    ) -> "CALF":
        """Load a checkpoint of the authors' code, in evaluation mode; no code from the file is run.

        Whether LoRA was on, and its rank, follow from the tensors, and so does the number of classes; the alpha of LoRA
        does not. All sizes are those of training. Imputation takes means as the authors' code does, over all steps.

        Args:
            pred_len: H of a forecaster; other tasks have none.
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
            words = load_word_embeddings(Path(word_embeddings))
        else:
            words = WordEmbeddings(torch.as_tensor(word_embeddings).T)
        backbone = load_backbone(str(llm), "pretrained", gpt_layers)
        # Whole, as the checkpoint brings frozen blocks of its own.
        backbone = replace(backbone, origin={**backbone.origin, "stored": True})
        adapters = {"lora": 0} if rank is None else {"r": rank, "lora_alpha": lora_alpha, "lora_dropout": lora_dropout}
        sizes = _sizes_of_task(task_name, seq_len, pred_len, len(state.get("head.bias", ())))
        config = cls.Config(channels=channels, llm=str(llm), gpt_layers=gpt_layers, **sizes, **adapters)
        with torch.device("meta"):  # sizes that the file claims take no memory before they are compared
            empty = cls(config, remake_backbone(backbone.origin, weights=False), words)
        check_state(empty, state, shown_path(checkpoint))
        model = cls(config, backbone, words)
        fill_model(model, state, shown_path(checkpoint))
        return model.eval()

    def drop_training_parts(self) -> None:
        """Drop the text branch and the projections of the feature loss."""
        self.match = self.text_gpt2 = self.time_projections = self.text_projections = None

    def recompute_activations(self) -> None:
        """Keep only the inputs of encoder layer and blocks while training: less memory, another forward pass a step."""
        for part in (self.embedding.encoder, *self._blocks()):
            recompute_in_backward(part)

    def compile_parts(self, mode: str = "default") -> None:
        """Compile the blocks of both branches by ``torch.compile`` in one of its modes.

        All blocks of a kind share one compiled graph. There are three kinds: those of the time branch and those of the
        text branch while training, those of the time branch in evaluation. A family without learned positions has a
        fourth: the first block of its text branch, which reads the match as it comes.
        """
        for block in self._blocks():
            # The forward pass alone: what surrounds it is one code for all modules, and would be compiled too often.
            block.forward = _compiled(block.forward, mode)

    def merged_adapters(self) -> AbstractContextManager[None]:
        """Fold LoRA into weights of its own within the block; shared and trained tensors stay as they are."""
        return nullcontext() if self.time_gpt2 is None else merged(self.time_gpt2)

    def _run_time_branch(self, tokens: Tensor, projections: nn.ModuleList | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self.time_gpt2 is None:
            return self.stand_in(tokens), ()
        return run_branch(self.time_gpt2, tokens, projections)

    def _forecast(self, state: Tensor, statistics: WindowStatistics | None) -> Tensor:
        """Map a branch's state (B, F + C, D) to a forecast (B, H, C), its channels as in the data; or to logits (B, K).

        Logits come from the states of all channels together, one after the other.
        """
        if statistics is None:
            return self.head(state.flatten(1))
        forecast = denormalize(self.head(state[:, self.config.known :]).transpose(1, 2), statistics)
        return forecast if self.config.channel_order == "file" else forecast[..., self.place]

    def _language_models(self) -> list[PreTrainedModel]:
        return [model for model in (self.time_gpt2, self.text_gpt2) if model is not None]

    def _blocks(self) -> list[nn.Module]:
        return [block for model in self._language_models() for block in Stack(model).blocks]

    def _scheduled(self) -> Iterator[nn.Parameter]:
        """Yield what trains at the scheduled rate, of the alignment's parts too."""
        for part in (self.embedding, self.head, *filter(None, (self.match, self.stand_in, self.known_embedding))):
            yield from part.parameters()
        if self.config.freeze == "none":
            for model in self._language_models():
                yield from model.parameters()
        if self.config.freeze == "paper":
            parts = [table for model in self._language_models() for table in Stack(model).position_tables]
            parts += [] if self.time_gpt2 is None else Stack(self.time_gpt2).norms
            for part in parts:
                yield from part.parameters()
        for layer in filter(is_adapted, self.modules()):
            yield from (*layer.lora_A.parameters(), *layer.lora_B.parameters())


def _sizes_of_task(task_name: str, seq_len: int, pred_len: int | None, outputs: int) -> dict[str, int]:
    """Return the sizes of a released model by its task; ``outputs`` are those of its head."""
    if task_name == "classification":
        return {"seq_len": seq_len, "pred_len": seq_len, "classes": max(1, outputs)}
    if task_name in ("imputation", "anomaly_detection"):
        return {
            "seq_len": seq_len, "pred_len": seq_len, "reconstructs": 1,
            "mean_of_all": int(task_name == "imputation"),
        }  # fmt: skip
    if pred_len is None:
        raise UserError(f"pred_len is missing: a released model of the task {task_name} forecasts so many steps.")
    return {"seq_len": seq_len, "pred_len": pred_len}


def _compiled(forward: Callable[..., Tensor], mode: str) -> Callable[..., Tensor]:
    """Compile the forward pass of a block for batches of any size."""
    compiled = torch.compile(forward, dynamic=True, mode=mode)

    def run(state: Tensor, *args: Any, **options: Any) -> Tensor:
        # For a batch of one the compiler would make all its code again.
        return (compiled if len(state) > 1 else forward)(state, *args, **options)

    return run


def _projections(width: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(count))


def attention_heads(width: int, backbone_heads: int) -> int:
    """Return the heads of the attentions before the backbone: 12, as released, where they divide D, else its own."""
    return RELEASED_HEADS if width % RELEASED_HEADS == 0 else backbone_heads


def _check_fit(config: BackboneConfig, stack: Stack, embeddings: WordEmbeddings | None) -> None:
    width, positions = stack.width, stack.positions
    words = torch.zeros(1, width) if embeddings is None else embeddings.words
    if words.ndim != 2 or len(words) == 0 or words.shape[1] != width:
        raise UserError(
            f"The word embeddings have shape {tuple(words.shape)}, (words, {width}) fits the backbone: "
            "make them from it with pca.py."
        )
    if stack.depth != config.gpt_layers:
        raise UserError(f"--gpt_layers is {config.gpt_layers}, but the backbone has {stack.depth} blocks.")
    _check_room(config, positions)
    if not words.is_meta and not torch.isfinite(words).all():
        raise UserError("The word embeddings hold NaN or infinite values: make them anew with pca.py.")


def _check_room(config: BackboneConfig, positions: int | None) -> None:
    if positions is not None and config.channels + config.known > positions:
        beside = f" and {config.known} columns known in advance" if config.known else ""
        raise UserError(
            f"{config.channels} channels{beside}, but the backbone has {positions} positions and each takes one: "
            "use fewer columns (--columns names them), or a model without a backbone."
        )
