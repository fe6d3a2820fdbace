"""Pictures appear, whatever the channels are called."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from utils import plots
from utils.plots import first_and_last, plot_forecast, plot_future, plot_losses, plot_series

pytestmark = pytest.mark.pictures


def draw(path: Path, columns: Sequence[str], title: str = "title") -> None:
    random = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=12, freq="h")
    history, truth, forecast = (random.normal(size=(steps, len(columns))) for steps in (8, 4, 4))
    ahead = {"truth": truth, "forecast": forecast}
    plot_forecast(path, dates, history, ahead, first_and_last(columns), title)


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels of the panels of every figure saved during the test."""
    labels: list[str] = []
    save = Figure.savefig

    def spy(figure: Figure, *args: object, **kwargs: object) -> None:
        labels.extend(axis.get_ylabel() for axis in figure.axes)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", spy)
    return labels


def test_a_png_appears_alone_in_its_folder(tmp_path: Path) -> None:
    draw(tmp_path / "plots" / "window.png", ["a", "OT"])
    assert (tmp_path / "plots" / "window.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["window.png"]


@pytest.mark.parametrize(
    ("channels", "shown"), [(1, [0]), (7, range(7)), (8, [0, 1, 2, 3, 4, 5, 7]), (20, [0, 1, 2, 3, 4, 5, 19])]
)
def test_up_to_seven_panels_are_drawn_and_the_target_is_among_them(
    tmp_path: Path, panels: list[str], channels: int, shown: Sequence[int]
) -> None:
    draw(tmp_path / "window.png", [f"c{i}" for i in range(channels)])
    assert panels == [f"c{i}" for i in shown]


@pytest.mark.parametrize("name", ["$^$", "US$_$", "a_b", "100%", "\\frac", "{x}", "Größe", "気温 🙂"])
def test_a_name_is_drawn_as_it_is_and_not_as_a_formula(tmp_path: Path, panels: list[str], name: str) -> None:
    draw(tmp_path / "window.png", [name], title=name)
    assert panels == [name]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("d\udce4ta", "d\\xe4ta"),
        ("a\0b", "a\\x00b"),
        ("two\nlines\x1b[31m", "two\\nlines\\x1b[31m"),
        ("x" * 10**6, "x" * 200),
    ],
    ids=["no UTF-8", "NUL", "control characters", "long"],
)
def test_a_name_that_cannot_be_drawn_is_escaped_or_cut(
    tmp_path: Path, panels: list[str], name: str, label: str
) -> None:
    draw(tmp_path / "window.png", [name], title=name)
    values = np.ones((1, 3))
    plot_series(tmp_path / "series.png", [name], [np.ones(4)], values, {"CALF": values}, name)
    plot_losses(tmp_path / "loss.png", [{"epoch": 1, "train_loss": 1.0, "mse": 1.0}], "mse", name)
    assert panels[:2] == [label, label]


def test_a_folder_may_have_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    draw(tmp_path / os.fsdecode(b"\xe4") / "window.png", ["a"])
    assert (tmp_path / os.fsdecode(b"\xe4") / "window.png").stat().st_size


def test_no_figure_stays_open(tmp_path: Path) -> None:
    draw(tmp_path / "window.png", ["a"])
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.parametrize("count", [1, 4, 6])
def test_series_are_drawn_a_panel_each(tmp_path: Path, count: int) -> None:
    histories = [np.arange(5.0 + i) for i in range(count)]
    truths = np.ones((count, 3))
    forecasts = {"CALF": truths + 1, "naive2": truths + 2}
    path = tmp_path / "series.png"
    plot_series(path, [f"H{i}_$x$" for i in range(count)], histories, truths, forecasts, "M4")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(("channels", "pages"), [(1, 1), (2, 1), (3, 2), (9, 3)])
def test_the_future_has_a_panel_for_each_column_up_to_as_many_pages_as_there_may_be(
    tmp_path: Path, panels: list[str], channels: int, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "ON_A_PAGE", 2)
    monkeypatch.setattr(plots, "MOST_PAGES", 3)
    dates = pd.date_range("2024-01-01", periods=9, freq="D")
    forecast = np.ones((1, channels))
    none = np.full_like(forecast, np.nan)
    names = [f"c{i}" for i in range(channels)]
    bands = {0.5: (forecast - 1, forecast + 1), 0.9: (none, none)}
    files = plot_future(tmp_path, dates, np.zeros((8, channels)), {"forecast": forecast}, bands, names, "title")
    assert [path.name for path in files] == ["forecast.png", *(f"forecast_{page}.png" for page in range(2, pages + 1))]
    assert all(path.stat().st_size for path in files)
    assert panels == names[:6]
