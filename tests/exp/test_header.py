"""What a run says before it starts."""

import pytest
import torch

from exp.config import RunConfig
from exp.header import describe_training
from models.dlinear import DLinear
from utils.compute import Compute
from utils.device import bfloat16_slowdown


def header(**flags: object) -> str:
    config = RunConfig.from_flags({"model": "DLinear", "data": "sample", **flags})
    model = DLinear(DLinear.Config(24, 8, 3))
    return "\n".join(describe_training(config, model, Compute(torch.device("cpu"), config.training.precision), 8))


def test_bfloat16_without_instructions_is_warned_of_with_the_factor_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.header.has_fast_bfloat16", lambda device: False)
    monkeypatch.setattr("exp.header.bfloat16_slowdown", lambda: 41.5)
    assert "warning" in header(precision="bf16")
    assert "41.5 times as long as in float32; choose --precision fp32" in header(precision="bf16")
    assert "warning" not in header(precision="fp32")


def test_the_slowdown_is_a_ratio_of_times() -> None:
    assert 0 < bfloat16_slowdown() < float("inf")


def test_the_cost_of_a_first_compiled_start_is_said_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "torch.compile" not in header(compile="1")
    monkeypatch.setattr(DLinear, "compile_parts", lambda model, mode: None)
    assert "a minute or more on a CPU" in header(compile="1")
    assert "torch.compile" not in header()
