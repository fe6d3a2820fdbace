"""Turn a data set's name into standardised windows for training, validation and test, or a report on its file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from data_provider.config import DataConfig, data_file
from data_provider.datasets import Borders, DatasetSpec, find_dataset
from data_provider.extremes import Bounds, extreme_known_notes, extreme_notes, find_bounds
from data_provider.known import KnownColumns, fit_known
from data_provider.reading import Frame, Reading, describe, holes, read_frame, read_table, season_length
from data_provider.windows import Series, Split, WindowDataset, calendar_marks, make_windows, shorter_windows
from utils.errors import UserError

ORIGINS = 10  # windows of validation and of test that a short file is to have


@dataclass(frozen=True)
class ForecastData:
    """A standardized series and its windows.

    Attributes:
        columns: C names, the target last
        scored: the channels that loss and metrics look at
        known: the columns that are known in advance
        value_column: of a long table, what its series hold
        form: how the dates are written, where they are no ISO dates
        offset: of the clock of the dates from UTC; None if unknown
        scaler: mean and population standard deviation per channel, of the full training split
        lowest: (C,), the lowest value of each channel in the file
        season: steps per season
        has_season: whether a whole season lies before the first step to be tested
    """

    columns: tuple[str, ...]
    scored: slice
    known: KnownColumns
    scaler: StandardScaler
    lowest: np.ndarray
    dates: pd.DatetimeIndex
    date_column: str
    value_column: str | None
    form: str | None
    offset: str | None
    frequency: str
    season: int
    has_season: bool
    series: Series
    windows: dict[Split, WindowDataset]
    source: str
    notes: tuple[str, ...]

    @property
    def scored_columns(self) -> tuple[str, ...]:
        """Return the names of the scored channels."""
        return self.columns[self.scored]


def read_csv(config: DataConfig, spec: DatasetSpec) -> Frame:
    """Read the CSV file of a configuration; raise UserError if it cannot be used."""
    return read_frame(data_file(config, spec), Reading.of(config, spec))


def borders_of(spec: DatasetSpec, rows: int, source: str, pred_len: int) -> Borders:
    """Return the first rows after training, validation and test.

    Where the usual shares leave a file of the user's fewer than ``ORIGINS`` windows to validate or to test, these
    splits reach further back, for as many origins as the newer half of the rows has room for.
    """
    usual = spec.split(rows, source)
    origins = min(ORIGINS, rows // 4 - pred_len + 1)
    if not spec.named_by_user or origins < 1:
        return usual
    test = max(usual.test - usual.val, pred_len + origins - 1)
    val = max(usual.val - usual.train, pred_len + origins - 1)
    return Borders(rows - test - val, rows - test, rows)


Cut = Callable[[Series, Borders, Split], Any]


def load_data(
    config: DataConfig,
    any_target: bool = False,
    marks: bool = False,
    all_rows: bool = False,
    frame: Frame | None = None,
    cut: Cut | None = None,
) -> ForecastData:
    """Read, check, standardize and window a data set.

    Args:
        any_target: leave the channels in order where all are forecast and none is called like the target
        marks: add calendar marks to every window
        all_rows: train on all rows, with none left for validation and test
        frame: what was read already; None to read it
        cut: gives the windows of a split; those of a forecast if left out

    Raises:
        UserError: the data cannot be used; the message says where and why
    """
    spec = find_dataset(config.data)
    frame = frame or resolve_name(spec.read)(config, spec)
    target, notes = _target(config, frame, any_target)
    frame = frame.select(config.features, target)
    rows = len(frame.values)
    borders = Borders(rows, rows, rows) if all_rows else borders_of(spec, rows, frame.source, config.pred_len)
    bounds = find_bounds(frame) if spec.named_by_user else None
    scaler, series, constant = _standardize(frame, borders, bounds)
    series.marks = calendar_marks(frame.dates) if marks else None
    known, said = fit_known(config, frame, borders.train)
    if spec.named_by_user:
        said = (*said, *extreme_known_notes(frame))
    series.known = known.tensor(frame.known and frame.known.values[: len(frame.dates)], frame.dates, frame)
    season = season_of(frame, config)
    has_season = season <= borders.val
    lengths = (config.seq_len, config.pred_len, config.percent, frame.source)
    windows = {
        split: cut(series, borders, split) if cut else make_windows(series, borders, split, *lengths)
        for split in ([Split.TRAIN] if all_rows else Split)
    }
    no_season = f"there is no seasonal naive forecast: a season takes {season} rows, more than lie before the test"
    lacking = () if has_season or cut else (no_season,)
    return ForecastData(
        columns=frame.columns,
        scored=slice(-1, None) if config.features == "MS" else slice(None),
        known=known,
        scaler=scaler,
        lowest=frame.values.min(axis=0),
        dates=frame.dates,
        date_column=frame.date_column,
        value_column=frame.value_column,
        form=frame.form,
        offset=frame.offset,
        frequency=frame.frequency,
        season=season,
        has_season=has_season,
        series=series,
        windows=windows,
        source=frame.source,
        notes=(*frame.notes, *notes, *extreme_notes(frame, bounds), *constant, *said, *lacking),
    )


def _target(config: DataConfig, frame: Frame, any_target: bool) -> tuple[str, tuple[str, ...]]:
    """Return the target column; the last one, with a note, where none was named and all are forecast anyway."""
    if frame.target is not None:
        return frame.target, ()
    last, is_own = frame.columns[-1], config.data == "custom" and config.target == DataConfig.target
    if config.features != "M" or config.target in frame.columns or not (any_target or is_own):
        return config.target, ()
    note = f"there is no column {config.target!r}: the last one, {last!r}, stands for the target (--target)"
    return last, () if any_target else (note,)


def season_of(frame: Frame, config: DataConfig) -> int:
    """Return the steps of a season: as the user says, or as they follow from the step."""
    return config.season or season_length(frame.frequency)


def _standardize(
    frame: Frame, borders: Borders, bounds: Bounds | None
) -> tuple[StandardScaler, Series, tuple[str, ...]]:
    """Return the series in standard deviations of its training rows, whose extreme values do not count."""
    if borders.train < 1:
        raise UserError(f"{frame.source} has {len(frame.values)} row(s), too few to split in train, val and test.")
    training = frame.values[: borders.train]
    if bounds is not None:
        training = np.where(bounds.beyond(training), np.nan, training)
    scaler = StandardScaler().fit(training)
    flat = np.nanmax(training, axis=0) == np.nanmin(training, axis=0)
    tiny = ~flat & (scaler.scale_ != np.sqrt(scaler.var_))  # differences that vanish when squared
    scaler.mean_[flat] = training[0, flat]  # the mean of large equal numbers is off by rounding
    values = scaler.transform(frame.values)
    frame.check_distance(values)
    notes = tuple(
        f"column {name!r} {'varies too little to be standardised' if is_tiny else 'is constant'} over the training "
        "rows; it is forecast all the same"
        for name, is_flat, is_tiny in zip(frame.columns, flat, tiny, strict=True)
        if is_flat or is_tiny
    )
    clipped = None if bounds is None else scaler.transform(bounds.clip(frame.values))
    return scaler, Series(values, None if frame.filled is None else ~frame.filled, clipped=clipped), notes


def quality_report(config: DataConfig, check_channels: Callable[[int, int], None] | None = None) -> list[str]:
    """Return what ``--check_data`` prints; raise UserError if the file cannot be read at all.

    Args:
        check_channels: raises UserError where a model has no room for so many channels and known columns.
    """
    spec = find_dataset(config.data)
    path = data_file(config, spec)
    table = read_table(path, Reading.of(config, spec))
    problems = holes(table)
    notes = table.notes
    try:  # what comes before training
        data = load_data(config)
        notes = data.notes
        if check_channels:
            check_channels(len(data.columns), len(data.known.names))
        verdict = "The file can be used as it is."
    except UserError as error:
        verdict = f"The file cannot be used as it is: {error}"
    lines = [
        *describe(table),
        *(problems or ["no gaps in time, no missing values"]),
        *(f"note: {note}" for note in notes),
        *_splits(table, config),
    ]
    title = f"{table.source}: {path.stat().st_size / 1e6:,.2f} MB, {table.location}"
    return [title, *(f"  {line}" for line in lines), verdict]


def _splits(table: Frame, config: DataConfig) -> Iterator[str]:
    try:
        borders = borders_of(find_dataset(config.data), len(table.dates), table.source, config.pred_len)
    except UserError as error:
        yield str(error)
        return
    sizes = {"train": borders.train, "val": borders.val - borders.train, "test": borders.test - borders.val}
    history = {"train": config.seq_len, "val": 0, "test": 0}  # rows of a split that its first window sees
    windows = {name: max(0, rows - history[name] - config.pred_len + 1) for name, rows in sizes.items()}
    if config.seq_len > borders.train:
        windows = dict.fromkeys(sizes, 0)
    for name, rows in sizes.items():
        yield f"{name}: {rows:,} rows, {windows[name]:,} windows of {config.seq_len} -> {config.pred_len}"
    if not all(windows.values()):
        yield f"too short: {shorter_windows(borders, config.seq_len, config.pred_len)}"
