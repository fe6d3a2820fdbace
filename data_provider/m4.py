"""The M4 competition's files as one flat array: ``<Pattern>-train.csv``, ``<Pattern>-test.csv`` and Naive2."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_provider.datasets import datasets_root
from data_provider.reading import listing, shown
from utils.errors import UserError
from utils.m4.patterns import Pattern, find_pattern

PROTOCOLS = ("holdout", "release")
NAIVE2 = "submission-Naive2.csv"
EPOCH = 48_000  # samples at least: as many as the largest pattern, Monthly, has series
SHORTEST = 2  # values left before the held-out ones: one to see, one to forecast


@dataclass(frozen=True)
class M4Config:
    """Which pattern of M4, and how the best epoch is chosen.

    Attributes:
        data: ``m4``. seasonal_patterns: a name from ``PATTERNS``. root_path: the folder of the files.
        protocol: ``holdout`` scores each epoch on the last horizon of each training series, which no training
            sample sees; ``release`` on the test set, as the released code does.
        draws: samples of each series in an epoch; None for :attr:`samples_per_series`' choice.
    """

    data: str
    seasonal_patterns: str
    protocol: str = "holdout"
    draws: int | None = None
    root_path: str | None = None

    def __post_init__(self) -> None:
        find_pattern(self.seasonal_patterns)
        if self.protocol not in PROTOCOLS:
            raise UserError(f"--m4_protocol {self.protocol}: choose one of {', '.join(PROTOCOLS)}.")

    @property
    def pattern(self) -> Pattern:
        return find_pattern(self.seasonal_patterns)

    @property
    def pred_len(self) -> int:
        return self.pattern.horizon

    @property
    def seq_len(self) -> int:
        return 2 * self.pattern.horizon

    @property
    def selects_on_test(self) -> bool:
        return self.protocol == "release"

    @property
    def samples_per_series(self) -> int:
        """How often an epoch draws from each series.

        Once in the release, which gives Weekly's 359 and Hourly's 414 series one step an epoch; here as often as
        makes ``EPOCH`` samples of the series that were published.
        """
        if self.draws:
            return self.draws
        return 1 if self.selects_on_test else -(-EPOCH // self.pattern.series)

    @property
    def folder(self) -> Path:
        """As given, else ``m4`` below ``$CALF_DATASETS`` (./datasets)."""
        return Path(self.root_path) if self.root_path else datasets_root() / "m4"

    @property
    def words(self) -> str:
        """What it is in the name of a run."""
        selected = "_selected-on-test" if self.selects_on_test else ""
        return f"m4_{self.seasonal_patterns}_sl{self.seq_len}_pl{self.pred_len}{selected}"

    def training_files(self) -> tuple[Path, ...]:
        """The files that training depends on, by their absolute paths.

        Raises:
            UserError: one is not there.
        """
        parts = ("train", "test") if self.selects_on_test else ("train",)
        return tuple(_there(m4_file(self.folder, self.pattern, part)).resolve() for part in parts)

    def files(self) -> tuple[Path, ...]:
        """All files that are read; errors as in :meth:`training_files`."""
        test = _there(m4_file(self.folder, self.pattern, "test")).resolve()
        naive2 = (self.folder / NAIVE2).resolve()
        return (*self.training_files(), test, *([naive2] if naive2.is_file() else []))

    def identity(self) -> dict[str, Any]:
        """Everything that the figures depend on, as JSON; the folder by its absolute path."""
        return {**asdict(self), "root_path": str(self.folder.resolve())}

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any]) -> "M4Config":
        """The configuration that has this :meth:`identity`; TypeError where a part is wrong."""
        return cls(**identity)


@dataclass(frozen=True)
class M4Data:
    """The N series of one pattern.

    Attributes:
        ids: N names. values: all training values one after the other, float64.
        offsets: (N + 1,); series i is ``values[offsets[i]:offsets[i + 1]]``.
        test: (N, H), the values to forecast. naive2: (N, H), the official benchmark's forecasts, if there.
        source: the training file. notes: what is odd but allowed.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    offsets: np.ndarray
    test: np.ndarray
    naive2: np.ndarray | None
    source: str
    notes: tuple[str, ...] = ()

    def series(self, index: int) -> np.ndarray:
        """The training values of series ``index``."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def m4_file(folder: Path, pattern: Pattern, part: str) -> Path:
    """Where ``part``, train or test, of a pattern lies: in ``folder`` or in its ``Train/`` or ``Test/``."""
    name = f"{pattern.name}-{part}.csv"
    inside = folder / part.capitalize() / name
    return inside if inside.exists() and not (folder / name).exists() else folder / name


def read_m4(folder: Path, pattern: Pattern) -> M4Data:
    """Read the series of one pattern, as the competition published them.

    Raises:
        UserError: a file is missing or holds what cannot be used; the message says where.
    """
    train = m4_file(folder, pattern, "train")
    ids, values, offsets = _read_ragged(train)
    _check_lengths(ids, offsets, pattern, train)
    test = _read_test(m4_file(folder, pattern, "test"), ids, pattern)
    naive2, notes = _read_naive2(folder / NAIVE2, ids, pattern)
    return M4Data(ids, values, offsets, test, naive2, str(train), notes)


def _read_ragged(path: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Series of different lengths, one a line, padded with empty cells."""
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
    """The values to forecast, (N, H), in the order of ``ids``."""
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
    """The official Naive2 forecasts (N, H), or None and why not."""
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
    """Line number, series and filled cells of every row below the header; a row at a time is in memory."""
    try:
        with _there(path).open(encoding="utf-8-sig") as file:
            header = _cells(next(file, ""))
            if len(header) < 2 or _is_number(header[1]):
                raise UserError(f"{path}, line 1: there is no header; M4 files begin with V1, V2, …")
            for number, line in enumerate(file, start=2):
                name, *cells = _cells(line)
                if name or cells:
                    yield number, name, cells
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a UTF-8 text file; get it anew.") from error


def _there(path: Path) -> Path:
    if not path.is_file():
        raise UserError(
            f"M4 file {path} does not exist. Get it with python -m data_provider.download m4, "
            "or say with --root_path in which folder the M4 files lie."
        )
    return path


def _cells(line: str) -> list[str]:
    """The cells of a line without those that pad its end; M4 quotes no commas."""
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
