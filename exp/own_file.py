"""Choose what people leave open for a file of their own: lengths of windows, training, backbone."""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from data_provider.config import SEARCH, DataConfig
from data_provider.datasets import find_dataset
from exp.config import RunConfig
from exp.experiments import TASKS
from models import find_config
from utils.errors import UserError
from utils.files import replacing
from utils.flags import given_for

if TYPE_CHECKING:
    from data_provider.reading import Frame

STDIN = "-"
SEASONS, LONGEST = 4, 336  # seasons to look back, and steps at most
HORIZONS = 5  # that the rows have room for, at least
FEWEST = 6  # training windows, where there are seasons to look back on
FEW = 0.1  # of the series of a long file that may be too short for the horizon
USUAL_WINDOW, TIMES_A_WINDOW = 96, 12  # steps to give back, and how often the rows are to hold them at least
STEPS, MOST_STEPS = 30, 300  # an epoch has at least so many batches where it can, and at most so many
USUAL_BATCH, MOST_BATCH = 32, 256
ALL_STEPS = 2000  # of a training that is not stopped early, with at least the first and at most the second of EPOCHS
EPOCHS = (20, 100)
PATIENCE = 5  # epochs; of many short ones a tenth
TINY = {"llm": "gpt2-tiny", "llm_init": "random"}
RATES = {True: 0.0005, False: 0.001}  # of models on a language model, and of others


def is_own(given: Mapping[str, Any]) -> bool:
    """Return whether the flags ask for one file of the user's."""
    name = given.get("data", "custom" if "data_path" in given else None)
    return name is not None and "," not in name and find_dataset(name).named_by_user


