"""Keep forecasts as files: earlier ones with their date, and a copy where ``--output`` says."""

import csv
import logging
import re
import shutil
from itertools import count
from pathlib import Path

from exp.config import RunConfig
from exp.options import Command
from utils.errors import UserError, shown_path
from utils.files import replacing

logger = logging.getLogger(__name__)


def keep_earlier(path: Path, newer: Path, *beside: Path) -> None:
    """Copy a forecast to ``forecast_until_<its last date>.csv`` if the ``newer`` one, to replace it, starts elsewhere.

    The same forecast made again leaves no copy, nor does a file that is no forecast.

    Args:
        beside: what belongs to the forecast, if it is there, and is copied with the same date.
    """
    if not path.is_file():
        return
    dates = _dates(path)
    if not dates or dates.keys() == _dates(newer).keys():
        return
    last = re.sub(r"[^A-Za-z0-9.+-]+", "-", max(dates.values(), key=lambda date: (len(date), date)))[:60]
    for one in (path, *beside):
        if one.is_file():
            _copy_once(one, f"{one.stem}_until_{last}")


def _copy_once(path: Path, stem: str) -> None:
    """Copy a file to another name in its folder, or to the first free one after it, unless it is there already."""
    content = path.read_bytes()
    for number in count(1):
        kept = path.with_name(f"{stem}{'' if number == 1 else f'_{number}'}{path.suffix}")
        if not kept.exists():
            break
        if kept.read_bytes() == content:
            return
    copy_whole(path, kept)


def _dates(path: Path) -> dict[tuple[str, str], str]:
    """Return the last date of each series in a forecast's file, by the series and its first date."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name = row.get("id", "")
                first.setdefault(name, row["date"])
                last[name] = row["date"]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        return {}
    return {(name, date): last[name] for name, date in first.items()}


def check_output(config: RunConfig, command: Command) -> None:
    """Raise UserError where ``--output`` is no path that one forecast, or what else is asked for, can be written to."""
    output, future = Path(config.runtime.output), config.runtime.future_path
    shown = f"--output {shown_path(output)}"
    if output.is_dir():
        raise UserError(f"{shown} is a folder; name a file in it, like {shown_path(output / 'forecast.csv')}.")
    if output.suffix.lower() != ".csv":
        raise UserError(f"{shown}: what is written is a CSV file; give it a name that ends in .csv.")
    inputs = (*config.data.files(), *([Path(future)] if future else []))
    if output.exists() and any(path.exists() and output.samefile(path) for path in inputs):
        raise UserError(f"{shown} is the file that is read; give what is written another name.")
    if command.itr > 1 and not command.load:
        raise UserError(f"{shown} takes the result of one run, and --itr {command.itr} makes several: leave one out.")
    if (several := config.data.variants)[1:] and not command.load:
        made = " and ".join((several[0].variant, several[-1].variant))
        raise UserError(f"{shown} takes the result of one run, and here are {len(several)}, {made} among them.")
    for folder in output.parents:
        if folder.exists():
            if not folder.is_dir():
                raise UserError(f"{shown}: {shown_path(folder)} is a file, not a folder; choose another path.")
            return


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file, whole or not at all; folders on the way are made."""
    with replacing(path) as temporary:
        shutil.copyfile(source, temporary)


def deliver(config: RunConfig, what: str, path: Path, picture: Path | None) -> None:
    """Say where a CSV file and its picture lie, and copy the file to ``--output`` if there is one."""
    if picture:
        logger.info("picture: %s", shown_path(picture))
    logger.info("%s: %s", what, shown_path(path))
    if config.runtime.output:
        copy_whole(path, Path(config.runtime.output))
        logger.info("%s: %s", what, shown_path(config.runtime.output))
