"""What is measured computes what it says."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from models import CALF
from tests.utils.benchmark.tiny import CPU, TINY
from utils.benchmark.contestants import Bench, Mode, PlainBench, parse_modes, without_fused_encoder


class ProductDtypes(TorchDispatchMode):
    """The precisions that matrix products ran in."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        if function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.seen.add(args[-1].dtype)
        return function(*args, **(kwargs or {}))


def test_the_plain_model_computes_what_calf_computes() -> None:
    plain, calf = PlainBench(TINY, CPU), Bench(TINY, CPU)
    calf.model.eval()
    with torch.no_grad():
        ours = calf.model.branches(calf.x)
        forecast, text_forecast, *_ = plain.forward(plain.x, dropout=0.0)
    torch.testing.assert_close(ours.forecast, forecast, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.text_forecast, text_forecast, rtol=1e-4, atol=1e-4)


def test_a_training_step_moves_the_trained_tensors_of_all() -> None:
    for bench in (Bench(TINY, CPU), Bench(TINY, CPU, Mode("bf16")), PlainBench(TINY, CPU)):
        trained = bench.optimiser.param_groups[0]["params"]
        before = [t.detach().clone() for t in trained]
        bench.train_step()
        bench.train_step()  # LoRA's A moves once its B has left 0
        moved = [not torch.equal(a, b) for a, b in zip(before, trained, strict=True)]
        assert sum(moved) == len(moved)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_products_run_in_the_precision_of_the_mode(precision: str, dtype: torch.dtype) -> None:
    bench = Bench(TINY, CPU, Mode(precision))
    with ProductDtypes() as training:
        bench.train_step()
    # Under a dispatch mode the fused encoder layer no longer sees the autocast.
    with bench.evaluating(), without_fused_encoder(), ProductDtypes() as evaluation:
        bench.evaluate()
    assert dtype in training.seen
    assert evaluation.seen == {dtype}
    assert bench.training_loss().dtype == torch.float32
    if precision == "fp32":
        assert training.seen == {dtype}


def test_evaluation_is_without_dropout_and_training_with_it() -> None:
    bench = Bench(TINY, CPU)
    with bench.evaluating():
        assert not any(module.training for module in bench.model.modules())
    assert bench.model.training


def test_a_compiled_mode_compiles_and_evaluates_without_the_fused_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(CALF, "compile_parts", lambda model, mode: compiled.append(mode))
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    bench = Bench(TINY, CPU, Mode("bf16", "max-autotune"))
    assert compiled == ["max-autotune"]
    fused = torch.backends.mha.get_fastpath_enabled()
    with bench.evaluating():
        assert not torch.backends.mha.get_fastpath_enabled()
        bench.evaluate()
    assert torch.backends.mha.get_fastpath_enabled() == fused
    Bench(TINY, CPU, Mode("bf16"))
    assert len(compiled) == 1


def test_activations_are_recomputed_where_the_mode_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(CALF, "checkpoint_activations", lambda model: calls.append("checkpointed"))
    Bench(TINY, CPU, Mode("fp32"))
    assert not calls
    Bench(TINY, CPU, Mode("fp32", grad_checkpoint=True))
    assert calls == ["checkpointed"]


def test_modes_are_read_from_their_names() -> None:
    modes = parse_modes("fp32, bf16,fp32-compiled,compiled", "reduce-overhead", grad_checkpoint=True)
    assert [mode.name for mode in modes] == ["fp32", "bf16", "fp32-compiled", "bf16-compiled"]
    assert [mode.compile_mode for mode in modes] == [None, None, "reduce-overhead", "reduce-overhead"]
    assert all(mode.grad_checkpoint for mode in modes)


def test_a_failure_while_evaluating_leaves_the_model_in_training() -> None:
    @contextmanager
    def failing() -> Iterator[None]:
        with bench.evaluating():
            raise ValueError
        yield

    bench = Bench(TINY, CPU)
    with pytest.raises(ValueError), failing():
        pass
    assert bench.model.training
