"""M4's scores and Naive2 against recorded figures: every golden case, on the real files.

Each golden file records, for one pattern, its series and the scores of some methods; forecasts lie beside it as
``<method>.csv``, Naive2's official ones with the data set.
"""

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_provider.config import M4Config
from data_provider.datasets import find_dataset
from data_provider.m4 import M4Data, read_m4
from data_provider.series import FlatSeries, last_windows
from models.base import Model
from models.config import ModelConfig
from models.naive import Naive, SeasonalNaive
from tests.helpers.places import DATASETS, GOLDEN, golden_cases
from utils.m4.naive2 import naive2
from utils.m4.patterns import PATTERNS, Pattern
from utils.m4.scores import Scores, score, seasonal_scale

FILES = golden_cases("m4/*.json")
FOLDER = DATASETS / "m4"
RELATIVE = 1e-6


def record_of(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


CASES = [(file, key) for file in FILES for key, value in record_of(file).items() if isinstance(value, dict)]

pytestmark = pytest.mark.skipif(not FILES, reason=f"no golden M4 scores under {GOLDEN} (CALF_GOLDEN)")
per_pattern = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def load(file: Path) -> M4Data:
    """The pattern's series; skips where they are missing."""
    for part in ("train", "test"):
        name = f"{file.stem}-{part}.csv"
        if not any(FOLDER.rglob(name)):  # in the folder, or in its Train/ or Test/
            pytest.skip(f"no m4/{name} under {DATASETS} (CALF_DATASETS)")
    return read_once(file.stem)


@cache
def read_once(name: str) -> M4Data:
    return read_m4(M4Config(seasonal_patterns=name, root_path=str(FOLDER)), find_dataset("m4"))


def official_naive2(data: M4Data) -> np.ndarray:
    if data.naive2 is None:
        pytest.skip(f"no official Naive2 forecasts in {FOLDER}")
    return data.naive2


def score_of(forecast: np.ndarray, data: M4Data, season: int, reference: Scores | None = None) -> Scores:
    return score(forecast, data.test, seasonal_scale(data.values, data.offsets, season), reference)


def untrained(kind: type[Model], data: M4Data, pattern: Pattern) -> np.ndarray:
    """The forecasts (N, H) of a model that needs no training."""
    model = kind(ModelConfig(1, pattern.horizon, 1, pattern.season))
    series = FlatSeries(data.values, data.offsets, np.float64)
    return model(last_windows(series, model.lookback, 0)).forecast[..., 0].numpy()


def forecasts_of(method: str, file: Path, data: M4Data) -> list[np.ndarray]:
    """Recorded and our own forecasts of a method, (N, H) each; skips where there are none."""
    pattern, found = PATTERNS[file.stem], []
    recorded = file.parent / f"{method}.csv"
    if recorded.is_file():
        with recorded.open(newline="") as lines:
            rows = {row[0]: row[1 : 1 + pattern.horizon] for row in csv.reader(lines)}
        found.append(np.array([rows[name] for name in data.ids], dtype=np.float64))
    if method == "Naive":
        found.append(untrained(Naive, data, pattern))
    if method == "sNaive":
        found.append(untrained(SeasonalNaive, data, pattern))
    if method == "Naive2":
        found.append(official_naive2(data))
    if not found:
        pytest.skip(f"no forecasts of {method} in {file.parent}")
    return found


@per_pattern
def test_horizon_season_and_series_equal_the_record(file: Path) -> None:
    data, record, pattern = load(file), record_of(file), PATTERNS[file.stem]
    lengths = np.diff(data.offsets)
    assert (pattern.horizon, pattern.season) == (record["horizon"], record["seasonality"])
    assert pattern.series == len(data.ids) == len(lengths) == record["n"]
    assert (lengths.min(), lengths.max()) == (record["min_len"], record["max_len"])


@pytest.mark.parametrize(("file", "method"), CASES, ids=[f"{file.stem}-{method}" for file, method in CASES])
def test_scores_equal_the_record(file: Path, method: str) -> None:
    data, record, season = load(file), record_of(file)[method], PATTERNS[file.stem].season
    for forecast in forecasts_of(method, file, data):
        scores = score_of(forecast, data, season)
        for name in ("smape", "mase", "mape"):
            assert getattr(scores, name) == pytest.approx(record[name], rel=RELATIVE), name
        if "owa" in record:
            reference = score_of(official_naive2(data), data, season)
            assert score_of(forecast, data, season, reference).owa == pytest.approx(record["owa"], rel=RELATIVE)


@per_pattern
def test_our_naive2_agrees_with_the_official_forecasts(file: Path) -> None:
    data, pattern = load(file), PATTERNS[file.stem]
    official = official_naive2(data)
    ours = naive2(data.values, data.offsets, pattern.horizon, pattern.season)
    agrees = np.isclose(ours, official, rtol=1e-4, atol=0).all(axis=1)
    assert agrees.mean() >= 0.99
