"""A run on a generated file in a process of its own, and what it took."""

from pathlib import Path

import pandas as pd
import pytest

from data_provider.datasets import percent_70_10_20
from utils.benchmark import streaming
from utils.benchmark.streaming import Stream, generate, measure_stream, report_stream
from utils.errors import UserError


@pytest.mark.parametrize("stream", [Stream(), Stream(60, 3, 24), Stream(300, 2, 96)])
def test_the_file_is_as_long_as_the_windows_take_and_trains_on_a_batch(stream: Stream) -> None:
    borders = percent_70_10_20(stream.rows, "generated")
    assert borders.test - borders.val - stream.pred_len + 1 == stream.windows
    assert 1 <= stream.percent <= 100
    kept = (borders.train - streaming.SEQ_LEN) * stream.percent // 100
    assert kept - stream.pred_len + 1 >= streaming.BATCH


def test_measures_a_whole_run() -> None:
    stream = Stream(windows=60, channels=3, pred_len=24)
    figures = measure_stream(stream, "cpu")
    assert figures["array_shape"] == [60, 24, 3]
    assert figures["peak_bytes"] > 100e6
    assert "tested on 60 windows at horizon 24" in report_stream(figures)[0]
    assert report_stream({**figures, "holds": False})[-1].endswith("missed")


def test_the_file_has_dates_and_as_many_columns(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    generate(path, 30, 4)
    table = pd.read_csv(path, parse_dates=["date"])
    assert list(table.columns) == ["date", "0", "1", "2", "OT"]
    assert table["date"].diff().dropna().unique() == [pd.Timedelta("1h")]


def test_too_small_a_disk_is_said_before_anything_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "generate", lambda *arguments: pytest.fail("generated"))
    with pytest.raises(UserError, match=r"GB free, the arrays take .*: set TMPDIR"):
        measure_stream(Stream(windows=10**7), "cpu")


def test_a_run_that_fails_says_why() -> None:
    with pytest.raises(UserError, match=r"exit code 2: .*--device nowhere"):
        measure_stream(Stream(60, 3, 24), "nowhere")
