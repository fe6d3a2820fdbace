"""Turn a long file into samples and windows of its series, each standardized by its own training rows.

Shapes: N series, S their rows in all, C channels, F columns known in advance, W windows.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from data_provider.config import DataConfig, data_file
from data_provider.datasets import find_dataset
from data_provider.factory import season_of
from data_provider.known import KnownColumns, fit_known_rows
from data_provider.reading import FARTHEST, Panel, Reading, filled, listing, read_panel, spans
from data_provider.series import FlatSeries, RandomCuts, SeriesWindows
from data_provider.windows import Split, calendar_marks
from utils.errors import UserError

MOST_SAMPLES = 50_000  # of an epoch, and about as many windows of validation and of test
SHORTEST = 3  # values to train on: with fewer there is no scale


@dataclass(frozen=True)
class ManyData:
    """Many standardized series, their training samples and the windows to score.

    Attributes:
        columns: C names, the target last
        scored: the channels that loss and metrics look at
        known: the columns that are known in advance
        mean: (N, C), of the training rows of each series
        scale: (N, C), likewise, the standard deviation; 1 where it is 0
        exact: the series as ``series``, in float64
        samples: of training
        windows: of validation and test
        every: of how many windows in a row one is scored
    """

    panel: Panel
    scored: slice
    known: KnownColumns
    mean: np.ndarray
    scale: np.ndarray
    season: int
    has_season: bool
    series: FlatSeries
    exact: FlatSeries
    samples: RandomCuts
    windows: dict[Split, SeriesWindows]
    every: int
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the channels."""
        return self.panel.columns

    @property
    def source(self) -> str:
        """Return the file."""
        return self.panel.grid.source

    @property
    def scored_columns(self) -> tuple[str, ...]:
        """Return the names of the scored channels."""
        return self.columns[self.scored]


def load_many(config: DataConfig, seed: int, marks: bool = False, all_rows: bool = False) -> ManyData:
    """Read, check, standardize and cut the series of a long file.

    Of each series the last 20 % of its rows are for the test and 10 % before them for validation, at least one horizon
    each. A series too short for that is left out.

    Args:
        seed: of the training samples.
        marks: add calendar marks to every window.
        all_rows: train on all rows, with none left for validation and test.

    Raises:
        UserError: the data cannot be used; the message says where and why.
    """
    spec = find_dataset(config.data)
    panel = filled(read_panel(data_file(config, spec), Reading.of(config, spec)), config.fill)
    panel = _long_enough(_chosen(panel, config), config.pred_len)
    train, val = (panel.lengths, panel.lengths) if all_rows else _borders(panel.lengths, config.pred_len)
    mean, scale, constant = _statistics(panel, train)
    lengths = panel.lengths
    values = (panel.values - np.repeat(mean, lengths, axis=0)) / np.repeat(scale, lengths, axis=0)
    _check_distance(panel, values)
    dates = panel.grid.dates[panel.places]
    training = _first(lengths, train)
    past = known_past(panel)
    known, said = fit_known_rows(config, panel.grid, panel.known_columns, past, training)
    extras = {
        "observed": panel.observed,
        "marks": calendar_marks(dates) if marks else None,
        "known": known.tensor(past, dates, panel.grid),
    }
    series = FlatSeries(values, panel.offsets, **extras)
    limits = {Split.VAL: (train, val), Split.TEST: (val, lengths)}
    counts = [int((last - first - config.pred_len + 1).sum()) for first, last in limits.values()]
    every = max(1, ceil(max(counts) / MOST_SAMPLES))
    windows = {split: _windows(series, *limit, config, every) for split, limit in limits.items()}
    season = season_of(panel.grid, config)
    few = [] if every == 1 else [f"of every {every} windows in a row one is scored: there are {max(counts):,}"]
    return ManyData(
        panel=panel,
        scored=slice(-1, None) if config.features == "MS" else slice(None),
        known=known,
        mean=mean,
        scale=scale,
        season=season,
        has_season=bool((val >= season).any()),
        series=series,
        exact=FlatSeries(values, panel.offsets, np.float64),
        samples=_samples(series, train, config, seed),
        windows=windows,
        every=every,
        notes=(*panel.notes, *constant, *said, *few, *_ended(panel, config.pred_len)),
    )


def _chosen(panel: Panel, config: DataConfig) -> Panel:
    """Return the channels that ``--features`` and ``--target`` ask for, the target last."""
    target = config.target
    if target not in panel.columns:
        if config.features != "M" or target != DataConfig.target:
            raise UserError(
                f"{panel.grid.source} has no column {target!r} (--target); its columns are {listing(panel.columns)}."
            )
        target = panel.columns[-1]
    others = () if config.features == "S" else [name for name in panel.columns if name != target]
    return panel.arrange([*others, target])


def _long_enough(panel: Panel, pred_len: int) -> Panel:
    """Return the series that can be trained on, validated and tested; the others are named."""
    needed = 2 * pred_len + SHORTEST
    kept = panel.lengths >= needed
    if kept.all():
        return panel
    short = [name for name, fits in zip(panel.ids, kept, strict=True) if not fits]
    told = f"(fewer than {needed} rows: two horizons to score, {SHORTEST} rows to train on): {len(short):,} series"
    if not kept.any():
        longest = int(panel.lengths.max())
        raise UserError(
            f"{panel.grid.source}: all series are too short {told}, the longest has {longest}: choose a shorter "
            f"--pred_len, at most {max(1, (longest - SHORTEST) // 2)}."
        )
    return panel.select(kept).noting(f"left out {told}, {listing(short)}")


