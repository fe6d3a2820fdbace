"""The network of CALF: two branches over one language model, their outputs and losses, and what trains.

Section numbers are those of the paper (``models/calf.py``).
Shapes: B batch, L seq_len, H pred_len, C channels, D width, K principal words, N blocks.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from layers.backbone import Stack
from layers.branches import run_branch, split_branches
from layers.cross_modal_match import CrossModalMatch
from layers.instance_norm import denormalize, normalize
from layers.lora import LoRA, is_adapted, merged
from layers.recomputing import recompute_in_backward
from layers.token_embedding import ChannelTokenEmbedding
from models.base import Model, Output, ParameterGroup
from models.config import ModelConfig
from utils.errors import UserError
from utils.losses import CALFLoss

ALIGNMENT_RATE = 1e-4
RELEASED_HEADS = 12


@dataclass(frozen=True)
class CALFOutput(Output):
    """What CALF computes; in evaluation the forecast alone.

    Attributes:
        text_forecast: (B, H, C), of the text branch.
        time_features: N+1 projected features (B, C, D) of the time branch, shallow to deep.
        text_features: N+1 projected features (B, C, D) of the text branch, shallow to deep.
    """

    text_forecast: Tensor | None = None
    time_features: tuple[Tensor, ...] = ()
    text_features: tuple[Tensor, ...] = ()


class CALFNetwork(Model):
    """The dual-branch network of section 3.

    Args:
        config: sizes and flags, of ``CALF.Config``.
        gpt2: the first N blocks of a language model of width D, without token table. It becomes part of the network.
        words: principal word embeddings (K, D).

    Raises:
        UserError: the widths do not fit, or there are more channels than positions.
    """

    def __init__(self, config: ModelConfig, gpt2: PreTrainedModel, words: Tensor) -> None:
        super().__init__(config)
        stack = Stack(gpt2)
        _check_fit(config, stack, words)
        width, heads = stack.width, attention_heads(stack.width, stack.heads)
        self.loss = CALFLoss(
            config.task_loss, config.output_loss, config.feature_loss, config.task_w, config.output_w, config.feature_w
        )
        self.embedding = ChannelTokenEmbedding(config.seq_len, width, heads)
        self.match = CrossModalMatch(words, heads)
        adapters = LoRA(config.r, config.lora_alpha, config.lora_dropout) if config.lora else None
        self.time_gpt2, self.text_gpt2 = split_branches(gpt2, adapters)
        self.time_projections = _projections(width, stack.depth + 1)
        self.text_projections = _projections(width, stack.depth + 1)
        self.head = nn.Linear(width, config.pred_len)
        self.requires_grad_(False)
        for parameter in (p for group in self.parameter_groups() for p in group.parameters):
            parameter.requires_grad_(True)

    def forward(self, x: Tensor, text_branch: bool | None = None) -> CALFOutput:
        """Forecast windows ``x`` (B, L, C); the text branch is for the training losses, else computed on request."""
        normal, statistics = normalize(x)
        time_tokens = self.embedding(normal)  # (B, C, D)
        if not (self.training if text_branch is None else text_branch):
            time_state, _ = run_branch(self.time_gpt2, time_tokens, None)
            return CALFOutput(denormalize(self._project_to_horizon(time_state), statistics))
        text_tokens = self.match(time_tokens)  # (B, C, D)
        time_state, time_features = run_branch(self.time_gpt2, time_tokens, self.time_projections)
        text_state, text_features = run_branch(self.text_gpt2, text_tokens, self.text_projections)
        return CALFOutput(
            denormalize(self._project_to_horizon(time_state), statistics),
            denormalize(self._project_to_horizon(text_state), statistics),
            time_features,
            text_features,
        )

    def branches(self, x: Tensor) -> CALFOutput:
        """Return everything that both branches compute on ``x`` (B, L, C), also in evaluation."""
        return self(x, text_branch=True)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return what trains and at which rate; all else is frozen.

        The alignment group (projections, and the in/out projections of both attentions before the
        backbone) keeps a constant rate, as in the released code that the published numbers come from.
        """
        projections = (self.time_projections, self.text_projections)
        alignment = (*projections, self.embedding.encoder.self_attn, self.match.attention)
        constant = dict.fromkeys(p for module in alignment for p in module.parameters())
        scheduled = dict.fromkeys(p for module in self._scheduled_modules() for p in module.parameters())
        return [
            ParameterGroup("alignment", list(constant), ALIGNMENT_RATE),
            ParameterGroup("backbone", [p for p in scheduled if p not in constant]),
        ]

    def training_loss(self, x: Tensor, y: Tensor, mask: Tensor | None = None, scored: slice = slice(None)) -> Tensor:
        """Return the weighted sum of task, output and feature loss (section 3.3); arguments as in ``Model``."""
        output = self(x, text_branch=self.loss.needs_text_branch)
        text = None if output.text_forecast is None else output.text_forecast[..., scored]
        return self.loss(
            output.forecast[..., scored], y[..., scored], text, output.time_features, output.text_features,
            self.masked(x, mask, scored),
        )  # fmt: skip

    def recompute_activations(self) -> None:
        """Keep only the inputs of encoder layer and blocks while training: less memory, another forward pass a step."""
        for part in (self.embedding.encoder, *Stack(self.time_gpt2).blocks, *Stack(self.text_gpt2).blocks):
            recompute_in_backward(part)

    def compile_parts(self, mode: str = "default") -> None:
        """Compile the blocks of both branches by ``torch.compile`` in one of its modes.

        All blocks of a kind share one compiled graph. There are three kinds: those of the time branch and those of the
        text branch while training, those of the time branch in evaluation.
        """
        for block in (*Stack(self.time_gpt2).blocks, *Stack(self.text_gpt2).blocks):
            # The forward pass alone: what surrounds it is one code for all modules, and would be compiled too often.
            block.forward = _compiled(block.forward, mode)

    def merged_adapters(self) -> AbstractContextManager[None]:
        """Fold LoRA into weights of its own within the block; shared and trained tensors stay as they are."""
        return merged(self.time_gpt2)

    def _project_to_horizon(self, state: Tensor) -> Tensor:
        return self.head(state).transpose(1, 2)  # (B, C, D) -> (B, H, C)

    def _scheduled_modules(self) -> Iterator[nn.Module]:
        yield self.embedding
        yield self.head
        time, text = Stack(self.time_gpt2), Stack(self.text_gpt2)
        yield from (*time.position_tables, *text.position_tables, *time.norms)
        for layer in filter(is_adapted, self.time_gpt2.modules()):
            yield from (layer.lora_A, layer.lora_B)


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


def _check_fit(config: ModelConfig, stack: Stack, words: Tensor) -> None:
    width, positions = stack.width, stack.positions
    if words.ndim != 2 or len(words) == 0 or words.shape[1] != width:
        raise UserError(
            f"The word embeddings have shape {tuple(words.shape)}, (words, {width}) fits the backbone: "
            "make them from it with pca.py."
        )
    if stack.depth != config.gpt_layers:
        raise UserError(f"--gpt_layers is {config.gpt_layers}, but the backbone has {stack.depth} blocks.")
    if positions is not None and config.channels > positions:
        raise UserError(
            f"{config.channels} channels, but the backbone has {positions} positions and each channel takes one: "
            "use fewer columns."
        )
    if not words.is_meta and not torch.isfinite(words).all():
        raise UserError("The word embeddings hold NaN or infinite values: make them anew with pca.py.")
