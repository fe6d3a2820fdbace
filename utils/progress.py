"""Progress that suits where it goes: moving bars on a terminal, a plain line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from utils.command import is_main_process, raise_if_stopped

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Iterate over ``items`` and show how far it is, with figures and the time left.

    On a terminal it is a tqdm bar; elsewhere a log line at most every 30 seconds, so that a log stays readable,
    or none at all without ``lines``. ``initial`` items were done before.
    """

    def __init__(self, items: Iterable[Any], name: str, total: int, lines: bool = True, initial: int = 0) -> None:
        here = sys.stderr.isatty() and is_main_process()
        self._bar = tqdm(items, name, total, leave=False, disable=not here, dynamic_ncols=True, initial=initial)
        self._name = name
        self._total = total
        self._lines = lines
        self._figures: dict[str, str] = {}

    def show(self, **figures: str) -> None:
        """Set the figures shown beside the count."""
        self._figures = figures
        self._bar.set_postfix(figures, refresh=False)

    def __iter__(self) -> Iterator[Any]:
        if not self._bar.disable:
            with logging_redirect_tqdm():
                for item in self._bar:
                    yield item
                    raise_if_stopped()
            return
        start = said = time.monotonic()
        for done, item in enumerate(self._bar, start=1):
            yield item
            raise_if_stopped()
            now = time.monotonic()
            if self._lines and now - said >= SECONDS_BETWEEN_LINES and done < self._total:
                left = (now - start) / done * (self._total - done)
                figures = "".join(f", {key} {value}" for key, value in self._figures.items())
                logger.info("  %s, batch %d of %d%s, %s left", self._name, done, self._total, figures, clock(left))
                said = now


class ByteProgress:
    """How much of a file has arrived: a bar on a terminal, elsewhere a log line at most every 30 seconds."""

    def __init__(self, name: str, total: int | None, done: int = 0) -> None:
        options = {"unit": "B", "unit_scale": True, "leave": False, "dynamic_ncols": True}
        self._bar = tqdm(desc=name, total=total, initial=done, disable=not sys.stderr.isatty(), **options)
        self._name, self._total, self._done = name, total, done
        self._said = time.monotonic()

    def add(self, count: int) -> None:
        """``count`` more bytes are there."""
        self._done += count
        self._bar.update(count)
        if self._bar.disable and time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            of = f" of {megabytes(self._total)}" if self._total else ""
            logger.info("  %s: %s%s", self._name, megabytes(self._done), of)

    def __enter__(self) -> "ByteProgress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def megabytes(count: int) -> str:
    """Bytes as ``2.6 MB``."""
    return f"{count / 1e6:,.1f} MB"


def clock(seconds: float) -> str:
    """Seconds as ``1:02:03`` or ``2:03``."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
