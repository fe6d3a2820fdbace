"""CALF: two branches over one GPT-2, a time branch that forecasts and a text branch that guides it.

Liu et al., "CALF: Aligning LLMs for Time Series Forecasting via Cross-modal Fine-Tuning", AAAI 2025,
arXiv 2403.07300. Section numbers below are the paper's.

Shapes: B batch, L seq_len, H pred_len, C channels, D width, K principal words, N blocks.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import ModelHubMixin
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import GPT2Model

from layers.backbone import load_backbone
from layers.branches import split_branches
from layers.cross_modal_match import CrossModalMatch
from layers.instance_norm import denormalize, normalize
from layers.lora import LoRA
from layers.recomputing import recompute_in_backward
from layers.token_embedding import ChannelTokenEmbedding
from layers.word_embeddings import load_word_embeddings
from models.checkpoints import find_checkpoint
from models.config import TASKS, CALFConfig, attention_heads
from models.release import fill, lora_rank, read_release
from utils.errors import UserError

ALIGNMENT_RATE = 1e-4
MODEL_CARD = """---
{{ card_data }}
---

# CALF

A forecaster of multivariate time series: the first blocks of GPT-2, aligned with time series
([Liu et al., AAAI 2025]({{ paper_url }})). `config.json` names its columns, their scale and the step between rows.

```python
from exp.forecaster import Forecaster
from models import CALF

future = Forecaster.load("user/name").predict(table)  # pandas in and out, in the units of the table
model = CALF.from_pretrained("user/name")  # the network itself, on standardised windows
```
"""


@dataclass(frozen=True)
class CALFOutput:
    """What CALF computes; in evaluation the forecast alone.

    Attributes:
        forecast: (B, H, C), the time branch's. text_forecast: (B, H, C).
        time_features, text_features: N+1 projected features (B, C, D) each, shallow to deep.
    """

    forecast: Tensor
    text_forecast: Tensor | None = None
    time_features: tuple[Tensor, ...] = ()
    text_features: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that train at one rate: a constant one, or the scheduled ``--learning_rate`` if None."""

    name: str
    parameters: list[nn.Parameter]
    constant_rate: float | None = None


@dataclass(frozen=True)
class Provenance:
    """What a checkpoint holds beside the weights.

    Attributes:
        backbone: ``Backbone.describe()``. extras: the rest of its configuration (data, words, training, best).
        files: contents of the files beside it, by name.
    """

    backbone: Mapping[str, Any]
    extras: Mapping[str, Any]
    files: Mapping[str, bytes]


