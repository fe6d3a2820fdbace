"""Parameter counts at published sizes, against those of the public implementations."""

import json
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2Model

import models
from layers.backbone import Backbone
from tests.helpers.places import GOLDEN

FILE = GOLDEN / "published-sizes.json"
# Key of the file -> model and flags, at 96 steps forecast of 7 channels.
PUBLISHED: dict[str, tuple[str, dict[str, Any]]] = {
    "DLinear": ("DLinear", {}),
    "iTransformer d128 ff128 e2 h8 (ETTh2, TSLib)": (
        "iTransformer", {"d_model": 128, "d_ff": 128, "e_layers": 2, "n_heads": 8}
    ),
    "iTransformer d512 ff512 e3 h8 (weather, electricity, TSLib)": (
        "iTransformer", {"d_model": 512, "d_ff": 512, "e_layers": 3, "n_heads": 8}
    ),
    "PatchTST d512 ff2048 e1 h2 (ETTh1 96, TSLib)": (
        "PatchTST", {"d_model": 512, "d_ff": 2048, "e_layers": 1, "n_heads": 2}
    ),
    "PatchTST d512 ff2048 e3 h4 (ETTh2, TSLib)": (
        "PatchTST", {"d_model": 512, "d_ff": 2048, "e_layers": 3, "n_heads": 4}
    ),
    "TimesNet d16 ff32 e2 top5 k6 (ETTh1, TSLib)": (
        "TimesNet", {"d_model": 16, "d_ff": 32, "e_layers": 2, "top_k": 5, "num_kernels": 6, "marks": 1}
    ),
    "GPT4TS GPT-2 6 layers d768, seq_len 96, P16 S8": ("GPT4TS", {}),
    "PAttn d768 (ETTh, authors)": ("PAttn", {"d_model": 768}),
}  # fmt: skip


def without_token_table(config: GPT2Config) -> Backbone:
    model = GPT2Model(config)
    model.set_input_embeddings(None)
    return Backbone(model, None, {})


pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE} (CALF_GOLDEN)")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_has_as_many_parameters_as_the_public_one(name: str) -> None:
    recorded = json.loads(FILE.read_text())["peers at H 96, C 7 (seq_len 96 unless named)"][name]
    kind, flags = models.find_model(PUBLISHED[name][0]), PUBLISHED[name][1]
    config, parts = kind.Config(96, 96, 7, **flags), {}
    if name.startswith("GPT4TS"):
        parts = {"backbone": GPT2Config(n_layer=6)}
    with torch.device("meta"):
        model = kind(config, **{name: without_token_table(part) for name, part in parts.items()})
    token_table = 50257 * 768 if parts else 0  # which no forecast reads
    assert sum(p.numel() for p in model.parameters()) + token_table == recorded["total"]
    assert sum(p.numel() for group in model.parameter_groups() for p in group.parameters) == recorded["trainable"]
