"""Long files read as many series: where each begins and ends, what is filled, left out or refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_provider.reading import Panel, Reading, filled, find_ids, panel_from, read_panel
from tests.helpers.long_files import LENGTHS, long_table
from utils.errors import UserError

KNOWN = Reading(known=("promo",))
NAMED = Reading(known=("promo",), id_col="store")


def values_of(panel: Panel, name: str) -> np.ndarray:
    i = panel.ids.index(name)
    return panel.values[panel.offsets[i] : panel.offsets[i + 1], 0]


def test_each_series_has_its_own_beginning_and_length(tmp_path: Path) -> None:
    table = long_table().sample(frac=1, random_state=1)  # in any order of rows
    table.to_csv(tmp_path / "long.csv", index=False)
    panel = read_panel(tmp_path / "long.csv", KNOWN)
    assert find_ids(tmp_path / "long.csv", KNOWN) == ("store",)
    assert dict(zip(panel.ids, panel.lengths.tolist(), strict=True)) == LENGTHS
    assert (panel.columns, panel.grid.frequency, panel.id_column) == (("y",), "D", "store")
    for name in LENGTHS:
        own = long_table().query("store == @name")
        assert values_of(panel, name) == pytest.approx(own["y"].to_numpy())
        i = panel.ids.index(name)
        assert panel.grid.dates[panel.first[i]] == own["date"].iloc[0]
        assert panel.grid.dates[panel.last[i]] == own["date"].iloc[-1]
    assert panel.grid.dates[panel.places].equals(pd.DatetimeIndex(
        pd.concat([long_table().query("store == @name")["date"] for name in panel.ids])
    ))  # fmt: skip


def test_a_pandas_table_is_read_like_a_file() -> None:
    panel = panel_from(long_table(), KNOWN)
    assert panel.ids == tuple(LENGTHS)
    assert panel.known[:, 0].tolist() == long_table()["promo"].tolist()


def test_known_columns_go_on_after_the_end_of_their_series() -> None:
    panel = panel_from(long_table(ahead=5), KNOWN)
    assert dict(zip(panel.ids, panel.lengths.tolist(), strict=True)) == LENGTHS
    assert (np.diff(panel.known_offsets) - panel.lengths).tolist() == [5] * 4
    east = long_table(ahead=5).query("store == 'east'")["promo"].tolist()
    assert panel.known[panel.known_offsets[2] : panel.known_offsets[3], 0].tolist() == east


def test_chosen_series_keep_their_rows() -> None:
    panel = panel_from(long_table(ahead=2), KNOWN)
    chosen = panel.select(np.array([False, True, False, True]))
    assert chosen.ids == ("south", "west")
    for name in chosen.ids:
        assert values_of(chosen, name).tolist() == values_of(panel, name).tolist()
    assert np.diff(chosen.known_offsets).tolist() == [92, 42]


def dropped(*rows: int) -> pd.DataFrame:
    return long_table().drop(index=list(rows))


def test_short_gaps_are_filled_inside_a_series_alone() -> None:
    panel = filled(panel_from(dropped(5, 6, 130), KNOWN), "auto")
    whole = panel_from(long_table(), KNOWN)
    assert panel.lengths.tolist() == whole.lengths.tolist()
    assert values_of(panel, "north")[5:7] == pytest.approx(np.interp([5, 6], [4, 7], values_of(whole, "north")[[4, 7]]))
    assert (~panel.observed).sum() == 3
    assert [note for note in panel.notes if "3 step(s) of 2 series have no value: north, south" in note]
    assert panel.known[5, 0] == panel.known[4, 0]  # of a row that the file lacks, the value before


def test_series_with_long_gaps_are_named_and_left_out_or_filled_on_request() -> None:
    panel = panel_from(dropped(*range(10, 18)), KNOWN)
    assert filled(panel, "auto").ids == ("south", "east", "west")
    assert [note for note in filled(panel, "auto").notes if "left out" in note and "north" in note]
    assert filled(panel, "linear").ids == tuple(LENGTHS)
    assert values_of(filled(panel, "ffill"), "north")[10:18].tolist() == [values_of(panel, "north")[9]] * 8
    with pytest.raises(UserError, match=r"8 step.* of 1 series have no value: north"):
        filled(panel, "none")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: pd.concat([t, t.iloc[[3]].assign(y=-1.0)]), r"row 310 .* is a second row of 'north' with another"),
        (
            lambda t: t.assign(promo=t["promo"].astype(float).where(t.index != 125)),
            r"column 'promo', row 125 \('south'",
        ),
        (lambda t: t.drop(columns="promo"), "no column 'promo', which is known in advance"),
        (lambda t: t.assign(y=np.nan), "there is nothing to forecast"),
        (lambda t: t.query("store == 'north'").drop(columns="store"), "no column that tells series apart"),
    ],
)
def test_what_cannot_be_read_with_certainty_is_refused_with_its_place(
    change: Callable[[pd.DataFrame], pd.DataFrame], said: str
) -> None:
    table = change(long_table())
    with pytest.raises(UserError, match=said):
        panel_from(table, NAMED if "store" in table else KNOWN)


@pytest.mark.parametrize(("which", "expected"), [("first", 7.0), ("last", 9.0), ("mean", 8.0)])
def test_of_two_rows_of_one_series_and_date_one_is_taken_on_request(which: str, expected: float) -> None:
    table = long_table()
    table.loc[3, "y"] = 7.0
    twice = pd.concat([table, table.iloc[[3]].assign(y=9.0), table.iloc[[8]]])
    panel = panel_from(twice, Reading(known=("promo",), id_col="store", duplicates=which))
    assert values_of(panel, "north")[3] == expected
    assert len(values_of(panel, "north")) == LENGTHS["north"]


def test_a_series_without_values_is_named() -> None:
    table = long_table()
    table.loc[table["store"] == "east", "y"] = np.nan
    panel = panel_from(table, KNOWN)
    assert panel.ids == ("north", "south", "west")
    assert "left out (no values): east" in panel.notes


def test_several_values_are_channels_of_each_series() -> None:
    panel = panel_from(long_table().assign(price=np.arange(310.0)), Reading())
    assert panel.columns == ("promo", "y", "price")
    assert panel.values.shape == (310, 3)