class CALF(
    nn.Module,
    ModelHubMixin,
    library_name="calf",
    tags=["time-series-forecasting"],
    license="apache-2.0",
    paper_url="https://arxiv.org/abs/2403.07300",
    model_card_template=MODEL_CARD,
):
    """The dual-branch model of section 3.

    ``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` are those of huggingface_hub's mixin, for our own
    checkpoint folders.

    Args:
        config: sizes and switches.
        gpt2: the first N blocks of a GPT-2 of width D, without token table. It becomes part of the model.
        words: principal word embeddings (K, D).

    Raises:
        UserError: the widths do not fit, there are more channels than positions, or the task is unknown.
    """

    provenance: Provenance | None = None

    def __init__(self, config: CALFConfig, gpt2: GPT2Model, words: Tensor) -> None:
        super().__init__()
        width, blocks = gpt2.config.n_embd, gpt2.config.n_layer
        _check_fit(config, gpt2, words)
        heads = attention_heads(width, gpt2.config.n_head)
        self.config = config
        self.embedding = ChannelTokenEmbedding(config.seq_len, width, heads)
        self.match = CrossModalMatch(words, heads)
        self.time_gpt2, self.text_gpt2 = split_branches(gpt2, config.lora)
        self.time_projections = _projections(width, blocks + 1)
        self.text_projections = _projections(width, blocks + 1)
        self.head = nn.Linear(width, config.pred_len)
        self.requires_grad_(False)
        for group in self.parameter_groups():
            for parameter in group.parameters:
                parameter.requires_grad_(True)

    def forward(self, x: Tensor, text_branch: bool | None = None) -> CALFOutput:
        """Forecast windows ``x`` (B, L, C).

        The text branch and the features exist for the training losses; they are computed while training,
        or when ``text_branch`` asks for them.
        """
        normal, statistics = normalize(x)
        time_tokens = self.embedding(normal)  # (B, C, D)
        if not (self.training if text_branch is None else text_branch):
            time_state, _ = _run_branch(self.time_gpt2, time_tokens, None)
            return CALFOutput(denormalize(self._project_to_horizon(time_state), statistics))
        text_tokens = self.match(time_tokens)  # (B, C, D)
        time_state, time_features = _run_branch(self.time_gpt2, time_tokens, self.time_projections)
        text_state, text_features = _run_branch(self.text_gpt2, text_tokens, self.text_projections)
        return CALFOutput(
            denormalize(self._project_to_horizon(time_state), statistics),
            denormalize(self._project_to_horizon(text_state), statistics),
            time_features,
            text_features,
        )

    def branches(self, x: Tensor) -> CALFOutput:
        """Everything both branches compute on ``x`` (B, L, C), in training and in evaluation alike."""
        return self(x, text_branch=True)

    def parameter_groups(self) -> list[ParameterGroup]:
        """What trains and at which rate; all else is frozen.

        The alignment group (projections, and the in/out projections of both attentions before the
        backbone) keeps a constant rate, as in the released code that the published numbers come from.
        """
        alignment = [
            self.time_projections,
            self.text_projections,
            self.embedding.encoder.self_attn,
            self.match.attention,
        ]
        constant = list(_unique(p for module in alignment for p in module.parameters()))
        taken = {id(p) for p in constant}
        scheduled = _unique(p for module in self._scheduled_modules() for p in module.parameters())
        return [
            ParameterGroup("alignment", constant, ALIGNMENT_RATE),
            ParameterGroup("backbone", [p for p in scheduled if id(p) not in taken]),
        ]

    def trained_state(self) -> dict[str, Tensor]:
        """Trained tensors and the word embeddings: all that is not the backbone's."""
        state = {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}
        return state | dict(self.named_buffers())

    def frozen_state(self) -> dict[str, Tensor]:
        """The backbone's frozen tensors, each once although both branches use it."""
        return {name: p.detach() for name, p in self.named_parameters() if not p.requires_grad}

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

        Whether LoRA was on, and its rank, follow from the tensors; its alpha does not, and is an argument.

        Args:
            checkpoint: their ``checkpoint.pth``. llm: the GPT-2 it was trained on, hub name or local folder.
            word_embeddings: the file it was trained with, or the array itself, (D, K) as in the release.
            seq_len, pred_len, channels, gpt_layers, task_name: as it was trained.

        Raises:
            UserError: a file cannot be read, or its tensors do not fit these sizes.
        """
        state = read_release(checkpoint)
        rank = lora_rank(state)
        lora = None if rank is None else LoRA(rank, lora_alpha, lora_dropout)
        if isinstance(word_embeddings, str | Path):
            words = load_word_embeddings(Path(word_embeddings)).words
        else:
            words = torch.as_tensor(word_embeddings).T
        backbone = load_backbone(str(llm), "pretrained", gpt_layers, token_table=False)
        # Whole, as the checkpoint brings frozen blocks of its own; now, before the adapters change the names.
        described = {**backbone.describe(), "stored": True}
        model = cls(CALFConfig(seq_len, pred_len, channels, lora, task_name), backbone.model, words)
        fill(model, state, str(checkpoint))
        model.provenance = Provenance(described, {}, {})
        return model.eval()

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
    ) -> "CALF":
        """Load a checkpoint folder, or a repository of the Hugging Face hub, in evaluation mode.

        Overrides the mixin's own, which takes config.json for arguments of ``__init__``.

        Raises:
            UserError: there is none, it is damaged, or its backbone cannot be had.
        """
        from models.stored import load_model  # it needs this module

        options = {"force_download": force_download, "token": token, "cache_dir": cache_dir}
        options |= {"local_files_only": local_files_only, "revision": revision}
        return load_model(find_checkpoint(pretrained_model_name_or_path, **options)).model

    def _save_pretrained(self, save_directory: Path) -> None:
        from models.stored import save_like_stored  # it needs this module

        save_like_stored(save_directory, self)

    def checkpoint_activations(self) -> None:
        """While training keep only the inputs of encoder layer and blocks, and compute the rest again backwards.

        The numbers stay the same; a step takes another forward pass and much less memory.
        """
        for part in (self.embedding.encoder, *self.time_gpt2.h, *self.text_gpt2.h):
            recompute_in_backward(part)

    def compile_parts(self, mode: str = "default") -> None:
        """Compile embedding, match and blocks by ``torch.compile``, each on its own and for batches of any size.

        Args:
            mode: of ``torch.compile``; ``reduce-overhead`` and ``max-autotune`` use CUDA graphs.
        """
        for part in (self.embedding, self.match, *self.time_gpt2.h, *self.text_gpt2.h):
            # The forward pass alone: what surrounds it is the same code for all modules, and would compile too often.
            part.forward = torch.compile(part.forward, dynamic=True, mode=mode)

    @contextmanager
    def merged_adapters(self) -> Iterator[None]:
        """Within the block LoRA is folded into weights of its own, so that a forecast pays nothing for it.

        The tensors that the branches share, and that train, are neither changed nor rounded.
        """
        adapters = [module for module in self.time_gpt2.modules() if isinstance(module, LoraLayer)]
        adapted = [layer for layer in adapters if not layer.disable_adapters]  # none inside another such block
        frozen = [layer.base_layer.weight for layer in adapted]
        try:
            for layer, weight in zip(adapted, frozen, strict=True):
                merged = weight + layer.get_delta_weight("default")
                layer.base_layer.weight = nn.Parameter(merged, requires_grad=False)
                layer.enable_adapters(False)
            yield
        finally:
            for layer, weight in zip(adapted, frozen, strict=True):
                layer.base_layer.weight = weight
                layer.enable_adapters(True)

    def _project_to_horizon(self, state: Tensor) -> Tensor:
        return self.head(state).transpose(1, 2)  # (B, C, D) -> (B, H, C)

    def _scheduled_modules(self) -> Iterator[nn.Module]:
        yield self.embedding
        yield self.head
        yield self.time_gpt2.wpe
        yield self.text_gpt2.wpe
        for module in self.time_gpt2.modules():
            if isinstance(module, nn.LayerNorm):
                yield module
            elif isinstance(module, LoraLayer):
                yield module.lora_A
                yield module.lora_B


def _run_branch(
    gpt2: GPT2Model, tokens: Tensor, projections: nn.ModuleList | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run one branch on ``tokens`` (B, C, D): its final state, and its N+1 projected features if asked for.

    The branch input is added to the final state, and that sum is also the deepest feature.
    """
    output = gpt2(inputs_embeds=tokens, output_hidden_states=projections is not None, use_cache=False)
    state = output.last_hidden_state + tokens
    if projections is None:
        return state, ()
    features = (*output.hidden_states[:-1], state)
    return state, tuple(project(feature) for project, feature in zip(projections, features, strict=True))


def _projections(width: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(count))


def _unique(parameters: Iterator[nn.Parameter]) -> Iterator[nn.Parameter]:
    return iter({id(p): p for p in parameters}.values())


def _check_fit(config: CALFConfig, gpt2: GPT2Model, words: Tensor) -> None:
    if config.task_name not in TASKS:
        raise UserError(f"Task {config.task_name!r} is unknown to CALF; it does {', '.join(TASKS)}.")
    width, positions = gpt2.config.n_embd, gpt2.config.n_positions
    if gpt2.config.n_head < 1:
        raise UserError(f"A backbone of {gpt2.config.n_head} attention heads cannot be used.")
    if words.ndim != 2 or len(words) == 0 or words.shape[1] != width:
        raise UserError(
            f"The word embeddings have shape {tuple(words.shape)}, (words, {width}) fits the backbone: "
            "make them from it with pca.py."
        )
    if config.channels > positions:
        raise UserError(
            f"{config.channels} channels, but the backbone has {positions} positions and each channel takes one: "
            "use fewer columns."
        )
    if not torch.isfinite(words).all():
        raise UserError("The word embeddings hold NaN or infinite values: make them anew with pca.py.")
