"""What is timed, and how often."""

from tests.utils.benchmark.tiny import CPU
from utils.benchmark.clock import MatrixRates, counts_for, seconds


def test_repeats_are_medians_of_more_than_one() -> None:
    for counts in counts_for(CPU):
        assert min(counts.train, counts.evaluation) >= 3
        assert counts.warm_up >= 1


def test_warm_up_and_repeats_are_all_run() -> None:
    runs: list[int] = []
    seconds(lambda: runs.append(1), 3, 2, CPU)
    assert len(runs) == 5


def test_what_takes_long_is_not_repeated() -> None:
    runs: list[int] = []
    seconds(lambda: runs.append(1), 3, 0, CPU, enough=0.0)
    assert len(runs) == 1


def test_matrix_rates_are_known_for_each_precision() -> None:
    rates = MatrixRates(CPU, {"fp32", "bf16"})
    rates.take()
    assert rates.medians().keys() == {"fp32", "bf16"}
    assert all(rate > 0 for rate in rates.medians().values())
