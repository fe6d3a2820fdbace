"""AutoETS, AutoTheta and MSTL beside plain calls of statsforecast, on odd windows, and where it is not installed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import models
import run
from exp.forecaster import Forecaster
from models.statistical import KNOTS, LEVEL, WindowFitted
from tests.conftest import WriteCsv, hourly_table
from tests.helpers.commands import refused, succeed
from utils.errors import UserError

NAMES = ("AutoETS", "AutoTheta", "MSTL")
STEPS, YEAR = 18, 12
ROOT = Path(run.__file__).parent

each_model = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def library() -> Any:
    """Return the models of statsforecast."""
    with pytest.MonkeyPatch.context():
        return pytest.importorskip("statsforecast.models", reason="statsforecast is not installed")


def build(name: str, season: int = YEAR, seq_len: int = 24, pred_len: int = STEPS, **flags: object) -> WindowFitted:
    """Build a model."""
    pytest.importorskip("statsforecast", reason="statsforecast is not installed")
    kind = models.find_model(name)
    return kind(kind.Config(seq_len, pred_len, 1, season, **flags))


def forecast(model: WindowFitted, series: np.ndarray) -> np.ndarray:
    """Forecast one series (T,)."""
    return model(torch.from_numpy(series)[None, :, None]).forecast[0, :, 0].double().numpy()


def monthly(rows: int = 96, seed: int = 0) -> np.ndarray:
    """Ten thousand a month, with a trend and a season that grow together."""
    months, random = np.arange(rows), np.random.default_rng(seed)
    season = 1 + 0.2 * np.sin(2 * np.pi * months / YEAR)
    return 10_000 * np.exp(0.005 * months) * season * np.exp(0.03 * random.normal(size=rows))


def hourly(rows: int) -> np.ndarray:
    """An hourly series with a day and a week."""
    hours, random = np.arange(rows), np.random.default_rng(1)
    return np.sin(hours * np.pi / 12) + np.sin(hours * np.pi / 84) + 0.2 * random.normal(size=rows)


# --- the same figures as the package's own ---

Plain = Callable[[Any], Any]
JUMPS = {"trend_jump": YEAR // KNOTS, "low_pass_jump": YEAR // KNOTS}
ADDED: dict[str, Plain] = {
    "AutoETS": lambda library: library.AutoETS(YEAR, model="AZZ"),
    "AutoTheta": lambda library: library.AutoTheta(YEAR, decomposition_type="additive"),
    "MSTL": lambda library: library.MSTL([YEAR], library.AutoETS(model="AZN"), JUMPS),
}
FACTORS: dict[str, Plain] = {
    "AutoETS": lambda library: library.AutoETS(YEAR),
    "AutoTheta": lambda library: library.AutoTheta(YEAR),
    "MSTL": lambda library: library.MSTL([YEAR], library.AutoETS(model="ZZN"), JUMPS),
}


@each_model
def test_forecasts_are_those_of_plain_calls_on_the_series_at_one_level(library: Any, name: str) -> None:
    series = monthly()
    mean, deviation = series.mean(), series.std()
    plain = ADDED[name](library).forecast((series - mean) / deviation + LEVEL, STEPS)["mean"]
    expected = (plain - LEVEL) * deviation + mean
    np.testing.assert_allclose(forecast(build(name), series), expected, rtol=0, atol=1e-6)


@each_model
def test_what_may_be_a_factor_is_forecast_as_by_plain_calls_in_the_units_of_the_series(library: Any, name: str) -> None:
    series = monthly()
    expected = FACTORS[name](library).forecast(series, STEPS)["mean"]
    found = forecast(build(name, multiplicative=1), series)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert not np.allclose(found, forecast(build(name), series), rtol=1e-3)


@each_model
def test_only_a_series_above_zero_has_factors(name: str) -> None:
    series = monthly() - 10_000
    assert (forecast(build(name, multiplicative=1), series) == forecast(build(name), series)).all()


@each_model
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float64, 1e-6), (np.float32, 5.0)], ids=["float64", "float32"])
def test_forecasts_do_not_depend_on_the_units(name: str, kind: type, tolerance: float) -> None:
    series, model = monthly(), build(name)
    mean, scale = series[:50].mean(), series[:50].std()
    standardized = forecast(model, ((series - mean) / scale).astype(kind)) * scale + mean
    np.testing.assert_allclose(standardized, forecast(model, series), rtol=0, atol=tolerance)


@each_model
def test_a_season_is_continued(name: str) -> None:
    series = np.tile([3.0, 1, 2, 5, 4, 9, 7, 7, 8, 0, 6, 5], 8)
    noise = 0.01 * np.random.default_rng(0).normal(size=len(series))
    np.testing.assert_allclose(forecast(build(name), series + noise), np.resize(series, STEPS), atol=0.1)


# --- what a window holds ---


@each_model
def test_rows_before_the_beginning_of_a_series_do_not_count(name: str) -> None:
    series, model = monthly(60), build(name)
    both = np.stack([series, series[::-1]], axis=1)
    padded = np.concatenate([np.zeros((36, 2)), both])
    found = model(torch.from_numpy(padded)[None]).forecast
    assert torch.equal(found, model(torch.from_numpy(both)[None]).forecast)
    assert (found[0, :, 0].numpy() == forecast(model, series)).all()


@each_model
def test_history_is_what_is_fitted_on(name: str) -> None:
    series = monthly()
    np.testing.assert_array_equal(forecast(build(name, history=40), series), forecast(build(name), series[-40:]))


@pytest.mark.parametrize(
    ("name", "season", "seq_len", "rows"),
    [
        ("AutoETS", 1, 24, 100), ("AutoETS", 7, 24, 100), ("AutoETS", 12, 24, 120), ("AutoETS", 24, 96, 240),
        ("AutoTheta", 168, 96, 1000), ("AutoTheta", 96, 96, 960), ("AutoETS", 12, 512, 512),
        ("MSTL", 12, 24, 120), ("MSTL", 24, 96, 1000), ("MSTL", 7, 24, 1095), ("MSTL", 96, 96, 2016),
    ],
)  # fmt: skip
def test_the_history_follows_from_the_season(name: str, season: int, seq_len: int, rows: int) -> None:
    assert build(name, season, seq_len).lookback == rows
    assert build(name, season, seq_len, history=77).lookback == 77


def test_seasons_that_a_series_does_not_hold_twice_are_left_out(library: Any) -> None:
    model, daily = build("MSTL", 24), build("AutoETS", 24)
    short, long = hourly(335), hourly(400)
    np.testing.assert_array_equal(forecast(model, short), forecast(build("AutoETS", 24, history=335), short))
    assert not np.allclose(forecast(model, long), forecast(daily, long), atol=0.1)
    np.testing.assert_array_equal(forecast(model, long[:47]), forecast(build("MSTL", 1), long[:47]))


def test_a_long_season_is_taken_out_before_exponential_smoothing_and_the_header_says_so() -> None:
    model = build("AutoETS", 24)
    truth = np.sin(np.arange(240 + STEPS) * np.pi / 12)
    assert np.abs(forecast(model, truth[:240] + 0.05 * hourly(240)) - truth[240:]).max() < 0.3
    assert any("a season of 24 steps is too long" in line for line in model.describe())
    assert not any("too long" in line for line in build("AutoETS").describe())


# --- windows that cannot be fitted ---

ODD = {
    "zeros": np.zeros(60), "constant": np.full(60, 0.1), "huge": monthly() * 1e30, "tiny": (monthly() - 1e4) * 1e-40,
    "level": 1e8 + monthly() / 1e4, "spike": np.r_[np.zeros(59), 1e6, 0], "step": np.r_[np.zeros(50), np.ones(50)],
    "line": np.arange(60.0), "two values": np.tile([0.0, 1.0], 40), "counts": np.r_[0, 0, 3, np.zeros(40), 1, 0],
    "explosion": np.exp(np.arange(80.0)), **{f"{n} rows": monthly()[:n] for n in (1, 2, 3, 4, 5, 6, 7, 9, 13, 24, 25)},
}  # fmt: skip


@each_model
@pytest.mark.parametrize("multiplicative", [0, 1])
def test_every_window_has_a_finite_forecast_without_a_word(
    library: Any, name: str, multiplicative: int, capfd: pytest.CaptureFixture[str]
) -> None:
    model = build(name, multiplicative=multiplicative)
    for title, series in ODD.items():
        assert np.isfinite(forecast(model, series.astype(np.float32))).all(), title
    assert capfd.readouterr() == ("", "")


@each_model
@pytest.mark.parametrize("value", [0.0, 0.1, -1e30, 5e-324])
def test_a_constant_goes_on(name: str, value: float) -> None:
    assert (forecast(build(name), np.full(60, value)) == value).all()


@each_model
@pytest.mark.parametrize(("rows", "first"), [(40, 22), (5, 4)])
def test_what_cannot_be_fitted_repeats_its_last_season_or_value(
    library: Any, name: str, rows: int, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise Exception("no model able to be fitted")

    for kind in NAMES:
        monkeypatch.setattr(getattr(library, kind), "forecast", fail)
    series = np.arange(rows, dtype=float)
    season = series[-YEAR:] if rows > YEAR else series[-1:]
    np.testing.assert_array_equal(forecast(build(name), series), np.resize(season, STEPS))


# --- in a run ---


@pytest.fixture
def short(write_csv: WriteCsv, workplace: Path) -> list[str]:
    """Return flags of a run on an hourly file with fewer rows than the models would like to see."""
    flags = {"data_path": write_csv(rows=120, channels=1), "seq_len": 24, "pred_len": 6, "device": "cpu"}
    return [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]


def test_a_run_makes_do_with_the_rows_there_are(library: Any, short: list[str]) -> None:
    (record,) = succeed([*short, "--model", "MSTL"])
    scores = {name: report["standardised"]["mse"] for name, report in record["scores"]["metrics"].items()}
    assert scores["MSTL"] < scores["naive"] / 2
    forecaster = Forecaster.load(Path("checkpoints") / record["run"]["setting"])
    assert forecaster.lookback == 1000
    table = hourly_table(rows=100, channels=1)
    found = forecaster.predict(table)
    assert len(found) == 6 and found["forecast"].notna().all()
    with pytest.raises(UserError, match="has 20 rows, the model looks back 24"):
        forecaster.predict(table[:20])


def test_the_rows_before_a_forecast_are_read_beyond_the_window(library: Any, short: list[str]) -> None:
    forecasts = {}
    for history in (24, 70):
        succeed([*short, "--model", "MSTL", "--history", str(history), "--des", str(history)])
        (path,) = Path("results").glob(f"*_{history}_seed*/forecast.csv")
        forecasts[history] = pd.read_csv(path)["forecast"]
    assert not np.allclose(forecasts[24], forecasts[70], atol=1e-3)


# --- without the package ---


@each_model
def test_without_the_package_a_run_ends_with_the_remedy(
    name: str, short: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    message = refused([*short, "--model", name, "--history", "50"], capsys)
    assert 'need the package statsforecast: python -m pip install "statsforecast' in message


def test_help_needs_neither_the_package_nor_pytorch_and_a_model_imports_it_when_it_forecasts() -> None:
    code = (
        "import sys; from exp.flags import build_parser; from models import MODELS, find_config; "
        "print(*[name for name in MODELS if find_config(name).slow]); print(build_parser('MSTL')[0].format_help()); "
        "assert 'torch' not in sys.modules; import models.statistical; "
        "assert not {'statsforecast', 'numba'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    slow, text = done.stdout.split("\n", 1)
    assert slow.split() == list(NAMES)
    assert "--history N" in text and "--multiplicative" in text
