"""Put models beside each other: their errors, which differences are certain, skill over all cells, and cost."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from utils.results import ERRORS
from utils.tables.records import FEW_SHOT, LONG_TERM, ZERO_SHOT, Block, look_up
from utils.tables.statistics import difference_interval, in_a_word, summarize
from utils.tables.tables import AVERAGE, PAPER, Tables

BASELINE = "SeasonalNaive"
COMPARED = (LONG_TERM, FEW_SHOT, ZERO_SHOT)
METRICS = ("mse", "mae")  # the columns of a run's errors by window
PLACE = ["protocol", "horizon"]


class Pair(NamedTuple):
    """Two models on the same test windows.

    Attributes:
        difference: mean error of ``model`` minus that of ``other``, seeds averaged first.
        lower: bound of the 95 % interval; None, as ``upper``, where there are too few windows.
        windows: of the test.
        seeds: of both models, the fewer.
    """

    protocol: Block
    horizon: str
    metric: str
    model: str
    other: str
    difference: float
    lower: float | None
    upper: float | None
    verdict: str
    windows: int
    seeds: int


def models_of(tables: Tables, table: str) -> list[str]:
    """Return the models with runs in a table, with their backbones: CALF first, those without training last."""
    shown = _shown(tables, table)
    trained = {network: _parameters(runs)["trained"] or 0 for network, runs in shown.groupby("network")}
    return sorted(trained, key=lambda network: (not network.startswith(PAPER), not trained[network], network.lower()))


def _shown(tables: Tables, table: str) -> pd.DataFrame:
    runs = tables.runs[tables.runs.shown & (tables.runs.table == table)]
    return runs.assign(protocol=[block.protocol for block in runs.block])


def side_by_side(tables: Tables, table: str, metric: str) -> pd.DataFrame:
    """Return a row for each data set and horizon, and for each model ``mean``, ``std`` and ``seeds`` of a metric."""
    rows = tables.rows[(tables.rows.table == table) & (tables.rows.metric == metric) & tables.rows["mean"].notna()]
    rows = rows.assign(protocol=[b.protocol for b in rows.block], network=[b.network for b in rows.block])
    rows = rows[[block.selected_on != "test" for block in rows.block]]
    wide = rows.pivot(index=PLACE, columns="network", values=["mean", "std", "seeds"])
    order = rows.drop_duplicates(PLACE)[PLACE]
    return wide.reindex(pd.MultiIndex.from_frame(order))


def compare_pairs(tables: Tables, table: str) -> Iterator[Pair]:
    """Yield every pair of models on every data set and horizon where both have the errors of the same windows."""
    shown, names = _shown(tables, table), models_of(tables, table)
    for (protocol, horizon), runs in shown.groupby(PLACE, sort=False):
        errors = {name: _errors(own) for name, own in runs.groupby("network")}
        first = {name: runs.record[runs.network == name].iloc[0] for name in errors}
        for model, other in combinations([name for name in names if name in errors], 2):
            own, theirs, records = errors[model], errors[other], (first[model], first[other])
            same = len({(one["data"]["digest"], one["data"].get("target_data")) for one in records}) == 1
            if own is None or theirs is None or own.shape[1:] != theirs.shape[1:] or not same:
                continue
            difference = own.mean(axis=0) - theirs.mean(axis=0)  # (W, 2)
            difference = difference[np.isfinite(difference).all(axis=1)]
            for metric, values in zip(METRICS, difference.T, strict=True):
                interval = difference_interval(values, protocol.seq_len + int(horizon))
                yield Pair(
                    protocol, horizon, metric, model, other, values.mean(), *(interval or (None, None)),
                    in_a_word(interval), len(values), min(len(own), len(theirs)),
                )  # fmt: skip


def _errors(runs: pd.DataFrame) -> np.ndarray | None:
    """Return the errors (seeds, W, 2) of a model's runs; None where a run has none, or those of other windows."""
    try:
        found = [np.load(Path(folder, ERRORS), allow_pickle=False) for folder in runs.folder]
        stacked = np.stack(found).astype(np.float64)
    except (OSError, ValueError):
        return None
    windows = look_up(runs.record.iloc[0], "scores.metrics")[runs.record.iloc[0]["model"]["name"]].get("windows")
    return stacked if stacked.shape[1:] == (windows, len(METRICS)) else None


def over_all(tables: Tables, table: str, metric: str) -> tuple[pd.DataFrame, int, int]:
    """Return ``statistics.summarize`` over all cells that every model has, and how many cells and data sets these are.

    Skill is measured against the seasonal naive forecast, which every run has beside it.
    """
    means = side_by_side(tables, table, metric)["mean"].drop(AVERAGE, level="horizon", errors="ignore")
    rows = tables.rows[(tables.rows.table == table) & (tables.rows.metric == metric)]
    rows = rows.assign(protocol=[block.protocol for block in rows.block])
    baseline = rows.dropna(subset="seasonal_naive").drop_duplicates(PLACE).set_index(PLACE).seasonal_naive
    errors = means.assign(**{BASELINE: baseline}).astype(float).dropna()
    data_sets = errors.index.unique("protocol")
    return (summarize(errors, BASELINE) if len(errors) else pd.DataFrame()), len(errors), len(data_sets)


def costs(tables: Tables, table: str) -> pd.DataFrame:
    """Return a row for each data set, horizon and model: what training and forecasting took, as means over seeds."""
    lines = []
    for (protocol, horizon, network), runs in _shown(tables, table).groupby([*PLACE, "network"], sort=False):
        training = [look_up(record, "run.training") or {} for record in runs.record]
        epochs = [one["seconds"] / len(one["epochs"]) for one in training if one.get("epochs") and one.get("seconds")]
        costs = [look_up(record, "cost") or {} for record in runs.record]
        lines.append(
            {
                "protocol": protocol,
                "horizon": horizon,
                "network": network,
                "seeds": len(runs),
                **_parameters(runs),
                "seconds_per_epoch": _mean(epochs),
                "milliseconds": _mean([one.get("milliseconds_per_forecast") for one in costs]),
                "gib": _mean([one["peak_memory"] / 2**30 for one in costs if one.get("peak_memory")]),
                "machine": ", ".join(sorted({str(look_up(one, "run.environment.device")) for one in runs.record})),
            }
        )
    return pd.DataFrame(lines)


def _parameters(runs: pd.DataFrame) -> dict[str, int | None]:
    return {name: look_up(runs.record.iloc[0], f"model.parameters.{name}") for name in ("trained", "total")}


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")
