"""Read the files of the M4 competition as one flat array: training, test and Naive2's forecasts."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_provider.config import NAIVE2, M4Config
from data_provider.datasets import DatasetSpec
from data_provider.reading import listing, shown
from utils.errors import UserError
from utils.m4.patterns import Pattern

SHORTEST = 2  # values left before the held-out ones: one to see, one to forecast


@dataclass(frozen=True)
class M4Data:
    """The N series of one pattern.

    Attributes:
        ids: N names.
        values: all training values one after the other, float64.
        offsets: (N + 1,); series i is ``values[offsets[i]:offsets[i + 1]]``.
        test: (N, H), the values to forecast.
        naive2: (N, H), the forecasts of the official benchmark; None where they are not there.
        source: the training file.
        notes: what is odd but allowed.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    offsets: np.ndarray
    test: np.ndarray
    naive2: np.ndarray | None
    source: str
    notes: tuple[str, ...] = ()

    def series(self, index: int) -> np.ndarray:
        """Return the training values of series ``index``."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def read_m4(config: M4Config, spec: DatasetSpec) -> M4Data:
    """Read the series of one pattern, as the competition published them.

    Raises:
        UserError: a file is missing or holds what cannot be used; the message says where.
    """
    pattern, train = config.pattern, config.file("train")
    ids, values, offsets = _read_ragged(train)
    _check_lengths(ids, offsets, pattern, train)
    test = _read_test(config.file("test"), ids, pattern)
    naive2, notes = _read_naive2(config.folder / NAIVE2, ids, pattern)
    return M4Data(ids, values, offsets, test, naive2, str(train), notes)


def _read_ragged(path: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Return names, values and offsets of series of different lengths, one a line, padded with empty cells."""
    values = array("d")
    ends, places = [0], {}
    for line, name, cells in _rows(path):
        if name in places:
            raise UserError(f"{path}, line {line}: series {shown(name)} stands in line {places[name]} already.")
        places[name] = line
        values.extend(_numbers(cells, path, line, name))
        ends.append(len(values))
    if not places:
        raise UserError(f"{path} has a header but no series.")
    return tuple(places), np.frombuffer(values), np.array(ends)


def _read_test(path: Path, ids: tuple[str, ...], pattern: Pattern) -> np.ndarray:
    """Return the values to forecast, (N, H), in the order of ``ids``."""
    found = {}
    for line, name, cells in _rows(path):
        if len(cells) != pattern.horizon:
            raise UserError(
                f"{path}, line {line}: series {shown(name)} has {len(cells)} values; "
                f"{pattern.name} forecasts {pattern.horizon}."
            )
        if name in found:
            raise UserError(f"{path}, line {line}: series {shown(name)} stands in it twice.")
        found[name] = _numbers(cells, path, line, name)
    missing = [name for name in ids if name not in found]
    if missing or len(found) != len(ids):
        unknown = sorted(found.keys() - set(ids))
        raise UserError(
            f"{path} does not go with the training file: "
            f"it lacks {len(missing)} of its {len(ids)} series ({listing(missing) or 'none'}) "
            f"and has {len(unknown)} others ({listing(unknown) or 'none'})."
        )
    return np.array([found[name] for name in ids])


def _read_naive2(path: Path, ids: tuple[str, ...], pattern: Pattern) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the official Naive2 forecasts (N, H), or None and why not."""
    if not path.is_file():
        return None, (f"{path} is not there: Naive2 is computed",)
    wanted = set(ids)
    found = {}
    for line, name, cells in _rows(path):
        if name in wanted:
            if len(cells) < pattern.horizon:
                raise UserError(
                    f"{path}, line {line}: series {shown(name)} has {len(cells)} forecasts, not {pattern.horizon}."
                )
            found[name] = _numbers(cells[: pattern.horizon], path, line, name)
    missing = len(wanted) - len(found)
    if missing:
        return None, (f"{path} lacks {missing} of the {len(ids)} series: Naive2 is computed",)
    return np.array([found[name] for name in ids]), ()


def _rows(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line number, series and filled cells of every row below the header, with one row at a time in memory."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = _cells(next(file, ""))
            if len(header) < 2 or _is_number(header[1]):
                raise UserError(f"{path}, line 1: there is no header; M4 files begin with V1, V2, …")
            for number, line in enumerate(file, start=2):
                name, *cells = _cells(line)
                if name or cells:
                    yield number, name, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file; get it anew.") from error


def _cells(line: str) -> list[str]:
    """Return the cells of a line without those that pad its end; M4 quotes no commas."""
    return line.replace('"', "").rstrip(", \r\n").split(",")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], path: Path, line: int, name: str) -> array:
    try:
        numbers = array("d", map(float, cells))
    except ValueError:
        numbers = array("d")
    if len(numbers) == len(cells) > 0 and np.isfinite(numbers).all():
        return numbers
    if not cells:
        raise UserError(f"{path}, line {line}: series {shown(name)} has no values.")
    column = next(i for i, cell in enumerate(cells) if not _is_number(cell) or not np.isfinite(float(cell)))
    problem = f"{shown(cells[column])} is not a finite number" if cells[column].strip() else "a value is missing"
    raise UserError(f"{path}, line {line}, series {shown(name)}, V{column + 2}: {problem}.")


def _check_lengths(ids: tuple[str, ...], offsets: np.ndarray, pattern: Pattern, path: Path) -> None:
    lengths = np.diff(offsets)
    shortest = int(np.argmin(lengths))
    needed = pattern.horizon + SHORTEST
    if lengths[shortest] < needed:
        raise UserError(
            f"{path}: series {shown(ids[shortest])} has {lengths[shortest]} values; {pattern.name} takes {needed}, "
            f"of which the last {pattern.horizon} are held out for validation."
        )
