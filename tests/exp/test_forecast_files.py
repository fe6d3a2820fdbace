"""The files of a forecast: a copy where ``--output`` says, and earlier ones kept with their date."""

from pathlib import Path

import pandas as pd
import pytest

import run
from exp.forecast_files import keep_earlier
from tests.conftest import Tiny, WriteCsv, hourly_table
from tests.helpers.commands import refused


def plain(tiny: Tiny, **flags: object) -> list[str]:
    """Flags of a run of a second with a forecast."""
    options = {"model": "DLinear", "llm": None, "word_embedding_path": None, "gpt_layers": None, "do_predict": 1}
    return tiny(**options | flags)


def forecast(path: Path, start: str, value: float = 1.0, steps: int = 3) -> Path:
    """Write a forecast's file of two columns."""
    dates = [str(date) for date in pd.date_range(start, periods=steps, freq="h")]
    rows = [{"date": date, "column": column, "forecast": value} for column in ("a", "b") for date in dates]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def replaced(folder: Path, start: str, value: float = 1.0) -> set[str]:
    """Replace the forecast in a folder by a newer one; return the names of all files there."""
    newer = forecast(folder / "newer", start, value)
    keep_earlier(folder / "forecast.csv", newer)
    newer.rename(folder / "forecast.csv")
    return {path.name for path in folder.iterdir()}


def test_the_output_is_the_forecast_and_its_folders_are_made(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    assert run.main(plain(tiny, output="forecasts/2024/09.CSV")) == 0
    (own,) = Path("results").rglob("forecast.csv")
    assert Path("forecasts/2024/09.CSV").read_bytes() == own.read_bytes()
    assert f"forecast: {Path('forecasts/2024/09.CSV').resolve()}" in caplog.messages


def test_month_after_month_leaves_a_history(tiny: Tiny, write_csv: WriteCsv) -> None:
    assert run.main(plain(tiny, name="sales")) == 0
    (own,) = Path("results").rglob("forecast.csv")
    first = own.read_bytes()
    again = ["--is_training", "0", "--load", f"checkpoints/{own.parent.name}", "--do_predict"]
    assert run.main(again) == 0
    assert [path.name for path in own.parent.glob("forecast*.csv")] == ["forecast.csv"]
    write_csv(hourly_table(rows=424))
    assert run.main([*again, "--output", "now.csv"]) == 0
    (kept,) = own.parent.glob("forecast_until_*.csv")
    assert kept.name == "forecast_until_2024-01-17-23-00-00.csv"
    assert kept.read_bytes() == first != own.read_bytes() == Path("now.csv").read_bytes()


def test_of_many_series_the_forecast_of_each_start_is_kept(tiny: Tiny, write_csv: WriteCsv, tmp_path: Path) -> None:
    def long_file(rows: int) -> Path:
        table = pd.concat([hourly_table(rows=rows, channels=1, seed=seed).assign(id=f"s{seed}") for seed in (1, 2)])
        return write_csv(table, name="long.csv")

    flags = plain(tiny, data_path=long_file(120), id_col="id", name="many")
    assert run.main(flags) == 0
    assert run.main(flags) == 0
    (own,) = Path("results").rglob("forecast.csv")
    assert len(list(own.parent.glob("forecast*.csv"))) == 1
    long_file(130)
    assert run.main(["--is_training", "0", "--load", f"checkpoints/{own.parent.name}", "--do_predict"]) == 0
    assert [path.name for path in own.parent.glob("forecast_until*")] == ["forecast_until_2024-01-06-07-00-00.csv"]


def test_only_a_forecast_with_another_start_is_kept_and_never_over_another_one(tmp_path: Path) -> None:
    assert replaced(tmp_path, "2024-01-01") == {"forecast.csv"}
    assert replaced(tmp_path, "2024-01-01", value=2.0) == {"forecast.csv"}
    kept = "forecast_until_2024-01-01-02-00-00"
    assert replaced(tmp_path, "2024-02-01") == {"forecast.csv", f"{kept}.csv"}
    replaced(tmp_path, "2024-01-01", value=3.0)
    names = replaced(tmp_path, "2024-03-01")
    assert names >= {f"{kept}.csv", f"{kept}_2.csv"}
    assert [pd.read_csv(tmp_path / f"{kept}{end}.csv").forecast[0] for end in ("", "_2")] == [2.0, 3.0]
    replaced(tmp_path, "2024-01-01", value=3.0)
    assert replaced(tmp_path, "2024-04-01") - names == {"forecast_until_2024-03-01-02-00-00.csv"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1,2\n", b"date\n"])
def test_a_file_that_is_no_forecast_is_replaced_as_any_other(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "forecast.csv").write_bytes(content)
    assert replaced(tmp_path, "2024-01-01") == {"forecast.csv"}


def test_an_output_that_cannot_be_one_is_refused_before_training(
    tiny: Tiny, workplace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "there.csv").mkdir()
    (workplace / "file").write_text("")
    said = {
        "there.csv": f"{workplace}/there.csv is a folder; name a file in it, like {workplace}/there.csv/forecast.csv.",
        "forecast.xlsx": f"{workplace}/forecast.xlsx: what is written is a CSV file; give it a name that ends in .csv.",
        "file/x.csv": f"{workplace}/file/x.csv: {workplace}/file is a file, not a folder; choose another path.",
        f"{tmp_path}/data.csv": f"{tmp_path}/data.csv is the file that is read; give what is written another name.",
    }
    for output, message in said.items():
        assert refused(plain(tiny, output=output), capsys) == f"error: --output {message}\n"
    several = refused(plain(tiny, output="x.csv", itr=2), capsys)
    assert several.endswith("x.csv takes the result of one run, and --itr 2 makes several: leave one out.\n")


def test_an_output_without_a_forecast_has_no_effect_and_that_is_said(
    tiny: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.main([*plain(tiny, output="x.csv", do_predict=0), "--dry_run"]) == 0
    assert "no effect without --do_predict: --output" in caplog.messages
