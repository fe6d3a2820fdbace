"""How long a piece of work takes, and how fast large matrix products run beside it."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from utils.benchmark.contestants import DTYPES

MATRIX = {"cpu": 2048, "cuda": 8192}  # large enough to be at the peak


@dataclass(frozen=True)
class Counts:
    """How often training steps and evaluations are timed, and how many before do not count; the median is reported.

    Attributes:
        enough: seconds after which neither is repeated.
    """

    train: int
    evaluation: int
    warm_up: int
    enough: float = math.inf


def counts_for(device: torch.device) -> tuple[Counts, Counts]:
    """Those of CALF, and of the plain restatement, which evaluates single windows; more on a GPU, which is fast."""
    if device.type == "cuda":
        return Counts(20, 20, 5), Counts(10, 100, 5)
    return Counts(5, 5, 2), Counts(3, 30, 2)


def seconds(
    work: Callable[[], None], repeats: int, warm_up: int, device: torch.device, enough: float = math.inf
) -> float:
    """Median time of ``work``, after ``warm_up`` runs that do not count; no more repeats after ``enough`` seconds."""
    for _ in range(warm_up):
        work()
    times = []
    for _ in range(repeats):
        _synchronise(device)
        start = time.perf_counter()
        work()
        _synchronise(device)
        times.append(time.perf_counter() - start)
        if sum(times) > enough:
            break
    return statistics.median(times)


def matrix_rate(device: torch.device, precision: str, repeats: int = 10) -> float:
    """FLOP/s of products of square matrices, the median of ``repeats``."""
    edge = MATRIX[device.type]
    a, b = torch.randn(2, edge, edge, device=device, dtype=DTYPES[precision])
    return 2 * edge**3 / seconds(lambda: torch.mm(a, b), repeats, 2, device)


class MatrixRates:
    """The rates of this machine by precision, taken again and again between the other measurements."""

    def __init__(self, device: torch.device, precisions: set[str]) -> None:
        self.device = device
        self._seen: dict[str, list[float]] = {precision: [] for precision in sorted(precisions)}
        self.take()

    def take(self) -> None:
        for precision, seen in self._seen.items():
            seen.append(matrix_rate(self.device, precision))

    def medians(self) -> dict[str, float]:
        return {precision: statistics.median(seen) for precision, seen in self._seen.items()}


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
