"""What is to be known of a file before it is trained on (``--check_data``)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from data_provider.config import DataConfig, data_file
from data_provider.datasets import find_dataset
from data_provider.factory import load_data
from data_provider.reading.frame import holes
from data_provider.reading.frequency import season_length
from data_provider.reading.table import Table, read_table, reading
from data_provider.reading.timezones import written_dates
from utils.errors import UserError

OUTLYING = 10.0  # robust standard deviations from the median
NORMAL_QUARTILES = 1.349  # interquartile range of a normal distribution, in standard deviations
MOST = 12  # columns listed in a line


def quality_report(config: DataConfig) -> list[str]:
    """Lines for people: rows, span, step, gaps, missing values, odd columns, outliers, splits, and a verdict.

    Raises:
        UserError: the file cannot be read at all.
    """
    spec = find_dataset(config.data)
    path = data_file(config, spec)
    table = read_table(path, reading(config, spec))
    lines = [f"{path}: {path.stat().st_size / 1e6:,.2f} MB, {table.place.dialect}, decimals with {_mark(table)}"]
    lines += [f"  {line}" for line in (*_dates(table), *_columns(table))]
    problems = holes(table)
    lines += [f"  {problem}" for problem in problems] or ["  no gaps in time, no missing values"]
    lines += [f"  note: {note}" for note in table.notes]
    splits = list(_splits(table, config))
    lines += [f"  {line}" for line in splits]
    return [*lines, _verdict(table, config, problems)]


def _mark(table: Table) -> str:
    return "a comma" if table.decimal == "," else "a point"


def _dates(table: Table) -> Iterator[str]:
    grid = table.grid
    dates = grid.dates[grid.present]
    zone = f", at {table.offset} from UTC" if table.offset else ""
    first, last = written_dates(dates[[0, -1]], None)
    yield f"{len(dates):,} rows, {first} to {last} (column {table.date_column!r}{zone})"
    yield f"step {grid.frequency}, {season_length(grid.frequency)} steps to a season"


def _columns(table: Table) -> Iterator[str]:
    names, values = table.columns, table.values
    yield f"{len(names)} column(s): {_listing(names)}"
    counts = np.isnan(values).sum(axis=0)
    lacking = [f"{name} ({count:,})" for name, count in zip(names, counts, strict=True) if count]
    if lacking:
        yield f"missing values in: {_listing(lacking)}"
    low, high = np.nanmin(_known(values), axis=0), np.nanmax(_known(values), axis=0)
    constant = [name for name, flat in zip(names, low == high, strict=True) if flat]
    yield f"constant: {_listing(constant)}" if constant else "no column is constant"
    twins = list(_twins(table))
    yield f"duplicates: {_listing(twins)}" if twins else "no column duplicates another"
    found = list(_outliers(table))
    yield from found or [f"no value lies more than {OUTLYING:g} robust standard deviations from its column's median"]


def _known(values: np.ndarray) -> np.ndarray:
    """The values, 0 in columns that have none, of which NumPy would warn."""
    return np.where(np.isnan(values).all(axis=0), 0.0, values)


def _twins(table: Table) -> Iterator[str]:
    """Columns whose values are all those of an earlier one."""
    first: dict[bytes, str] = {}
    for name, column in zip(table.columns, table.values.T, strict=True):
        original = first.setdefault((column + 0.0).tobytes(), name)  # -0 as 0
        if original != name:
            yield f"{name} (of {original})"


def _outliers(table: Table) -> Iterator[str]:
    """One line for each column with values far out, by the interquartile range; the widest 12 columns."""
    dates = table.grid.dates[table.grid.present]
    found = []
    for c, name in enumerate(table.columns):
        known = table.values[~np.isnan(table.values[:, c]), c]
        if len(known) < 2:
            continue
        lower, middle, upper = np.percentile(known, [25, 50, 75])
        # Where half of the values are the same, all the others are far by this measure: take the whole spread.
        scale = (upper - lower) / NORMAL_QUARTILES or known.std()
        distance = np.abs(table.values[:, c] - middle) / scale if scale else np.zeros(len(table.values))
        far = int(np.nansum(distance > OUTLYING))
        if far:
            row = int(np.nanargmax(distance))
            found.append((distance[row], f"{name}: {far:,} value(s), the farthest {table.values[row, c]:g} at "
                          f"{dates[row]} ({table.place.row(row)}), {distance[row]:.0f} from {middle:g}"))  # fmt: skip
    for _, line in sorted(found, reverse=True)[:MOST]:
        yield f"extreme: {line}"
    if len(found) > MOST:
        yield f"extreme values also in {len(found) - MOST} more column(s)"


def _splits(table: Table, config: DataConfig) -> Iterator[str]:
    try:
        borders = find_dataset(config.data).split(len(table.grid.dates), table.place.name)
    except UserError as error:
        yield str(error)
        return
    sizes = {"train": borders.train, "val": borders.val - borders.train, "test": borders.test - borders.val}
    short = False
    for name, rows in sizes.items():
        reach = rows if name == "train" else rows + config.seq_len
        windows = max(0, reach - config.seq_len - config.pred_len + 1)
        if config.seq_len > borders.train:
            windows = 0
        yield f"{name}: {rows:,} rows, {windows:,} windows of {config.seq_len} -> {config.pred_len}"
        short = short or not windows
    if short:
        yield f"too short: {_shorter(sizes, config)}"


def _shorter(sizes: dict[str, int], config: DataConfig) -> str:
    longest = min(sizes["val"], sizes["test"], sizes["train"] - 1)
    if longest < 1:
        return "the file has too few rows to be split"
    pred_len = min(config.pred_len, longest)
    seq_len = min(config.seq_len, sizes["train"] - pred_len)
    return f"--seq_len {seq_len} --pred_len {pred_len} would fit"


def _verdict(table: Table, config: DataConfig, problems: Sequence[str]) -> str:
    """Whether a run could use the file, found out by doing all that comes before training."""
    ways = [config.fill] if config.fill or not problems else ["linear", "ffill"]
    for fill in ways:
        try:
            load_data(replace(config, fill=fill))
        except UserError as error:
            reason = str(error)
        else:
            how = f"with --fill {fill} (or ffill)" if fill == "linear" and not config.fill else f"with --fill {fill}"
            return f"The file can be used {how if fill else 'as it is'}."
    return f"The file cannot be used as it is: {reason}"


def _listing(names: Sequence[str]) -> str:
    more = f", … and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more
