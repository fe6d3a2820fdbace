"""Small models of ours."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from layers.backbone import load_backbone
from layers.lora import LoRA
from models import CALF, CALFConfig

LOW_RANK = LoRA(r=2, alpha=6, dropout=0.1)

MakeModel = Callable[..., CALF]


def stir(model: CALF, seed: int = 0) -> CALF:
    """Move every trained number, so that no LoRA is zero and no norm or position is like its twin's."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture
def make_model(tiny_gpt2: Path) -> MakeModel:
    """Build a stirred model on the tiny GPT-2, in evaluation mode."""

    def make(
        channels: int = 3,
        *,
        lora: LoRA | None = LOW_RANK,
        blocks: int = 2,
        task: str = "long_term_forecast",
        llm: Path = tiny_gpt2,
        init: str = "pretrained",
        seq_len: int = 7,
        pred_len: int = 5,
        seed: int = 0,
    ) -> CALF:
        torch.manual_seed(seed)
        backbone = load_backbone(str(llm), init, blocks)
        config = CALFConfig(seq_len, pred_len, channels, lora, task)
        return stir(CALF(config, backbone.model, torch.randn(10, backbone.width)), seed).eval()

    return make
