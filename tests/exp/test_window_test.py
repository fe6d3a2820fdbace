"""The test on every window holds a batch at a time, however many windows there are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from exp.config import RunConfig
from exp.long_term_forecast import LongTermForecast
from run import parse
from tests.conftest import Tiny, WriteCsv
from utils import conformal
from utils.device import PeakMemory

CHANNELS, STEPS = 14, 192
MEGABYTE = 2**20


def peak_of_a_test(csv: Path, tiny: Tiny) -> tuple[int | None, int]:
    """Peak memory of calibration, test and arrays, in bytes; the size of ``pred.npy``."""
    flags = {"data_path": csv, "pred_len": STEPS, "model_id": csv.stem, "eval_batch_size": 32}
    args, _ = parse(tiny(**flags))
    experiment = LongTermForecast(RunConfig.from_args(args))
    experiment.prepare()
    experiment.folder = Path(csv.stem)
    with PeakMemory(torch.device("cpu")) as memory:
        (record,) = experiment.test()
    results = experiment.config.results
    shape = np.load(results / "pred.npy", mmap_mode="r").shape
    assert shape == np.load(results / "true.npy", mmap_mode="r").shape
    assert shape == (record["scores"]["metrics"]["CALF"]["windows"], STEPS, CHANNELS)
    assert json.loads((results / "metrics.json").read_text())["mse"] == record["scores"]["mse"]
    return memory.peak, (results / "pred.npy").stat().st_size


def test_memory_does_not_grow_with_the_windows(
    tiny: Tiny, write_csv: WriteCsv, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformal, "MOST_BYTES", 2 * MEGABYTE)
    # What a batch takes in the network is the network's, and there are three pictures whatever comes.
    monkeypatch.setattr(LongTermForecast, "forecast", lambda _, x: x[:, -1:].repeat(1, STEPS, 1))
    monkeypatch.setattr("exp.window_test.plot_forecast", lambda *_: None)
    files = [write_csv(name=f"{rows}.csv", rows=rows, channels=CHANNELS) for rows in (4_000, 16_000)]
    (few_peak, few_size), (many_peak, many_size) = (peak_of_a_test(csv, tiny) for csv in files)
    if few_peak is None or many_peak is None:
        pytest.skip("the peak of a process cannot be read here")
    assert many_size > few_size + 16 * MEGABYTE
    assert many_peak - few_peak < (many_size - few_size) / 2
