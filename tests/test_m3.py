"""M3: its patterns, its files, its averages, and the forecasts that it published."""

from pathlib import Path

import numpy as np
import pytest

from data_provider.config import M4Config
from data_provider.datasets import find_dataset
from data_provider.m4 import read_m4
from tests.helpers.commands import refused, succeed, tiny_run
from tests.helpers.m4_files import write_rows
from tests.helpers.places import DATASETS
from utils.m4.naive2 import naive2
from utils.m4.patterns import M3, Pattern
from utils.m4.scores import score, seasonal_scale

FOLDER = DATASETS / "m3"
# Naive2 adjusts for a season where a test finds one; where there is no season, nothing depends on the test.
TOLERANCE = {"Yearly": 0.006, "Quarterly": 0.1, "Monthly": 0.2, "Other": 0.006}


@pytest.mark.parametrize("pattern", M3.patterns.values(), ids=lambda pattern: pattern.name)
def test_real_series_and_their_naive2_are_those_of_the_competition(pattern: Pattern) -> None:
    config = M4Config(data="m3", seasonal_patterns=pattern.name, root_path=str(FOLDER))
    if not (FOLDER / f"{pattern.name}-train.csv").is_file():
        pytest.skip(f"no m3/{pattern.name}-train.csv under {DATASETS} (CALF_DATASETS)")
    data = read_m4(config, find_dataset("m3"))
    assert len(data.ids) == pattern.series
    forecast = naive2(data.values, data.offsets, pattern.horizon, pattern.season)
    smape = score(forecast, data.test, seasonal_scale(data.values, data.offsets, pattern.season)).smape
    assert smape == pytest.approx(M3.published["Naive2"][pattern.name], abs=TOLERANCE[pattern.name])


@pytest.fixture
def m3(tmp_path: Path, tiny_gpt2: Path, tiny_words: Path, workplace: Path) -> list[str]:
    """Flags of a tiny run on small files of every pattern; the pattern is to be added."""
    random = np.random.default_rng(0)
    for name, pattern in M3.patterns.items():
        series = [100 + 10 * random.random(length + pattern.horizon) for length in (60, 72)]
        write_rows(tmp_path / f"{name}-train.csv", name, [values[: -pattern.horizon] for values in series])
        write_rows(tmp_path / f"{name}-test.csv", name, [values[-pattern.horizon :] for values in series])
    flags = {"task_name": "short_term_forecast", "data": "m3", "data_path": None, "seq_len": None, "pred_len": None}
    return tiny_run(tmp_path, tiny_gpt2, tiny_words, **flags, m4_draws=3, root_path=tmp_path)


def test_all_patterns_are_pooled_beside_the_published_forecasts(
    m3: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name in M3.patterns:
        caplog.clear()
        succeed([*m3, "--seasonal_patterns", name])
    lines = [line.split() for line in caplog.messages]
    assert ["Theta,", "published", "13.010"] in lines
    assert ["Theta,", "published", "4.410"] in lines
    assert any(line[:2] == ["M3,", "seed"] for line in lines)


def test_a_frequency_of_the_other_competition_is_refused(m3: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    error = refused([*m3, "--seasonal_patterns", "Hourly"], capsys)
    assert "M3 has no such series; choose one of Yearly, Quarterly, Monthly, Other" in error
    m4 = ["--data", "m4", "--seasonal_patterns", "Other"]
    assert "M4 has no such series" in refused([*m3, *m4], capsys)
