"""Small models of ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from layers.backbone import load_backbone
from layers.word_embeddings import WordEmbeddings
from models.calf import CALF

WORDS = 10

MakeModel = Callable[..., CALF]


def series(channels: int = 3, batch: int = 4, seq_len: int = 7, seed: int = 5) -> Tensor:
    """Windows (B, L, C) far from a standardized scale."""
    return 3 + 2 * torch.randn(batch, seq_len, channels, generator=torch.Generator().manual_seed(seed))


def stir(model: CALF) -> CALF:
    """Move every trained number, so that no LoRA is zero and no norm or position is like its twin's."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture
def make_model(tiny_gpt2: Path) -> MakeModel:
    """Build a stirred CALF on the tiny GPT-2, in evaluation mode.

    Its backbone is that of a local folder, ``random``, or one that is to be had elsewhere, as from the ``hub``.
    Keyword arguments are fields of its Config.
    """

    def make(channels: int = 3, *, source: str = "local", llm: Path = tiny_gpt2, **fields: Any) -> CALF:
        torch.manual_seed(0)
        init = "random" if source == "random" else "pretrained"
        fields = {"seq_len": 7, "pred_len": 5, "gpt_layers": 2, "r": 2, "lora_alpha": 6, **fields}
        config = CALF.Config(channels=channels, llm=str(llm), llm_init=init, **fields)
        loaded = load_backbone(str(llm), init, config.gpt_layers)
        loaded.origin["stored"] = source != "hub"
        return stir(CALF(config, loaded, WordEmbeddings(torch.randn(WORDS, loaded.width)))).eval()

    return make
