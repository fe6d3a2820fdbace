"""Make two branches of one language model that share its frozen tensors, and name what trains in a branch."""

import copy
from collections.abc import Iterator

from torch import nn
from transformers import PreTrainedModel

from layers.backbone import Stack
from layers.lora import LoRA


def split_branches(model: PreTrainedModel, lora: LoRA | None) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return the time and the text branch of one language model (CALF, section 3.1).

    Both hold the very same attention and feed-forward tensors, which stay frozen; each has positions and norms of its
    own. LoRA, if any, is added to the time branch.

    Args:
        model: the language model; it becomes the time branch.
        lora: size of the adapters, or None for none.
    """
    stack = Stack(model)
    own = {id(p) for module in _own_parts(stack) for p in module.parameters()}
    shared = {id(p): p for p in model.parameters() if id(p) not in own}
    text = copy.deepcopy(model, memo=dict(shared))
    if lora is None:
        return model, text
    from peft import LoraConfig, inject_adapter_in_model  # imported late: without adapters nobody needs it

    adapter = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(stack.family.lora_targets),
        fan_in_fan_out=stack.family.fan_in_fan_out,
    )
    return inject_adapter_in_model(adapter, model), text


def adapters(branch: nn.Module) -> list[nn.Module]:
    """Return peft's layers with LoRA in a branch."""
    return [module for module in branch.modules() if hasattr(module, "lora_A")]


def trained_parts(branch: PreTrainedModel) -> Iterator[nn.Module]:
    """Yield what trains in a branch: its positions, its norms, and the two factors of its adapters."""
    yield from _own_parts(Stack(branch))
    for layer in adapters(branch):
        yield from (layer.lora_A, layer.lora_B)


def _own_parts(stack: Stack) -> Iterator[nn.Module]:
    if stack.position_table is not None:
        yield stack.position_table
    yield from stack.norms
