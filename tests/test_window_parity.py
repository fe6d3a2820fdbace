"""Windows and scaler against the release: every golden case, on the real file it was recorded from.

Each golden file records, for one data set, how many windows each split has, the scaler, and digests of the
first, the middle and the final window.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_provider.config import DataConfig
from data_provider.factory import ForecastData, load_data
from data_provider.windows import Split
from tests.helpers.places import DATASETS, GOLDEN, golden_cases

FILES = golden_cases("windows/*.json")
CASES = [(file, i) for file in FILES for i in range(len(json.loads(file.read_text())["cases"]))]
RELATIVE = 1e-9

pytestmark = pytest.mark.skipif(not FILES, reason=f"no golden windows under {GOLDEN} (CALF_GOLDEN)")


def load_case(file: Path, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data set's record and one of its cases; skips where the data set itself is missing."""
    record = json.loads(file.read_text())
    if not (DATASETS / record["file"]).is_file():
        pytest.skip(f"no {record['file']} under {DATASETS} (CALF_DATASETS)")
    return record, record["cases"][number]


@cache
def load_once(**fields: Any) -> ForecastData:
    """Return data for all splits, whose cases follow each other."""
    return load_data(DataConfig(**fields))


def digest(window: np.ndarray) -> list[float]:
    return [window.sum(), np.square(window).sum(), window.ravel()[0], window.ravel()[-1]]


@pytest.mark.parametrize(("file", "number"), CASES, ids=[f"{file.stem}-{i}" for file, i in CASES])
def test_counts_scaler_and_windows_equal_the_release(file: Path, number: int) -> None:
    record, case = load_case(file, number)
    names = {name: case[name] for name in ("pred_len", "features", "percent")}
    names |= {name: record[name] for name in ("data", "seq_len", "target")}
    data = load_once(root_path=str(DATASETS), data_path=record["file"], **names)
    windows = data.windows[Split(case["split"])]
    assert len(windows) == case["windows"]
    np.testing.assert_allclose(data.scaler.mean_, case["scaler_mean"], rtol=RELATIVE)
    np.testing.assert_allclose(data.scaler.scale_, case["scaler_scale"], rtol=RELATIVE)
    for place in ("first", "middle", "final"):
        recorded = case[place]
        for name, ours in zip("xy", windows.window(recorded["index"]), strict=True):
            theirs = recorded[name]
            assert list(ours.shape) == theirs["shape"], (place, name)
            expected = [theirs[key] for key in ("sum", "sum_sq", "first", "last")]
            np.testing.assert_allclose(digest(ours), expected, rtol=RELATIVE, err_msg=f"{place} {name}")


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_golden_file_holds_cases_of_every_split(file: Path) -> None:
    splits = {case["split"] for case in json.loads(file.read_text())["cases"]}
    assert splits == {split.value for split in Split}
