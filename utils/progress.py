"""Show progress: a moving bar on a terminal, a line now and then in a log."""

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
    """Iterate over items and show how many are done, with figures and the time left.

    On a terminal this is a tqdm bar, elsewhere a log line at most every 30 seconds.

    Args:
        items: what to iterate over.
        name: printed before the count.
        total: number of items.
        lines: whether to write log lines where there is no terminal.
        initial: number of items that were done before.
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


def clock(seconds: float) -> str:
    """Write seconds as ``1:02:03`` or ``2:03``."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
