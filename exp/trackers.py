"""Log the figures of each epoch as a CSV file or for TensorBoard."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import pandas as pd

from exp.config import RunConfig
from utils.errors import UserError
from utils.files import replacing

LOG, EVENTS = "log.csv", "tensorboard"


def check_log(log: str) -> None:
    """Raise UserError where what ``--log`` asks for is not installed."""
    if log == "tensorboard" and find_spec("tensorboard") is None:
        raise UserError("--log tensorboard needs its package: python -m pip install tensorboard, or choose csv.")


class EpochLog(ExitStack):
    """What ``--log`` asks for; a CSV file is written anew after each epoch, so that it is whole at any time.

    Args:
        epochs: how many were logged before, of a training that goes on; what was logged beyond them is dropped.
    """

    def __init__(self, config: RunConfig, epochs: int) -> None:
        super().__init__()
        self._path = config.results / LOG if config.runtime.log == "csv" else None
        self._board: Any = None
        if config.runtime.log == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter  # an optional package

            self._board = SummaryWriter(str(config.results / EVENTS), purge_step=epochs + 1)
            self.callback(self._board.close)

    def write(self, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Log the last of some epochs."""
        if self._path:
            with replacing(self._path) as temporary:
                pd.DataFrame(epochs, dtype=object).to_csv(temporary, index=False)
        if self._board:
            for name, value in epochs[-1].items():
                if value is not None:
                    self._board.add_scalar(name, value, epochs[-1]["epoch"])
