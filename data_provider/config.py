"""Which series and windows a run asks for, as checked values. Light: nothing here reads a series."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from data_provider.datasets import DatasetSpec, datasets_root, find_dataset
from utils.errors import UserError

FEATURES = ("M", "S", "MS")
FILLS = ("linear", "ffill")


@dataclass(frozen=True)
class DataConfig:
    """Which series, which channels and which windows.

    Attributes:
        data: a name from ``DATASETS``. root_path, data_path: folder and file; None for the data set's own.
        features: M all channels to all, S the target alone, MS all to the target.
        percent: share of the training rows to use. freq: the step between rows; None to infer it.
        date_col: the column of dates; None for ``date``, else the first that holds dates.
        fill: how gaps and missing values are filled; None to refuse them.
        tz: the time zone of a clock that writes no offsets from UTC, like ``Europe/Berlin``; None if unknown.
    """

    data: str
    seq_len: int
    pred_len: int
    root_path: str | None = None
    data_path: str | None = None
    features: str = "M"
    target: str = "OT"
    percent: int = 100
    freq: str | None = None
    date_col: str | None = None
    fill: str | None = None
    tz: str | None = None

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise UserError(f"--features {self.features}: choose one of {', '.join(FEATURES)}.")
        check_fill(self.fill)
        check_tz(self.tz)
        if not 1 <= self.percent <= 100:
            raise UserError(f"--percent {self.percent}: choose 1 to 100.")
        for flag, steps in (("--seq_len", self.seq_len), ("--pred_len", self.pred_len)):
            if steps < 1:
                raise UserError(f"{flag} {steps}: a window needs at least one step.")

    @property
    def words(self) -> str:
        """What it is in the name of a run."""
        few_shot = "" if self.percent == 100 else f"_p{self.percent}"
        return f"{self.data}_ft{self.features}_sl{self.seq_len}_pl{self.pred_len}{few_shot}"

    def files(self) -> tuple[Path, ...]:
        """The files it reads, by their absolute paths; the embedded sample reads none.

        Raises:
            UserError: one is not there, or was not named.
        """
        if self.data == "sample":
            return ()
        return (data_file(self, find_dataset(self.data)).resolve(),)

    training_files = files

    def identity(self) -> dict[str, Any]:
        """Everything that the figures depend on, as JSON; the file by its absolute path."""
        content = asdict(self)
        del content["root_path"], content["data_path"]
        for name in ("date_col", "fill", "tz"):  # unset they do not stand in a run's name, as before there were such
            if content[name] is None:
                del content[name]
        return {**content, "file": next((str(path) for path in self.files()), None)}

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any]) -> "DataConfig":
        """The configuration that has this :meth:`identity`; TypeError and KeyError where a part is wrong."""
        content = dict(identity)
        file = content.pop("file")
        return cls(**content, data_path=file)


def check_fill(fill: str | None) -> None:
    """Raise UserError where there is no such way to fill gaps."""
    if fill not in (None, *FILLS):
        raise UserError(f"--fill {fill}: choose one of {', '.join(FILLS)}.")


def check_tz(tz: str | None) -> None:
    """Raise UserError where there is no such time zone."""
    if tz is not None and tz not in available_timezones():
        raise UserError(f"--tz {tz}: no such time zone; write it like Europe/Berlin, America/New_York or UTC.")


def data_file(config: DataConfig, spec: DatasetSpec) -> Path:
    """Where the file lies: flags first, else the data set's own place below ``$CALF_DATASETS`` (./datasets).

    Raises:
        UserError: the file is not there, or an own file was not named.
    """
    name = config.data_path or spec.file
    if name is None:
        raise UserError("--data custom needs --data_path, the CSV file, and --root_path if it lies elsewhere.")
    own_folder = datasets_root() / spec.folder if spec.folder else Path()
    path = (Path(config.root_path) if config.root_path else own_folder) / name
    if not os.path.exists(path) and spec.url:
        # The command knows nothing of these flags: it puts the file where a run without them looks.
        aside = f" to {own_folder}, for a run without these two flags" if config.root_path or config.data_path else ""
        raise UserError(
            f"Data file {path} does not exist. Get {spec.file} from {spec.url} and put it there, "
            "or say where it is with --root_path and --data_path (or CALF_DATASETS, the folder of all data sets). "
            f"python -m data_provider.download {config.data} fetches it{aside}."
        )
    return path