def _borders(lengths: np.ndarray, pred_len: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row after training and after validation of each series, (N,), counted from its first row."""
    test = np.maximum((0.2 * lengths).astype(int), pred_len)
    val = lengths - test
    train = np.minimum((0.7 * lengths).astype(int), val - pred_len)
    return train, val


def _first(lengths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return (S,): True for the first ``counts`` (N,) rows of each series."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - np.repeat(starts, lengths) < np.repeat(counts, lengths)


def _statistics(panel: Panel, train: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return mean and standard deviation (N, C) of the training rows of each series, and a note on constant ones."""
    rows = _first(panel.lengths, train)
    starts = np.cumsum(train) - train
    training = panel.values[rows]
    mean = np.add.reduceat(training, starts) / train[:, None]
    deviation = training - np.repeat(mean, train, axis=0)
    scale = np.sqrt(np.add.reduceat(np.square(deviation), starts) / train[:, None])
    flat = np.maximum.reduceat(training, starts) == np.minimum.reduceat(training, starts)
    mean[flat] = training[starts][flat]  # the mean of large equal numbers is off by rounding
    flat |= ~(scale > 0)
    scale[flat] = 1.0
    names = [name for name, one in zip(panel.ids, flat.any(axis=1), strict=True) if one]
    if not names:
        return mean, scale, ()
    return mean, scale, (f"constant over their training rows, and forecast all the same: {listing(names)}",)


def _check_distance(panel: Panel, values: np.ndarray) -> None:
    """Raise UserError if a value (S, C), in standard deviations, is too far from the mean."""
    far = np.abs(values) > FARTHEST
    if far.any():
        row, column = (int(part) for part in np.argwhere(far)[0])
        name = panel.ids[int(np.searchsorted(panel.offsets, row, side="right")) - 1]
        raise UserError(
            f"{panel.grid.source}, {name!r}, column {panel.columns[column]!r}, {panel.grid.dates[panel.places[row]]}: "
            f"{panel.values[row, column]:g} is more than {FARTHEST:g} training standard deviations from the mean; "
            "correct or remove it."
        )


def _windows(series: FlatSeries, first: np.ndarray, last: np.ndarray, config: DataConfig, every: int) -> SeriesWindows:
    """Return the windows whose steps to forecast lie in rows ``first`` to ``last`` (exclusive, (N,)) of each series."""
    counts = np.maximum(0, -(-(last - first - config.pred_len + 1) // every))
    which = np.repeat(np.arange(len(first)), counts)
    steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    origins = series.starts.numpy()[which] + first[which] + every * steps
    return SeriesWindows(series, torch.from_numpy(which), torch.from_numpy(origins), config.seq_len, config.pred_len)


def _samples(series: FlatSeries, train: np.ndarray, config: DataConfig, seed: int) -> RandomCuts:
    """Return training samples: of each series as many as it has cuts, or a share of them.

    Samples are whole where a series is long enough; in a shorter one they begin before it, or end after its training.
    """
    lengths = torch.from_numpy(train)
    horizon, seq_len = config.pred_len, config.seq_len
    seen = series.starts + lengths
    ends = torch.maximum(seen - horizon + 1, series.starts + torch.clamp(lengths // 2, min=1) + 1)
    first = torch.minimum(series.starts + seq_len, torch.maximum(series.starts + 1, ends - 1 - horizon))
    cuts = (ends - first).double() * config.percent / 100
    share = min(1.0, MOST_SAMPLES / float(cuts.sum()))
    draws = torch.ceil(cuts * share).long()
    which = torch.repeat_interleave(torch.arange(len(series)), draws)
    return RandomCuts(series, first, ends, seen, which, seq_len, horizon, seed)


def _ended(panel: Panel, pred_len: int) -> list[str]:
    """Return a note on the series that end more than a horizon before the others do."""
    late = panel.last.max() - panel.last > pred_len
    names = [name for name, one in zip(panel.ids, late, strict=True) if one]
    if not names:
        return []
    return [f"ended more than a horizon before the last date, and forecast after their own end: {listing(names)}"]


def known_past(panel: Panel) -> np.ndarray | None:
    """Return the columns of the file that are known in advance over the rows of the series, (S, F)."""
    if panel.known is None:
        return None
    return panel.known[_first(np.diff(panel.known_offsets), panel.lengths)]


def report_on_many(config: DataConfig) -> list[str]:
    """Return what ``--check_data`` prints of a long file; raise UserError if it cannot be read at all."""
    spec = find_dataset(config.data)
    path = data_file(config, spec)
    panel = read_panel(path, Reading.of(config, spec))
    lines, notes = spans(panel), panel.notes
    try:  # what comes before training
        data = load_many(config, seed=0)
        notes = data.notes
        counts = ", ".join(f"{split.value} {len(windows):,}" for split, windows in data.windows.items())
        lines.append(f"windows of {config.seq_len} -> {config.pred_len}: {counts}")
        verdict = "The file can be used as it is."
    except UserError as error:
        verdict = f"The file cannot be used as it is: {error}"
    lines += [f"note: {note}" for note in notes]
    title = f"{panel.grid.source}: {path.stat().st_size / 1e6:,.2f} MB, {panel.grid.location}"
    return [title, *(f"  {line}" for line in lines), verdict]
