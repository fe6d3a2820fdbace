"""Describe which series and windows a run asks for, as checked values. Nothing here reads a series."""

import codecs
import os
import re
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Self
from zoneinfo import available_timezones

from data_provider.datasets import DATASETS, DatasetSpec, datasets_root, find_dataset
from utils.errors import UserError
from utils.flags import FILE, PATH, SWITCH, TEXT, Kind, choice, convert, flag, flags_of, from_json, row_of, whole
from utils.m4.patterns import COMPETITIONS, M3, M4, Competition, Pattern

M4_SAMPLES = 48_000  # in an epoch, at least: as many as the largest pattern, Monthly, has series
NAIVE2 = "submission-Naive2.csv"
DATA_HELP = (
    f"{', '.join(DATASETS)}: custom is an own CSV, sample needs no file; or several to train on, with commas between. "
    "If left out custom with --data_path, else the data set of the task"
)


class _Names(Kind):
    """Names with commas between; blanks around them do not count."""

    def convert(self, text: str) -> str:
        return super().convert(",".join(names_in(text)))


DATA_NAMES = _Names(str, lambda text: all(name in DATASETS for name in text.split(",")), row_of(DATASETS).wanted)
TIME_ZONE = Kind(str, lambda name: name in available_timezones(), "a time zone like Europe/Berlin or UTC")
COLUMN = Kind(str, lambda name: name != "", "the name of a column")
COUNTRIES = _Names(
    str, lambda text: _differ(text) and all(re.fullmatch("[A-Z]{2}(-[A-Za-z0-9]{1,6})?", n) for n in text.split(",")),
    "codes of countries with commas between, each once, like DE,US or DE-BY",
)  # fmt: skip
COLUMNS = _Names(str, lambda text: _differ(text), "names of columns with commas between, each once")
ENCODING = Kind(str, lambda name: is_encoding(name), "an encoding of text, like utf-8, cp1252, gbk or utf-16")
SEARCH = "search"
LOOK_BACKS = (96, 192, 336, 512)  # that a search chooses among

LOOK_BACK = Kind(
    int, whole(high=1_000_000).accepts, f"a whole number from 1 to 1,000,000, or {SEARCH}", words=(SEARCH,)
)


def names_in(text: str | None) -> list[str]:
    """Return the parts of a text between commas; none of no text."""
    return [part.strip() for part in text.split(",")] if text else []


def _differ(text: str) -> bool:
    """Return whether the names in a text are not empty and differ."""
    names = names_in(text)
    return all(names) and len(set(names)) == len(names) > 0


def is_encoding(name: str) -> bool:
    """Return whether Python knows an encoding of text."""
    try:
        return codecs.lookup(name)._is_text_encoding
    except (LookupError, ValueError):
        return False


