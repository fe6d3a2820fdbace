"""Operations are sorted into kinds, and the shares add up."""

import pytest

from tests.utils.benchmark.tiny import CPU, TINY
from utils.benchmark.contestants import Mode
from utils.benchmark.op_shares import kind_of, measure_shares, report_shares, shares


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::mm", "matrix products"),
        ("aten::addmm", "matrix products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32", "matrix products"),
        ("nvjet_hsh_128x256", "matrix products"),
        ("aten::bmm", "attention"),
        ("aten::_softmax_backward_data", "attention"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", "attention"),
        ("fmha_cutlassF_bf16_aligned", "attention"),
        ("aten::bernoulli_", "random numbers"),
        ("aten::native_dropout", "random numbers"),
        ("fused_dropout_kernel_vec", "random numbers"),
        ("aten::copy_", "copies and casts"),
        ("Memcpy HtoD", "copies and casts"),
        ("aten::_to_copy", "copies and casts"),
        ("aten::_fused_adam_", "optimiser"),
        ("triton_poi_fused_add_0", "compiled kernels"),
        ("Torch-Compiled Region: 0/0", "compiled kernels"),
        ("aten::native_layer_norm", "the rest"),
        ("aten::mul", "the rest"),
        ("aten::dropout", "the rest"),
    ],
)
def test_each_operation_is_of_a_kind(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_shares_are_of_the_whole_time() -> None:
    found = shares({"aten::mm": 6.0, "aten::addmm": 2.0, "aten::mul": 1.0, "aten::copy_": 1.0})
    assert found["matrix products"] == 0.8
    assert found["the rest"] == found["copies and casts"] == 0.1
    assert sum(found.values()) == pytest.approx(1)


def test_training_draws_random_numbers_and_evaluation_does_not() -> None:
    figures = measure_shares(TINY, [Mode("fp32"), Mode("bf16")], CPU, warm_up=1)
    for found in figures["profile"].values():
        assert found["training"]["shares"]["random numbers"] > 0
        assert found["evaluation"]["shares"]["random numbers"] == 0
        assert found["evaluation"]["shares"]["optimiser"] == 0
        for phase in ("training", "evaluation"):
            assert found[phase]["shares"]["matrix products"] > 0
            assert sum(found[phase]["shares"].values()) == pytest.approx(1)
    assert any(line.startswith("matrix products") for line in report_shares(figures))


def test_a_size_that_the_machine_cannot_bear_is_skipped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utils.benchmark.rows.available_memory", lambda: 1)
    assert any("fp32 skipped: needs about" in line for line in report_shares(measure_shares(TINY, [Mode()], CPU)))
