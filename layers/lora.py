"""Add low-rank adapters to a language model, and fold them into its weights, which needs no peft."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from layers.backbone import Stack


def add_adapters(model: PreTrainedModel, rank: int, alpha: int, dropout: float) -> None:
    """Add adapters of peft to the attentions of a language model; their scale is ``alpha / rank``."""
    from peft import LoraConfig, inject_adapter_in_model  # forecasts need none of it

    family = Stack(model).family
    adapter = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=list(family.lora_targets),
        fan_in_fan_out=family.fan_in_fan_out,
    )
    inject_adapter_in_model(adapter, model)


def is_adapted(module: nn.Module) -> bool:
    """Return whether a module is a layer with adapters of peft."""
    return hasattr(module, "lora_A")


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Fold the adapters of a model into weights of their own within the block.

    The weights that branches share, and the adapters, are neither changed nor rounded.
    """
    layers = [module for module in filter(is_adapted, model.modules()) if not module.disable_adapters]
    frozen = [layer.base_layer.weight for layer in layers]  # empty inside another such block
    try:
        for layer, weight in zip(layers, frozen, strict=True):
            folded = weight + layer.get_delta_weight("default")
            layer.base_layer.weight = nn.Parameter(folded, requires_grad=False)
            layer.enable_adapters(False)
        yield
    finally:
        for layer, weight in zip(layers, frozen, strict=True):
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
    """Fold the stored ``adapters``, whose names begin with ``prefix``, into the weights of ``model`` for good."""
    transposed = Stack(model).family.fan_in_fan_out
    for name, module in _targets(model).items():
        down, up = (adapters[f"{prefix}{name}.lora_{part}.default.weight"] for part in "AB")
        change = (up @ down) * scale
        module.weight = nn.Parameter(module.weight + (change.T if transposed else change), requires_grad=False)


def _targets(model: PreTrainedModel) -> dict[str, nn.Module]:
    targets = Stack(model).family.lora_targets
    return {name: module for name, module in model.named_modules() if name.endswith(targets)}
