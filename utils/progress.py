"""Show how far a loop is: a moving bar on a terminal, a plain line now and then in a log."""

import io
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from utils.command import is_main_process, raise_if_stopped

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 30.0
LINE = "{desc}, batch {n_fmt} of {total_fmt}{postfix}, {remaining} left"


class _Log(io.StringIO):
    """A file for tqdm that passes its lines on to the log."""

    def write(self, text: str) -> int:
        if line := text.strip():
            logger.info("  %s", line)
        return len(text)


class Progress(tqdm):
    """A loop over items that shows how far it is; ``initial`` items were done before, ``lines`` is for a log."""

    def __init__(self, items: Iterable[Any], name: str, total: int, lines: bool = True, initial: int = 0) -> None:
        self.on_terminal = sys.stderr.isatty() and is_main_process()
        wait = {"mininterval": SECONDS_BETWEEN_LINES, "delay": SECONDS_BETWEEN_LINES, "miniters": 1, "smoothing": 0}
        plain = {"file": _Log(), "bar_format": LINE, "disable": not lines, **wait}
        options = {"dynamic_ncols": True} if self.on_terminal else plain
        super().__init__(items, name, total, leave=False, initial=initial, **options)

    def show(self, **figures: str) -> None:
        """Set the figures shown beside the count."""
        self.set_postfix(figures, refresh=False)

    def __iter__(self) -> Iterator[Any]:
        with logging_redirect_tqdm() if self.on_terminal else nullcontext():
            for item in super().__iter__():
                yield item
                raise_if_stopped()


def clock(seconds: float) -> str:
    """Return seconds as ``02:03`` or ``1:02:03``."""
    return tqdm.format_interval(round(seconds))
