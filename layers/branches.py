"""One GPT-2 as two branches that share its frozen tensors."""

import copy

from torch import nn
from transformers import GPT2Model

from layers.lora import LoRA


def split_branches(gpt2: GPT2Model, lora: LoRA | None) -> tuple[GPT2Model, GPT2Model]:
    """Make the time and the text branch of one GPT-2 (CALF, section 3.1).

    Both hold the very same attention and feed-forward tensors, which stay frozen; each has its own
    positions and layer norms. LoRA, if any, is added to the time branch.
    """
    own = {id(p) for module in gpt2.modules() if isinstance(module, nn.LayerNorm) for p in module.parameters()}
    own.add(id(gpt2.wpe.weight))
    shared = {id(p): p for p in gpt2.parameters() if id(p) not in own}
    text = copy.deepcopy(gpt2, memo=dict(shared))
    if lora is None:
        return gpt2, text
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds, and forecasts need none of it

    adapter = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=["c_attn"],
        fan_in_fan_out=True,
    )
    return inject_adapter_in_model(adapter, gpt2), text