@dataclass(frozen=True)
class DataConfig:
    """Which series of a table, which channels and which windows; ``of_the_file`` are the flags of place and reading.

    Attributes:
        searched: whether ``seq_len`` was, or is being, chosen among several on validation.
    """

    data: str = flag("sample", DATA_NAMES, DATA_HELP)
    seq_len: int = flag(
        96, LOOK_BACK, f"steps the model sees; {SEARCH}: {', '.join(map(str, LOOK_BACKS))}, the best on validation"
    )
    pred_len: int = flag(96, whole(0, 1_000_000), "steps it forecasts; tasks without a forecast take 0, too")
    root_path: str | None = flag(
        None, PATH, "folder of the file; the data set's own below $CALF_DATASETS or ./datasets"
    )
    data_path: str | None = flag(None, PATH, "the CSV file; needed for custom")
    features: str = flag(
        "M", choice("M", "S", "MS"), "M: all channels to all; S: the target alone; MS: all to the target"
    )
    target: str = flag("OT", COLUMN, "the target column")
    percent: int = flag(100, whole(1, 100), "few-shot: train on this share of the training rows")
    freq: str | None = flag(None, TEXT, "step between rows (h, 15min, D, W, MS); inferred from the dates if left out")
    season: int | None = flag(None, whole(high=1_000_000), "steps of a season; follows from the step if left out")
    date_col: str | None = flag(
        None, COLUMN, "column of dates, or several: Date,Time; none: there are no dates. If left out date, else found"
    )
    columns: str | None = flag(None, COLUMN, "columns to use, with commas between; all that hold numbers if left out")
    ignore: str | None = flag(None, COLUMN, "columns to leave out, with commas between")
    id_col: str | None = flag(None, COLUMN, "column that tells the series of a long file apart; found if left out")
    missing: str | None = flag(None, TEXT, "what else stands for a missing value, with commas between: -9999,-200")
    fill: str = flag(
        "auto", choice("auto", "linear", "ffill", "none"),
        "gaps and missing values: auto fills short ones linearly; linear or ffill fill all; none refuses them",
    )  # fmt: skip
    duplicates: str | None = flag(
        None, choice("mean", "first", "last"), "which of several rows of one date to take; refused if left out"
    )
    decimal: str | None = flag(None, choice(".", ","), "decimal mark of a file whose numbers can be read in two ways")
    encoding: str | None = flag(None, ENCODING, "encoding of the file's text, like gbk or cp1252; found if left out")
    tz: str | None = flag(None, TIME_ZONE, "time zone of a clock that writes no offsets from UTC, like Europe/Berlin")

    future_cols: str | None = flag(
        None, COLUMNS, "columns known in advance, with commas between: read with their future values, never forecast"
    )
    calendar: int = flag(0, SWITCH, "1: hour, weekday, month and day of year are columns known in advance")
    holidays: str | None = flag(
        None, COUNTRIES, "countries whose public holidays are such columns, like DE,US or DE-BY (package holidays)"
    )

    searched: bool = False

    of_reading: ClassVar[tuple[str, ...]] = (
        "date_col", "columns", "ignore", "id_col", "missing", "fill", "duplicates", "decimal", "encoding", "tz",
    )  # fmt: skip
    of_the_file: ClassVar[frozenset[str]] = frozenset({"root_path", "data_path", *of_reading})

    def __post_init__(self) -> None:
        if self.pred_len < 1:
            raise UserError("--pred_len 0: choose a whole number from 1 to 1,000,000.")

    @classmethod
    def usual_reading(cls) -> dict[str, Any]:
        """Return the flags of reading as they are for published files."""
        return {name: getattr(DataConfig, name) for name in cls.of_reading}

    @property
    def parts(self) -> tuple["DataConfig", ...]:
        """Return the configuration of each data set, where there are several."""
        return (self,)

    @property
    def variants(self) -> tuple[Self, ...]:
        """Return the configuration of each run, where one command asks for several."""
        return (self,)

    @property
    def variant(self) -> str:
        """Return what tells a run from the others of one command, in words; empty for a run of its own."""
        return ""

    @property
    def slug(self) -> str:
        """Return what the data are in the name of a run."""
        few_shot = "" if self.percent == 100 else f"_p{self.percent}"
        known = "".join(f"_{name}" for name in (self.future_cols, self.calendar and "calendar", self.holidays) if name)
        searched = "s" if self.searched else ""
        return f"{self.data}_ft{self.features}_sl{self.seq_len}{searched}_pl{self.pred_len}{few_shot}{known}"

    @property
    def known_flags(self) -> list[str]:
        """Return the flags that ask for columns known in advance."""
        return [f"--{name}" for name in ("future_cols", "calendar", "holidays") if getattr(self, name)]

    def files(self) -> tuple[Path, ...]:
        """Return the absolute paths of the files that are read; raise UserError if one is not there or not named."""
        spec = find_dataset(self.data)
        return () if spec.made else (data_file(self, spec).resolve(),)

    def training_files(self) -> tuple[Path, ...]:
        """Return the files that training depends on."""
        return self.files()

    def identity(self) -> dict[str, Any]:
        """Return everything that figures depend on, as JSON; the file by its absolute path."""
        content = asdict(self)
        del content["root_path"], content["data_path"]
        return {**content, "file": next((str(path) for path in self.files()), None)}

    @classmethod
    def from_identity(cls, identity: dict[str, Any]) -> Self:
        """Return the configuration that has an identity; raise UserError if a part is missing or not possible."""
        content = {"root_path": None, **identity}
        content["data_path"] = content.pop("file", None)
        return from_json(cls, content)