def filled_in(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the flags with what follows from a file of the user's for those that are not given, and lines on it.

    The flags of a run on a published data set are returned as they are.

    Raises:
        UserError: the file cannot be used.
    """
    task = TASKS[given.get("task_name", RunConfig.task_name)]
    if not is_own(given):
        return dict(given), []
    config = find_config(given.get("model", RunConfig.model))
    stand_in, lines_of_model = _stand_in(config, given)
    if task.fill_in is None:
        return stand_in | dict(given), lines_of_model
    lines: list[str] = []
    forecasts = "do_predict" in task.uses
    found = _id_columns({**given, "data": "custom"})
    if found and "id_col" not in given:
        given = {**given, "id_col": found}
        lines.append(f"a long file: its series are told apart by {found} (--id_col)")
    if found and not task.many:
        raise UserError(
            f"{given['data_path']} holds several series, told apart by {found}, and --task_name {given['task_name']} "
            "works on one: cut out its rows."
        )
    chosen, said = resolve_name(task.fill_in)({**given, "data": "custom"}, found)
    if config.trains:
        chosen |= _training(chosen, hasattr(config, "llm"))
    if hasattr(config, "output_w") and "learning_rate" not in given:
        chosen["output_w"] = 0.0  # with the output loss, so few steps leave a model far from trained
    new = {name: value for name, value in chosen.items() if name not in given and name != "windows"}
    if new:
        flags = " ".join(f"--{name} {value:g}" for name, value in new.items())
        lines.append(f"chosen from {said}: {flags}; each can be given")
    new |= stand_in
    lines += lines_of_model
    if not forecasts:
        return new | given, lines
    if given.get("is_training", 1) and not given.get("zero_shot") and "do_predict" not in given:
        if why := _lacking_future({**given, **new, "data": "custom"}):
            lines.append(f"no forecast beyond the file's end is made: {why}")
        else:
            new["do_predict"] = 1
    if given.get("is_training", 1) and (new | given).get("do_predict") and "refit" not in given:
        new["refit"] = 1
    return new | given, lines


def _stand_in(config: Any, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return flags of a small random network where a model's language model is not at hand, and a line that says so."""
    if not hasattr(config, "llm") or {"llm", "llm_init"} & given.keys() or _has_model(config.llm):
        return {}, []
    line = (
        f"no {config.llm} in the Hugging Face cache: a small random network (gpt2-tiny) stands in for it. The "
        f"better way: fetch it once with --llm {config.llm}, or name a folder with --llm FOLDER"
    )
    return dict(TINY), [line]


def _lacking_future(given: Mapping[str, Any]) -> str:
    """Return which values of columns known in advance a forecast would lack; empty where it lacks none."""
    if "future_cols" not in given:
        return ""
    from data_provider.known import check_future

    data = DataConfig(**given_for(DataConfig, given))
    try:
        check_future(data, max(data.pred_len, given.get("predict_len") or 0), given.get("future_path"))
    except UserError as error:
        if {"future_path", "predict_len", "output"} & given.keys():  # a forecast is wanted
            raise
        return str(error)
    return ""


def _id_columns(given: Mapping[str, Any]) -> str:
    """Return the columns that tell the series of the file apart, with commas between; empty for one series."""
    from data_provider.config import data_file
    from data_provider.reading import Reading, find_ids

    data = DataConfig(**given_for(DataConfig, given))
    spec = find_dataset(data.data)
    return ",".join(find_ids(data_file(data, spec), Reading.of(data, spec)))


def lengths_to_forecast(given: Mapping[str, Any], ids: str) -> tuple[dict[str, Any], str]:
    """Return lengths of windows that suit the file, with the number of training windows, and what the file is.

    Args:
        ids: columns that tell the series of a long file apart; empty for one series.
    """
    return (_lengths_of_many if ids else _lengths)(given)


def length_to_reconstruct(given: Mapping[str, Any], ids: str) -> tuple[dict[str, Any], str]:
    """Return a length of windows to give back, with the number of training windows, and what the file is."""
    from data_provider.factory import season_of

    data, frame = _table(given)
    rows, season = len(frame.dates), season_of(frame, data)
    seasons = max(1, min(SEASONS, USUAL_WINDOW // season)) * season  # whole ones, of which a model learns most
    fitting = max(1, rows // TIMES_A_WINDOW)
    seq_len = given.get("seq_len") or min(seasons if 1 < season <= fitting else USUAL_WINDOW, fitting)
    said = f"{rows:,} rows, a step of {frame.frequency}"
    return {"seq_len": seq_len, "windows": max(1, int(0.7 * rows) - seq_len + 1)}, said


def _table(given: Mapping[str, Any]) -> tuple[DataConfig, "Frame"]:
    """Return the configuration of an own file, and the file with its gaps: a run says what becomes of them."""
    from data_provider.config import data_file
    from data_provider.reading import Reading, read_table

    data = DataConfig(**given_for(DataConfig, given))
    spec = find_dataset(data.data)
    return data, read_table(data_file(data, spec), Reading.of(data, spec))


def _lengths_of_many(given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return lengths of windows that suit most series of a long file, with the number of samples, and what it is."""
    import numpy as np

    from data_provider.config import data_file
    from data_provider.factory import season_of
    from data_provider.many import MOST_SAMPLES, SHORTEST
    from data_provider.reading import Reading, read_panel

    data = DataConfig(**given_for(DataConfig, given))
    spec = find_dataset(data.data)
    panel = read_panel(data_file(data, spec), Reading.of(data, spec))
    season, short = season_of(panel.grid, data), int(np.quantile(panel.lengths, FEW))
    most = max(1, (short - SHORTEST) // 4)  # so that half of a short series is left to train on
    pred_len = given.get("pred_len") or min(natural_horizon(season), most)
    rows = int(np.median(panel.lengths))
    train = max(1, rows - 2 * pred_len)
    seq_len = given.get("seq_len") or max(1, min(max(2 * pred_len, min(SEASONS * season, LONGEST)), train // 2))
    samples = min(MOST_SAMPLES, len(panel.ids) * max(1, train - seq_len - pred_len + 1))
    said = f"{len(panel.ids):,} series, {rows:,} rows of half of them or more, a step of {panel.grid.frequency}"
    return {"seq_len": seq_len, "pred_len": pred_len, "windows": samples}, said


def _lengths(given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return lengths of windows that suit the file, with the number of training windows, and what the file is."""
    from data_provider.factory import borders_of, season_of

    data, frame = _table(given)
    spec = find_dataset(data.data)
    rows, season = len(frame.dates), season_of(frame, data)
    pred_len = given.get("pred_len") or max(1, min(natural_horizon(season), rows // HORIZONS))
    borders = borders_of(spec, rows, frame.source, pred_len)
    room = max(borders.train // 3, min(season, borders.train - pred_len - FEWEST + 1), 1)
    look = min(max(2 * pred_len, min(SEASONS * season, LONGEST)), room)
    seq_len = given.get("seq_len") or max(1, min(look, borders.train - pred_len))
    windows = max(1, borders.train - seq_len - pred_len + 1)
    said = f"{rows:,} rows, a step of {frame.frequency}"
    return {"seq_len": seq_len, "pred_len": pred_len, "windows": windows}, said


def natural_horizon(season: int) -> int:
    """Return a horizon that people plan with, from the steps of a season: a day of hours, two weeks of days, a year."""
    if season < 4:
        return 6
    if season < 12:
        return 2 * season
    if season == 52:
        return 13  # a quarter of weeks
    return season if season <= 96 else 60


def _training(chosen: Mapping[str, Any], on_llm: bool) -> dict[str, Any]:
    """Return batch, epochs, patience and rate for a number of windows."""
    windows = chosen["windows"]
    batch = 8
    while (batch < USUAL_BATCH and windows / (2 * batch) >= STEPS) or (
        USUAL_BATCH <= batch < MOST_BATCH and windows / batch > MOST_STEPS
    ):
        batch *= 2
    epochs = min(max(ALL_STEPS // max(1, windows // batch), EPOCHS[0]), EPOCHS[1])
    rate, patience = RATES[on_llm], max(PATIENCE, epochs // 10)
    return {"batch_size": batch, "train_epochs": epochs, "patience": patience, "learning_rate": rate}


def _has_model(name: str) -> bool:
    """Return whether a language model can be had without network."""
    if Path(name).is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "model.safetensors.index.json")
    return any(isinstance(try_to_load_from_cache(name, file), str) for file in files)


def with_stdin(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the flags with a file in the working directory in place of standard input (-), and a line on it.

    Raises:
        UserError: standard input is empty.
    """
    if given.get("data_path") != STDIN:
        return dict(given), []
    content = sys.stdin.buffer.read()
    if not content:
        raise UserError("--data_path -: there is nothing on standard input.")
    path = Path(f"stdin-{hashlib.sha256(content).hexdigest()[:8]}.csv")
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return {**given, "data_path": os.path.abspath(path)}, [f"standard input is kept in {path}"]


def take_search(given: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the flags without a wish to search the look-back, and whether there was one.

    Raises:
        UserError: a search is asked for together with what it cannot serve.
    """
    if given.get("seq_len") != SEARCH:
        return dict(given), False
    task = given.get("task_name", RunConfig.task_name)
    reasons = {
        f"--task_name {task}": task != RunConfig.task_name,
        "--load": "load" in given,
        f"--data {given.get('data')}, several data sets": "," in given.get("data", ""),
        "--check_data": given.get("check_data"),
    }
    if against := [name for name, holds in reasons.items() if holds]:
        raise UserError(f"--seq_len {SEARCH} does not go with {against[0]}: give a number of steps.")
    return {name: value for name, value in given.items() if name != "seq_len"}, True
