"""Pictures without a drawing: drawing takes most of the time of a tiny run."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


class BlankFigure:
    """Stands for ``matplotlib.figure.Figure`` and its parts: takes whatever is drawn, and is saved as one dot."""

    def __init__(self, **_: Any) -> None:
        """Take what a figure is made with."""

    def __getattr__(self, name: str) -> "BlankFigure":
        if name.startswith("__"):  # numpy asks for some
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> "BlankFigure":
        """Do what any other method does: nothing."""
        return self

    __getitem__ = __call__

    def subplots(self, rows: int = 1, columns: int = 1, squeeze: bool = True, **_: Any) -> Any:
        """Return axes in the shape that matplotlib gives them."""
        axes = np.empty((rows, columns), object)
        axes.fill(self)
        return axes.squeeze()[()] if squeeze else axes

    def get_legend_handles_labels(self) -> tuple[list[Any], list[str]]:
        """Return what a legend shows."""
        return [], []

    def savefig(self, file: Path, **_: Any) -> None:
        """Write a picture of one dot."""
        Image.new("1", (1, 1)).save(file, format="png")
