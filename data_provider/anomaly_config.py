"""Describe in which series anomalies are looked for and how they are scored, as checked values. Nothing reads here."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from data_provider.config import COLUMN, DataConfig, data_file
from data_provider.datasets import ANOMALY, datasets_root, find_dataset
from utils.errors import UserError
from utils.flags import FILE, choice, flag, real, whole

PERCENT = real("a number between 0 and 100", lambda x: 0 < x < 100)
PROPER_SHARE = real("a number between 0 and 1", lambda x: 0 < x < 1)
USUAL_SHARE = 0.5


@dataclass(frozen=True)
class AnomalyConfig(DataConfig):
    """Windows of L rows that a model gives back, and what counts as an anomaly."""

    seq_len: int = flag(100, whole(high=1_000_000), "steps the model sees")
    label_col: str | None = flag(
        None, COLUMN, "of an own CSV: column of 0 and 1 that tells anomalies; found by its name if left out"
    )
    test_path: str | None = flag(None, FILE, "of an own CSV: another file to test on; else its later rows")
    train_share: float | None = flag(
        None, PROPER_SHARE, f"of one file: share of its rows to train on; {USUAL_SHARE}, of NAB 0.15, if left out"
    )
    window_step: int | None = flag(
        None, whole(high=1_000_000), "rows from one training window to the next; 1, of SMD 100, if left out"
    )
    anomaly_protocol: str = flag(
        "disjoint", choice("disjoint", "release"),
        "training and validation apart, threshold from them, each test row scored once; or as in the authors' code: "
        "windows that overlap, threshold from the test rows, too, point adjustment",
    )  # fmt: skip
    anomaly_ratio: float = flag(1.0, PERCENT, "per cent of rows above the threshold, of those that it is taken from")
    alarm_rate: float | None = flag(
        None, PROPER_SHARE,
        "share of normal rows that may be flagged, like 0.001: the threshold is this quantile of the validation scores",
    )  # fmt: skip

    pred_len: int = field(init=False, default=0)
    future_cols: str | None = field(init=False, default=None)
    calendar: int = field(init=False, default=0)
    holidays: str | None = field(init=False, default=None)
    percent: int = field(init=False, default=100)
    features: str = field(init=False, default="M")

    of_the_file: ClassVar[frozenset[str]] = DataConfig.of_the_file | {
        "label_col", "test_path", "train_share", "alarm_rate",
    }  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "pred_len", self.seq_len)

    @property
    def is_table(self) -> bool:
        """Return whether the data are a CSV that is read as a series, not one of the benchmark's files."""
        return find_dataset(self.data).config != ANOMALY

    @property
    def folder(self) -> Path:
        """Return the folder of the benchmark's files: as given, else the set's own below ``$CALF_DATASETS``."""
        return Path(self.root_path) if self.root_path else datasets_root() / (find_dataset(self.data).folder or ".")

    @property
    def released(self) -> bool:
        """Return whether windows, threshold and scores are those of the authors' code."""
        return self.anomaly_protocol == "release"

    @property
    def variants(self) -> tuple[Self, ...]:
        """Return a configuration for each file where a set is a folder of files and none is named."""
        pattern = FILES.get(self.data)
        if pattern is None or self.data_path:
            return (self,)
        found = sorted(path.name for path in self.folder.glob(pattern))
        if not found:
            raise UserError(f"--data {self.data}: there is no {pattern} in {self.folder}; say with --root_path where.")
        return tuple(replace(self, data_path=name) for name in found)

    @property
    def variant(self) -> str:
        """Return the name of the file, where a set has several."""
        return Path(self.data_path).stem if self.data in FILES and self.data_path else ""

    @property
    def slug(self) -> str:
        """Return what the data are in the name of a run."""
        released = "_release" if self.released else ""
        return f"{self.data}_{self.variant}_sl{self.seq_len}{released}"

    def files(self) -> tuple[Path, ...]:
        """Return the absolute paths of the files that are read; raise UserError if one is not there or not named."""
        spec = find_dataset(self.data)
        if spec.made:
            return ()
        if self.is_table:
            more = (Path(self.test_path),) if self.test_path else ()
            paths = (data_file(self, spec), *more)
        elif self.data in FILES:
            paths = tuple(self.folder / Path(one.data_path) for one in self.variants)
        else:
            paths = tuple(self.folder / name for name in OF_SETS[self.data])
        for path in paths:
            if not self.is_table and not path.is_file():
                raise UserError(f"Data file {path} does not exist; say with --root_path in which folder it lies.")
        return tuple(path.resolve() for path in paths)

    def identity(self) -> dict[str, Any]:
        """Return everything that figures depend on, as JSON; the first file by its absolute path."""
        free = {name for name, one in self.__dataclass_fields__.items() if not one.init}
        return {name: value for name, value in super().identity().items() if name not in free}


# Sets that are a folder of series, each a file and a run of its own.
FILES = {"NAB": "*.csv", "UCR": "*.txt"}
_ARRAYS = ("train.npy", "test.npy", "test_label.npy")
OF_SETS = {
    **{name: tuple(f"{name}_{part}" for part in _ARRAYS) for name in ("SMD", "MSL", "SMAP")},
    "PSM": ("train.csv", "test.csv", "test_label.csv"),
    "SWAT": ("swat_train2.csv", "swat2.csv"),
}
