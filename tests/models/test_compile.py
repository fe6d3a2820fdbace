"""What torch.compile is given: few graphs, whatever the batch and whether the model trains."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from models.calf import CALF

pytestmark = pytest.mark.filterwarnings("ignore")  # of the compiler about itself


def tiny_calf(llm: str) -> CALF:
    torch.manual_seed(0)
    config = CALF.Config(24, 8, 3, llm=llm, llm_init="random", gpt_layers=2)
    return CALF.build(config, write=False).eval()


def forecast(model: CALF, x: Tensor) -> Tensor:
    with model.merged_adapters(), torch.inference_mode():
        return model.eval()(x).forecast


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch.compile trace as always, and leave out the C++ compiler, which takes a minute."""
    torch.compiler.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


@pytest.mark.parametrize(
    ("llm", "recompute"),
    [("gpt2-tiny", True), *((llm, False) for llm in ("gpt2-tiny", "bert-tiny", "llama-tiny"))],
)
def test_few_graphs_serve_training_and_evaluation_of_batches_of_any_size(
    traced: None, llm: str, recompute: bool
) -> None:
    model = tiny_calf(llm)
    windows = [torch.randn(batch, 24, 3) for batch in (4, 3, 1)]
    plain = [forecast(model, x) for x in windows]
    if recompute:
        model.recompute_activations()
    model.compile_parts()
    for x, expected in zip(windows, plain, strict=True):
        model.train().training_loss(x, torch.randn(len(x), 8, 3)).backward()
        torch.testing.assert_close(forecast(model, x), expected)
    learned_positions = llm in ("gpt2-tiny", "bert-tiny")
    # Blocks with adapters, without them, and in evaluation; without learned positions the text branch's first, too.
    assert counters["stats"]["unique_graphs"] == (3 if learned_positions else 4)
    assert not counters["graph_break"]
