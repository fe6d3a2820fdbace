"""One GPT-2 as two branches that share its frozen tensors."""

import copy
from dataclasses import dataclass

from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from transformers import GPT2Model

from utils.errors import UserError


@dataclass(frozen=True)
class LoRA:
    """Low-rank adapters on ``c_attn``: rank, scale alpha / rank, dropout on their input."""

    r: int = 8
    alpha: int = 32
    dropout: float = 0.1

    def __post_init__(self) -> None:
        whole = type(self.r) is int and type(self.alpha) is int
        if not whole or self.r < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise UserError(
                f"{self}: r and alpha are whole numbers of at least 1, dropout is below 1 and not negative."
            )


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
    adapter = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=["c_attn"],
        fan_in_fan_out=True,
    )
    return inject_adapter_in_model(adapter, gpt2), text
