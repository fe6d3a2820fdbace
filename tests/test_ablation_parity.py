"""CALF's ablations against public code: every golden case, on the weights of the golden model that the case names.

Each case holds windows, forecasts, losses and gradient norms that the code of Tan et al. (NeurIPS 2024) gave.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from layers.backbone import load_backbone
from layers.encoder import translate_attention
from layers.word_embeddings import WordEmbeddings
from models.calf import CALF, TokenSize, calf_loss
from models.calf_release import read_release, release_name
from tests.helpers.places import GOLDEN, golden_cases

BACKBONES = {"ori": "gpt2", "dropAttn_keepWE": "none", "llm_to_attn": "attention", "llm_to_trsf": "transformer"}
TEXT_ON = "_text_on"
# Name in public code, and ours.
OWN = {
    "basic_attn.fc.": "stand_in.attention.out_proj.",
    "basic_attn.layer_norm.": "stand_in.norm.",
    "basic_trsf.transformer_encoder.layers.0.": "stand_in.",
}
PROJECTIONS = [f"basic_attn.w_{part}s.weight" for part in "qkv"]
IN_PROJECTION = "stand_in.attention.in_proj_weight"

CASES = [
    (file, variant)
    for file in golden_cases("ablations/**/ablations.json")
    for variant in json.loads(file.read_text())["variants"]
]
pytestmark = pytest.mark.skipif(not CASES, reason=f"no golden ablations under {GOLDEN} (CALF_GOLDEN)")


class Case:
    """One variant of one golden case, loaded."""

    def __init__(self, file: Path, variant: str) -> None:
        content = json.loads(file.read_text())
        self.variant, self.expected = variant, content["variants"][variant]
        name = re.search(r"golden model ([^,\s]+)", content["backbone_and_shared_weights"])[1]
        self.base = GOLDEN / "model" / name
        self.arrays = {k: torch.from_numpy(v) for k, v in np.load(file.parent / "io.npz").items()}
        self.own = load_file(file.parent / "own_weights.safetensors")
        self.model = self._load().eval()

    def _load(self) -> CALF:
        plain = variant_of(self.variant)
        text, gpt2 = self.variant == "ori" or self.variant.endswith(TEXT_ON), BACKBONES[plain] == "gpt2"
        blocks = json.loads((self.base / "meta.json").read_text())["gpt_layers"]
        x, y = self.arrays["x"], self.arrays["y"]
        config = CALF.Config(
            x.shape[1], y.shape[1], x.shape[2], llm=str(self.base / "gpt2"), gpt_layers=blocks, lora=0,
            backbone=BACKBONES[plain], text_branch=int(text), feature_w=0.01 if gpt2 else 0.0,
        )  # fmt: skip
        backbone = load_backbone(config.llm, "pretrained", blocks)
        words = WordEmbeddings(torch.from_numpy(np.load(self.base / "wte_pca.npy")).T) if text else None
        size = TokenSize(backbone.width, backbone.model.config.num_attention_heads)
        model = CALF(config, backbone if config.needs_llm else size, words)
        released = read_release(self.base / "long_term_forecast.pth")
        state = {name.replace(".base_layer.", "."): t for name, t in released.items() if ".lora_" not in name}
        ours = model.state_dict()
        state = {"match.words": ours.get("match.words"), **state, **our_names(self.own)}
        model.load_state_dict({name: state[name] for name in ours})
        return model


def variant_of(name: str) -> str:
    return name.removesuffix(TEXT_ON)


def our_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the stand-ins under the names that they have here."""
    return {own_name(name): tensor for name, tensor in translate_attention(tensors, "stand_in").items()}


def own_name(name: str) -> str:
    for theirs, ours in OWN.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return release_name(name)


@pytest.fixture(params=CASES, ids=[f"{file.parent.name}-{variant}" for file, variant in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return Case(*request.param)


def test_the_forecasts_equal_those_of_public_code(case: Case) -> None:
    with torch.no_grad():
        output = case.model.branches(case.arrays["x"])
        alone = case.model(case.arrays["x"])
    expected = case.arrays[f"y_hat_{case.variant}"]
    torch.testing.assert_close(output.forecast, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.forecast, expected, rtol=0, atol=1e-5)
    text = case.arrays.get(f"y_text_{case.variant}")
    assert (text is None) == (output.text_forecast is None)
    if text is not None:
        torch.testing.assert_close(output.text_forecast, text, rtol=0, atol=2e-5)


def losses(case: Case) -> tuple[Tensor, Tensor]:
    """Return the whole loss and the task loss."""
    output, y = case.model.branches(case.arrays["x"]), case.arrays["y"]
    task = (output.forecast - y).abs().mean()
    return calf_loss(case.model.config, output, y, None), task


def test_the_losses_equal_those_of_public_code(case: Case) -> None:
    loss, task = losses(case)
    assert loss.item() == pytest.approx(case.expected["loss"], abs=1e-5)
    assert task.item() == pytest.approx(case.expected["task_loss"], abs=1e-5)


def test_the_gradient_norms_equal_those_of_public_code(case: Case) -> None:
    losses(case)[0].backward()
    ours = {name: p.grad for name, p in case.model.named_parameters() if p.grad is not None}
    norms = {own_name(name): norm for name, norm in case.expected["grad_norms"].items()}
    if IN_PROJECTION in ours:
        parts = [norms.pop(own_name(name)) for name in PROJECTIONS]
        norms[IN_PROJECTION] = float(np.sqrt(np.square(parts).sum()))
        for part, gradient in zip(parts, ours[IN_PROJECTION].chunk(3), strict=True):
            assert gradient.norm().item() == pytest.approx(part, rel=1e-4, abs=1e-5)
    assert ours.keys() == norms.keys()
    for name, norm in norms.items():
        assert ours[name].norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-5), name


def test_what_trains_is_what_the_loss_reaches_in_public_code(case: Case) -> None:
    trained = sum(p.numel() for group in case.model.parameter_groups() for p in group.parameters)
    assert trained == sum(p.numel() for p in case.model.parameters() if p.requires_grad)
    assert trained == case.expected["reached_by_the_gradient"]