@dataclass(frozen=True)
class M4Config:
    """Which pattern of a competition, M4 or M3, and how the best epoch is chosen."""

    data: str = flag("m4", row_of(DATASETS), "the data set")
    seasonal_patterns: str = flag(
        "Monthly",
        choice(*{**M4.patterns, **M3.patterns}),
        f"of m4: {', '.join(M4.patterns)}; of m3: {', '.join(M3.patterns)}",
    )
    m4_protocol: str = flag(
        "holdout", choice("holdout", "release"),
        "of m4 and m3: holdout chooses the best epoch on the last horizon of the training series; release, as the "
        "released code, on the test set",
    )  # fmt: skip
    m4_draws: int | None = flag(
        None, whole(high=10_000),
        "of m4 and m3: samples of each series in an epoch; if left out 1 with --m4_protocol release, else as many as "
        f"make {M4_SAMPLES:,} samples",
    )  # fmt: skip
    root_path: str | None = flag(None, FILE, "folder of the files")

    of_the_file: ClassVar[frozenset[str]] = frozenset({"root_path"})
    known_flags: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        patterns = self.competition.patterns
        if self.seasonal_patterns not in patterns:
            raise UserError(
                f"--seasonal_patterns {self.seasonal_patterns}: {self.competition.name} has no such series; choose one "
                f"of {', '.join(patterns)}."
            )

    @property
    def competition(self) -> Competition:
        """Return the competition that the data set is of."""
        return COMPETITIONS[self.data]

    @property
    def pattern(self) -> Pattern:
        """Return horizon and season of the pattern."""
        return self.competition.patterns[self.seasonal_patterns]

    @property
    def pred_len(self) -> int:
        """Return H."""
        return self.pattern.horizon

    @property
    def seq_len(self) -> int:
        """Return L, two horizons as in the release."""
        return 2 * self.pattern.horizon

    @property
    def selects_on_test(self) -> bool:
        """Return whether the best epoch is chosen on the test set."""
        return self.m4_protocol == "release"

    @property
    def samples_per_series(self) -> int:
        """Return how often an epoch draws from each series: once as in the release, or to make ``M4_SAMPLES``."""
        return self.m4_draws or (1 if self.selects_on_test else ceil(M4_SAMPLES / self.pattern.series))

    @property
    def folder(self) -> Path:
        """Return the folder of the files: as given, else the data set's own below ``$CALF_DATASETS`` (./datasets)."""
        return Path(self.root_path) if self.root_path else datasets_root() / find_dataset(self.data).folder

    @property
    def parts(self) -> tuple["DataConfig", ...]:
        """Return the configuration of each data set, where there are several."""
        return (self,)

    @property
    def variants(self) -> tuple[Self, ...]:
        """Return the configuration of each run: one."""
        return (self,)

    @property
    def variant(self) -> str:
        """Return what tells a run from the others of one command: nothing."""
        return ""

    @property
    def slug(self) -> str:
        """Return what the data are in the name of a run."""
        selected = "_selected-on-test" if self.selects_on_test else ""
        return f"{self.data}_{self.seasonal_patterns}_sl{self.seq_len}_pl{self.pred_len}{selected}"

    def training_files(self) -> tuple[Path, ...]:
        """Return the absolute paths of the files that training depends on; raise UserError if one is not there."""
        parts = ("train", "test") if self.selects_on_test else ("train",)
        return tuple(self.file(part).resolve() for part in parts)

    def files(self) -> tuple[Path, ...]:
        """Return the absolute paths of all files that are read; raise UserError if one is not there."""
        naive2 = (self.folder / NAIVE2).resolve()
        return (*self.training_files(), self.file("test").resolve(), *([naive2] if naive2.is_file() else []))

    def file(self, part: str) -> Path:
        """Return where train or test lies, in the folder or in its ``Train/`` or ``Test/``, or raise UserError."""
        name = f"{self.pattern.name}-{part}.csv"
        for path in (self.folder / name, self.folder / part.capitalize() / name):
            if path.is_file():
                return path
        title, fetched = self.competition.name, self.data == "m4"
        get = "Get it with python -m data_provider.download m4, or say" if fetched else "Put it there, or say"
        raise UserError(
            f"{title} file {self.folder / name} does not exist. {get} with --root_path in which folder the {title} "
            "files lie."
        )

    def identity(self) -> dict[str, Any]:
        """Return everything that figures depend on, as JSON; the folder by its absolute path."""
        return {**asdict(self), "root_path": str(self.folder.resolve())}

    @classmethod
    def from_identity(cls, identity: dict[str, Any]) -> Self:
        """Return the configuration that has an identity; raise UserError if a part is missing or not possible."""
        return from_json(cls, identity)


AnyDataConfig = DataConfig | M4Config


def check(name: str, value: Any) -> Any:
    """Return a value for the flag ``name``, which may be None; raise UserError if the flag does not accept it."""
    return value if value is None else convert(flags_of(DataConfig)[name], str(value))


def data_file(config: DataConfig, spec: DatasetSpec) -> Path:
    """Return where the file lies: as the flags say, else the data set's own place below ``$CALF_DATASETS``.

    Raises:
        UserError: a published file is not there, or an own file was not named
    """
    name = config.data_path or spec.file
    if name is None:
        raise UserError(f"--data {config.data} needs --data_path, the file, and --root_path if it lies elsewhere.")
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
