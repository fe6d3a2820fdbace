"""M4's files become one flat array, or a message that names the place."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_provider.config import M4_SAMPLES, NAIVE2, M4Config
from data_provider.datasets import find_dataset
from data_provider.m4 import M4Data, read_m4
from tests.helpers.m4_files import write_m4
from utils.errors import UserError


def read(folder: Path, pattern: str = "Yearly") -> M4Data:
    return read_m4(M4Config(seasonal_patterns=pattern, root_path=str(folder)), find_dataset("m4"))


class TestReading:
    def test_gives_every_series_of_its_own_length(self, tmp_path: Path) -> None:
        series = write_m4(tmp_path, "Yearly", [13, 40, 17])
        data = read(tmp_path)
        assert data.ids == ("Y1", "Y2", "Y3")
        assert data.offsets.tolist() == [0, 13, 53, 70]
        assert data.values.dtype == data.test.dtype == np.float64
        for i, values in enumerate(series):
            np.testing.assert_array_equal(data.series(i), values[:-6])
            np.testing.assert_array_equal(data.test[i], values[-6:])

    def test_finds_the_files_in_their_own_folders_too(self, tmp_path: Path) -> None:
        write_m4(tmp_path, "Yearly", [13, 14])
        here = read(tmp_path)
        for part in ("Train", "Test"):
            (tmp_path / part).mkdir()
            (tmp_path / f"Yearly-{part.lower()}.csv").rename(tmp_path / part / f"Yearly-{part.lower()}.csv")
        there = read(tmp_path)
        np.testing.assert_array_equal(there.values, here.values)
        np.testing.assert_array_equal(there.test, here.test)

    def test_puts_the_test_values_in_the_order_of_the_training_series(self, tmp_path: Path) -> None:
        series = write_m4(tmp_path, "Yearly", [13, 14, 15])
        path = tmp_path / "Yearly-test.csv"
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *reversed(rows)]))
        np.testing.assert_array_equal(read(tmp_path).test, [values[-6:] for values in series])

    def test_takes_files_without_quotes_with_windows_line_ends_and_byte_order_mark(self, tmp_path: Path) -> None:
        write_m4(tmp_path, "Yearly", [13, 20])
        expected = read(tmp_path)
        for path in tmp_path.glob("*.csv"):
            text = path.read_text().replace('"', "").replace("\n", "\r\n")
            path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        np.testing.assert_array_equal(read(tmp_path).values, expected.values)

    def test_takes_naive2_from_its_file_where_it_covers_the_series(self, tmp_path: Path) -> None:
        write_m4(tmp_path, "Yearly", [13, 14])
        assert read(tmp_path).naive2 is None
        rows = ["id," + ",".join(f"F{i + 1}" for i in range(8)), "Y2,1,2,3,4,5,6,NA,NA", "Q1,1,2,3,4,5,6,7,8"]
        (tmp_path / NAIVE2).write_text("\n".join(rows))
        partly = read(tmp_path)
        assert partly.naive2 is None
        assert "lacks 1 of the 2 series: Naive2 is computed" in partly.notes[0]
        (tmp_path / NAIVE2).write_text("\n".join([*rows, "Y1,7,7,7,7,7,7,NA,NA"]))
        whole = read(tmp_path)
        assert whole.naive2.tolist() == [[7.0] * 6, [1.0, 2, 3, 4, 5, 6]]
        assert whole.notes == ()


def edit(path: Path, line: int, change: Callable[[str], str]) -> None:
    lines = path.read_text().splitlines()
    lines[line - 1] = change(lines[line - 1])
    path.write_text("\n".join(lines) + "\n")


class TestWrongFiles:
    @pytest.mark.parametrize(
        ("part", "line", "change", "message"),
        [
            ("train", 3, lambda s: s.replace('"Y2",', '"Y1",'), "line 3: series 'Y1' stands in line 2 already"),
            ("train", 3, lambda s: '"Y2","1","x7","3"', "line 3, series 'Y2', V3: 'x7' is not a finite number"),
            ("train", 3, lambda s: '"Y2","1",,"3"', "line 3, series 'Y2', V3: a value is missing"),
            ("train", 3, lambda s: '"Y2","1","inf","3"', "line 3, series 'Y2', V3: 'inf' is not a finite number"),
            ("train", 3, lambda s: '"Y2",,,,', "line 3: series 'Y2' has no values"),
            ("train", 3, lambda s: '"Y2","1","2","3","4","5","6","7"', "series 'Y2' has 7 values; Yearly takes 8"),
            ("train", 1, lambda s: '"Y0","1","2"', "line 1: there is no header"),
            ("test", 2, lambda s: '"Y1","1","2"', "line 2: series 'Y1' has 2 values; Yearly forecasts 6"),
            ("test", 2, lambda s: s.replace('"Y1"', '"Y2"'), "line 3: series 'Y2' stands in line 2 already"),
            ("test", 2, lambda s: s.replace('"Y1"', '"Y9"'), "lacks 1 of its 3 series .Y1. and has 1 others .Y9."),
            ("test", 2, lambda s: "", "lacks 1 of its 3 series .Y1. and has 0 others .none."),
        ],
    )
    def test_are_refused_with_the_place(
        self, tmp_path: Path, part: str, line: int, change: Callable[[str], str], message: str
    ) -> None:
        write_m4(tmp_path, "Yearly", [13, 14, 15])
        edit(tmp_path / f"Yearly-{part}.csv", line, change)
        with pytest.raises(UserError, match=message) as raised:
            read(tmp_path)
        assert f"Yearly-{part}.csv" in str(raised.value)

    def test_missing_ones_are_named_with_the_way_to_get_them(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"Hourly-train.csv does not exist.*data_provider.download m4"):
            read(tmp_path, "Hourly")

    def test_empty_or_binary_ones_are_refused(self, tmp_path: Path) -> None:
        write_m4(tmp_path, "Yearly", [13])
        path = tmp_path / "Yearly-train.csv"
        path.write_text('"V1","V2"\n')
        with pytest.raises(UserError, match="has a header but no series"):
            read(tmp_path)
        path.write_text("")
        with pytest.raises(UserError, match="there is no header"):
            read(tmp_path)
        path.write_bytes(b"\x89PNG\xff\xfe" * 10)
        with pytest.raises(UserError, match="not a UTF-8 text file"):
            read(tmp_path)

    def test_a_damaged_naive2_file_is_refused(self, tmp_path: Path) -> None:
        write_m4(tmp_path, "Yearly", [13])
        (tmp_path / NAIVE2).write_text("id,F1,F2\nY1,1,2\n")
        with pytest.raises(UserError, match="line 2: series 'Y1' has 2 forecasts, not 6"):
            read(tmp_path)
        (tmp_path / NAIVE2).write_text("id,F1,F2\nY1,1,2,3,4,5,6\nY1,1,2,3,4,5,6\n")
        with pytest.raises(UserError, match="line 3: series 'Y1' stands in line 2 already"):
            read(tmp_path)


class TestConfiguration:
    def test_takes_its_windows_from_the_pattern(self) -> None:
        config = M4Config("m4", "Weekly")
        assert (config.seq_len, config.pred_len) == (26, 13)

    def test_small_patterns_are_drawn_from_more_often_unless_as_in_the_release(self) -> None:
        assert M4Config("m4", "Hourly").samples_per_series * 414 >= M4_SAMPLES
        assert M4Config("m4", "Monthly").samples_per_series == 1
        assert M4Config("m4", "Hourly", "release").samples_per_series == 1
        assert M4Config("m4", "Hourly", m4_draws=3).samples_per_series == 3

    def test_comes_back_from_its_identity(self, tmp_path: Path) -> None:
        config = M4Config("m4", "Hourly", "release", 2, str(tmp_path))
        assert M4Config.from_identity(config.identity()) == config

    def test_the_folder_is_found_by_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CALF_DATASETS", str(tmp_path))
        assert M4Config("m4", "Hourly").folder == tmp_path / "m4"
        assert M4Config("m4", "Hourly", root_path="here").folder == Path("here")
