"""Device, precision and processes of a run."""

import pytest
import torch

from utils.compute import Compute
from utils.device import check_compiler, check_precision, has_bfloat16
from utils.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_products_have_the_precision_and_parameters_do_not(precision: str, dtype: torch.dtype) -> None:
    linear = torch.nn.Linear(3, 3)
    with Compute(CPU, precision).autocast():
        assert linear(torch.ones(1, 3)).dtype == dtype
    assert linear.weight.dtype == torch.float32


def test_a_later_run_in_the_same_process_may_have_another_precision() -> None:
    assert [Compute(CPU, name).describe_precision() for name in ("bf16", "fp32")] == ["bfloat16", "float32"]


def test_float16_is_refused_on_the_cpu_with_the_remedy() -> None:
    with pytest.raises(UserError, match="--precision fp16 is for CUDA; on the CPU choose bf16 or fp32"):
        check_precision("fp16", CPU)


def test_bfloat16_is_refused_on_a_card_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an old card")
    assert not has_bfloat16(torch.device("cuda", 0))
    with pytest.raises(UserError, match="--precision bf16: an old card has no bfloat16; choose fp16 or fp32"):
        check_precision("bf16", torch.device("cuda", 0))


def test_without_a_compiler_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_nothing(work: object) -> None:
        raise RuntimeError("no g++ here\nand much more")

    monkeypatch.setattr(torch, "compile", compile_nothing)
    with pytest.raises(UserError, match=r"--compile 1: .*\(no g\+\+ here\); it needs a C\+\+ compiler"):
        check_compiler(CPU)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_shards_cover_a_batch_once_and_weigh_one_together(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compute, covered, weight = Compute(CPU, "fp32"), [], 0.0
    for rank in range(3):
        monkeypatch.setattr(Compute, "num_processes", 3)
        monkeypatch.setattr(Compute, "process_index", rank)
        rows, share = compute.shard(count)
        weight += share
        assert rows.stop > rows.start
        covered += list(range(count))[rows] if share else []
    assert covered == list(range(count))
    assert weight == pytest.approx(1)


def test_one_process_computes_all_rows_alone() -> None:
    compute, x, loss = Compute(CPU, "fp32"), torch.arange(5.0), torch.tensor(2.0)
    assert torch.equal(compute.map_rows(torch.neg, x), -x)
    assert compute.all_reduce([], loss) is loss
    assert compute.broadcast({"epoch": 3}) == {"epoch": 3}
