"""Fold low-rank adapters into the weights. Only training needs peft, so nothing here imports it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from layers.backbone import Stack


@dataclass(frozen=True)
class LoRA:
    """The size of low-rank adapters.

    Attributes:
        r: rank.
        alpha: scale times rank.
        dropout: on the adapters' input.
    """

    r: int
    alpha: int
    dropout: float


def is_adapted(module: nn.Module) -> bool:
    """Return whether a module is a layer with adapters of peft."""
    return hasattr(module, "lora_A")


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Fold the adapters of a model into weights of their own within the block.

    The weights that branches share, and the adapters, are neither changed nor rounded.
    """
    adapters = [module for module in model.modules() if is_adapted(module)]
    adapted = [layer for layer in adapters if not layer.disable_adapters]  # none inside another such block
    frozen = [layer.base_layer.weight for layer in adapted]
    try:
        for layer, weight in zip(adapted, frozen, strict=True):
            folded = weight + layer.get_delta_weight("default")
            layer.base_layer.weight = nn.Parameter(folded, requires_grad=False)
            layer.enable_adapters(False)
        yield
    finally:
        for layer, weight in zip(adapted, frozen, strict=True):
            layer.base_layer.weight = weight
            layer.enable_adapters(True)


def empty_adapters(model: PreTrainedModel, rank: int) -> dict[str, Tensor]:
    """Return tensors of the shapes that the adapters of ``model`` have, by the names that peft gives them."""
    found, transposed = {}, Stack(model).family.fan_in_fan_out
    for name, module in _targets(model).items():
        inputs, outputs = module.weight.shape if transposed else module.weight.T.shape
        found[f"{name}.lora_A.default.weight"] = torch.empty(rank, inputs, device="meta")
        found[f"{name}.lora_B.default.weight"] = torch.empty(outputs, rank, device="meta")
    return found


def merge_adapters(model: PreTrainedModel, prefix: str, adapters: Mapping[str, Tensor], scale: float) -> None:
    """Fold stored adapters into weights of their own for good.

    Args:
        model: without adapters.
        prefix: before the names of its layers in ``adapters``.
        adapters: as :func:`empty_adapters` names them.
        scale: alpha / rank.
    """
    transposed = Stack(model).family.fan_in_fan_out
    for name, module in _targets(model).items():
        down, up = (adapters[f"{prefix}{name}.lora_{part}.default.weight"] for part in "AB")
        change = (up @ down) * scale
        module.weight = nn.Parameter(module.weight + (change.T if transposed else change), requires_grad=False)


def _targets(model: PreTrainedModel) -> dict[str, nn.Module]:
    targets = Stack(model).family.lora_targets
    return {name: module for name, module in model.named_modules() if name.rpartition(".")[2] in targets}
