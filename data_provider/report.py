"""Report on the quality of a file before anything is trained on it (``--check_data``)."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data_provider.config import DataConfig, data_file
from data_provider.datasets import find_dataset
from data_provider.factory import load_data
from data_provider.reading import Frame, Reading, holes, listing, read_table, season_length, written_dates
from utils.errors import UserError

OUTLYING = 10.0  # robust standard deviations from the median
NORMAL_QUARTILES = 1.349  # interquartile range of a normal distribution, in standard deviations
MOST = 12  # columns with a line of their own


def quality_report(config: DataConfig) -> list[str]:
    """Return lines on rows, span, step, gaps, missing values, odd columns, outliers and splits, and a verdict.

    Raises:
        UserError: the file cannot be read at all
    """
    spec = find_dataset(config.data)
    path = data_file(config, spec)
    table = read_table(path, Reading.of(config, spec))
    problems = holes(table)
    return [
        f"{table.source}: {path.stat().st_size / 1e6:,.2f} MB, {table.location}",
        *(f"  {line}" for line in _columns(_without_gaps(table))),
        *(f"  {problem}" for problem in problems or ["no gaps in time, no missing values"]),
        *(f"  note: {note}" for note in table.notes),
        *(f"  {line}" for line in _splits(table, config)),
        _verdict(config, bool(problems)),
    ]


def _without_gaps(table: Frame) -> Frame:
    """Return the rows that stand in the file."""
    present = table.rows >= 0
    return replace(table, dates=table.dates[present], values=table.values[present], rows=table.rows[present])


def _columns(table: Frame) -> Iterator[str]:
    names, values = table.columns, table.values
    zone = f", at {table.offset} from UTC" if table.offset else ""
    first, last = written_dates(table.dates[[0, -1]], None)
    yield f"{len(values):,} rows, {first} to {last} (column {table.date_column!r}{zone})"
    yield f"step {table.frequency}, {season_length(table.frequency)} steps to a season"
    yield f"{len(names)} column(s): {listing(names)}"
    counts = np.isnan(values).sum(axis=0)
    lacking = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True) if count]
    if lacking:
        yield f"missing values in: {listing(lacking)}"
    known = np.where(np.isnan(values).all(axis=0), 0.0, values)  # NumPy warns of columns without any value
    flat = np.square(np.nanmax(known, axis=0) - np.nanmin(known, axis=0)) == 0  # or differences that vanish in squares
    constant = [name for name, is_flat in zip(names, flat, strict=True) if is_flat]
    yield f"constant: {listing(constant)}" if constant else "no column is constant"
    twins = list(_twins(table))
    yield f"duplicates: {listing(twins)}" if twins else "no column duplicates another"
    found = list(_outliers(table))
    yield from found or [f"no value lies more than {OUTLYING:g} robust standard deviations from its column's median"]


def _twins(table: Frame) -> Iterator[str]:
    """Yield the columns that have the values of an earlier column."""
    first: dict[bytes, str] = {}
    for name, column in zip(table.columns, table.values.T, strict=True):
        original = first.setdefault((column + 0.0).tobytes(), name)  # -0 as 0
        if original != name:
            yield f"{name} (of {original})"


def _outliers(table: Frame) -> Iterator[str]:
    """Yield a line for each column with values far from its median, for at most 12 columns, the farthest first."""
    found = []
    for name, column in zip(table.columns, table.values.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) < 2:
            continue
        lower, middle, upper = np.percentile(known, [25, 50, 75])
        # Where half of the values are equal, all others are far by the quartiles: take the whole spread.
        scale = (upper - lower) / NORMAL_QUARTILES or known.std()
        distance = np.abs(column - middle) / scale if scale else np.zeros(len(column))
        far = int(np.nansum(distance > OUTLYING))
        if far:
            row = int(np.nanargmax(distance))
            place = f"{table.dates[row]} ({table.location.row(int(table.rows[row]))})"
            farthest = f"the farthest {column[row]:g} at {place}, {distance[row]:.0f} from {middle:g}"
            found.append((distance[row], f"extreme: {listing([name])}: {far:,} value(s), {farthest}"))
    yield from (line for _, line in sorted(found, reverse=True)[:MOST])
    if len(found) > MOST:
        yield f"extreme values also in {len(found) - MOST} more column(s)"


def _splits(table: Frame, config: DataConfig) -> Iterator[str]:
    try:
        borders = find_dataset(config.data).split(len(table.dates), table.source)
    except UserError as error:
        yield str(error)
        return
    sizes = {"train": borders.train, "val": borders.val - borders.train, "test": borders.test - borders.val}
    short = False
    for name, rows in sizes.items():
        reach = rows if name == "train" else rows + config.seq_len
        windows = max(0, reach - config.seq_len - config.pred_len + 1) if config.seq_len <= borders.train else 0
        yield f"{name}: {rows:,} rows, {windows:,} windows of {config.seq_len} -> {config.pred_len}"
        short = short or not windows
    if short:
        yield f"too short: {_shorter(sizes, config)}"


def _shorter(sizes: dict[str, int], config: DataConfig) -> str:
    """Return flags of windows that fit in the splits."""
    longest = min(sizes["val"], sizes["test"], sizes["train"] - 1)
    if longest < 1:
        return "the file has too few rows to be split"
    pred_len = min(config.pred_len, longest)
    seq_len = min(config.seq_len, sizes["train"] - pred_len)
    return f"--seq_len {seq_len} --pred_len {pred_len} would fit"


def _verdict(config: DataConfig, has_holes: bool) -> str:
    """Return whether a run could use the file, found out by doing everything that comes before training."""
    reason = ""
    for fill in ["linear", "ffill"] if has_holes and not config.fill else [config.fill]:
        try:
            load_data(replace(config, fill=fill))
        except UserError as error:
            reason = str(error)
        else:
            how = f"with --fill {fill}" if fill else "as it is"
            return f"The file can be used {how}{' (or ffill)' if fill == 'linear' and not config.fill else ''}."
    return f"The file cannot be used as it is: {reason}"
