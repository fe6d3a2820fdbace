"""Make two branches of one language model that share its frozen tensors."""

import copy

from transformers import PreTrainedModel

from layers.backbone import Stack
from layers.lora import LoRA


def split_branches(model: PreTrainedModel, lora: LoRA | None) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Return the time and the text branch of one language model (CALF, section 3.1).

    Both hold the very same attention and feed-forward tensors, which stay frozen; each has positions and norms of its
    own. ``model`` becomes the time branch, to which LoRA is added, if any.
    """
    stack = Stack(model)
    own = {id(p) for part in (*stack.norms, *stack.position_tables) for p in part.parameters()}
    shared = {id(p): p for p in model.parameters() if id(p) not in own}
    text = copy.deepcopy(model, memo=dict(shared))
    if lora is None:
        return model, text
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds, and forecasts need none of it

    adapter = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(stack.family.lora_targets),
        fan_in_fan_out=stack.family.fan_in_fan_out,
    )
    return inject_adapter_in_model(adapter, model), text
