"""The table of data sets: borders as in the literature, sources, unknown names."""

from pkgutil import resolve_name

import pytest

from data_provider.datasets import ANOMALY, DATASETS, UEA, Borders, DatasetSpec, find_dataset
from utils.errors import UserError

HOURS, QUARTERS = 14400, 57600  # 20 months of 30 days

# Rows of the published files, and the borders that the literature uses.
PUBLISHED = {
    "ETTh1": (17420, (8640, 11520, 14400)),
    "ETTh2": (17420, (8640, 11520, 14400)),
    "ETTm1": (69680, (34560, 46080, 57600)),
    "ETTm2": (69680, (34560, 46080, 57600)),
    "weather": (52696, (36887, 42157, 52696)),
    "electricity": (26304, (18412, 21044, 26304)),
    "traffic": (17544, (12280, 14036, 17544)),
    "illness": (966, (676, 773, 966)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_data_sets_are_split_as_in_the_literature(name: str) -> None:
    rows, borders = PUBLISHED[name]
    assert find_dataset(name).split(rows, name) == borders


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_data_set_says_where_it_lies_and_comes_from(name: str) -> None:
    spec = find_dataset(name)
    assert spec.folder
    assert spec.file.endswith(".csv")
    assert spec.url.startswith("https://")


def test_every_data_set_of_forecasting_but_m3_is_fetched_or_needs_no_place_of_its_own() -> None:
    forecast = {name: spec for name, spec in DATASETS.items() if spec.config not in (UEA, ANOMALY)}
    assert {name for name, spec in forecast.items() if spec.file is None} == {"custom", "m4", "m3", "sample"}
    assert forecast.keys() == PUBLISHED.keys() | {"custom", "m4", "m3", "sample"}


def test_the_ten_sets_of_the_literature_have_classes() -> None:
    folders = {name: spec.folder for name, spec in DATASETS.items() if spec.config == UEA}
    assert len(folders) == 10
    assert all(folder == f"UEA/{name}" for name, folder in folders.items())


@pytest.mark.parametrize("spec", DATASETS.values(), ids=DATASETS)
def test_the_places_that_a_row_names_are_there(spec: DatasetSpec) -> None:
    for place in (spec.config, spec.read, *([spec.best_forecast] if spec.best_forecast else [])):
        assert callable(resolve_name(place))


@pytest.mark.parametrize(("name", "rows"), [("ETTh1", HOURS), ("ETTm1", QUARTERS)])
def test_the_ett_split_takes_exactly_twenty_months(name: str, rows: int) -> None:
    assert find_dataset(name).split(rows, name).test == rows
    with pytest.raises(UserError, match=f"f.csv has {rows - 1:,} rows; the ETT split takes {rows:,} "):
        find_dataset(name).split(rows - 1, "f.csv")


@pytest.mark.parametrize(
    ("rows", "borders"), [(1, (0, 1, 1)), (2, (1, 2, 2)), (9, (6, 8, 9)), (10, (7, 8, 10)), (99, (69, 80, 99))]
)
def test_own_files_are_split_70_10_20_rounded_down(rows: int, borders: tuple[int, int, int]) -> None:
    assert find_dataset("custom").split(rows, "f.csv") == Borders(*borders)


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(UserError, match=r"--data ETTh3: no such data set; choose one of ETTh1, .*, sample\."):
        find_dataset("ETTh3")
