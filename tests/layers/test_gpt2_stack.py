"""The plain GPT-2 stack against transformers' own."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from layers.backbone import NO_SPECIAL_TOKENS
from layers.gpt2_stack import ACTIVATIONS, GPT2Stack
from utils.errors import UserError

SIZES = {"n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 16, "vocab_size": 1, **NO_SPECIAL_TOKENS}


@pytest.mark.parametrize(
    "more",
    [
        {},
        *({"activation_function": name} for name in ACTIVATIONS),
        {"n_inner": 40},
        {"layer_norm_epsilon": 0.1},
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
    ],
    ids=str,
)
def test_it_computes_what_transformers_computes(more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs = GPT2Model(GPT2Config(**{**SIZES, **more})).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours = GPT2Stack({**SIZES, **more}).eval()
    ours.load_state_dict({name: p for name, p in theirs.named_parameters() if name != "wte.weight"})
    tokens = torch.randn(2, 7, 24)
    with torch.no_grad():
        expected = theirs(inputs_embeds=tokens, use_cache=False).last_hidden_state
        torch.testing.assert_close(ours(tokens), expected, rtol=1e-5, atol=1e-5)


def test_what_the_configuration_leaves_out_has_the_value_of_gpt2() -> None:
    with torch.device("meta"):
        ours = GPT2Stack({})
        theirs = GPT2Model(GPT2Config())
    shapes = {name: p.shape for name, p in theirs.named_parameters() if name != "wte.weight"}
    assert {name: p.shape for name, p in ours.named_parameters()} == shapes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_head": 5}, "width 24 cannot have 5"),
        ({"n_head": 0}, "n_head 0"),
        ({"n_embd": -24}, "n_embd -24"),
        ({"n_positions": "16"}, "n_positions '16'"),
        ({"n_layer": 1.5}, "n_layer 1.5"),
        ({"activation_function": "quick"}, "activation is quick"),
    ],
)
def test_impossible_configurations_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        GPT2Stack({**SIZES, **change})
