"""Models that read calendar marks, beside those that do not."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

import models
import run
from data_provider.windows import calendar_marks
from exp.forecaster import Forecaster
from models.base import Model, Output
from tests.conftest import WriteCsv, hourly_table
from tests.helpers.commands import small, succeed
from utils.flags import flags_of

READERS = [name for name in models.MODELS if "marks" in flags_of(models.find_config(name))]
every_reader = pytest.mark.parametrize("name", READERS)


def flags(name: str, csv: Path, gpt2: Path, words: Path, **more: object) -> list[str]:
    values = {
        "model": name, "data_path": csv, "seq_len": 24, "pred_len": 6, "train_epochs": 1, "batch_size": 64,
        "device": "cpu", "log": "none", **small(name, gpt2, words), **more,
    }  # fmt: skip
    return [part for flag, value in values.items() for part in (f"--{flag}", str(value))]


def test_itransformer_and_timesnet_read_marks() -> None:
    assert set(READERS) == {"iTransformer", "TimesNet"}


@every_reader
def test_a_model_forecasts_by_the_marks_of_its_window(
    name: str, write_csv: WriteCsv, workplace: Path, tiny_gpt2: Path, tiny_words: Path
) -> None:
    argv = flags(name, write_csv(), tiny_gpt2, tiny_words)
    (without,) = succeed(argv)
    (_, with_marks) = sorted(succeed([*argv, "--marks", "1"]), key=lambda record: record["model"]["config"]["marks"])
    assert with_marks["model"]["config"]["marks"] == 1
    assert with_marks["scores"]["mse"] != without["scores"]["mse"]


@every_reader
def test_a_model_trains_on_the_marks_of_its_windows(
    name: str, write_csv: WriteCsv, workplace: Path, tiny_gpt2: Path, tiny_words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    kind, forward = models.find_model(name), models.find_model(name).forward

    def watched(self: Model, x: Tensor, marks: Tensor | None = None) -> Output:
        seen.append((self.training, None if marks is None else tuple(marks.shape[1:])))
        return forward(self, x, marks)

    monkeypatch.setattr(kind, "forward", watched)
    succeed(flags(name, write_csv(), tiny_gpt2, tiny_words, marks=1))
    assert set(seen) == {(True, (24, 4)), (False, (24, 4))}


@every_reader
def test_a_forecaster_goes_on_with_the_marks_of_each_window(
    name: str, write_csv: WriteCsv, workplace: Path, tiny_gpt2: Path, tiny_words: Path
) -> None:
    table = hourly_table()
    (record,) = succeed(flags(name, write_csv(table), tiny_gpt2, tiny_words, marks=1))
    forecaster = Forecaster.load(workplace / "checkpoints" / record["run"]["setting"])
    rolled = forecaster.predict(table, predict_len=12, interval=None)
    model, series = forecaster.model, forecaster.series
    values = (table[list(series.columns)].to_numpy() - series.mean) / series.scale
    window = torch.tensor(values[-24:], dtype=torch.float32)[None]
    dates = pd.date_range(table["date"].iloc[-24], periods=24 + 6, freq="h")
    for first in (0, 6):
        marks = calendar_marks(dates[first : first + 24])[None]
        assert marks.shape == (1, 24, 4)
        with torch.inference_mode():
            steps = model(window, marks).forecast
        window = torch.cat([window, steps], dim=1)[:, -24:]
        own = rolled[rolled["column"] == series.columns[0]]["forecast"].to_numpy()[first : first + 6]
        expected = steps[0, :, 0].double().numpy() * series.scale[0] + series.mean[0]
        assert own == pytest.approx(expected, rel=1e-6)


def test_a_model_that_reads_no_marks_says_so(
    write_csv: WriteCsv, workplace: Path, tiny_gpt2: Path, tiny_words: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.main([*flags("CALF", write_csv(), tiny_gpt2, tiny_words, marks=1), "--dry_run"]) == 0
    assert "no effect on CALF: --marks" in caplog.messages
