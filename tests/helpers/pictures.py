"""Pictures without a drawing: drawing takes most of the time of a tiny run."""

from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from PIL import Image


class BlankFigure(MagicMock):
    """Stands for ``matplotlib.figure.Figure``: takes whatever is drawn, and is saved as a picture of one dot."""

    def subplots(self, rows: int = 1, columns: int = 1, squeeze: bool = True, **_: Any) -> Any:
        """Return axes in the shape that matplotlib gives them."""
        axis = MagicMock()
        axis.get_legend_handles_labels.return_value = ([], [])
        axes = np.empty((rows, columns), object)
        axes.fill(axis)
        return axes.squeeze()[()] if squeeze else axes

    def savefig(self, file: Path, **_: Any) -> None:
        """Write a picture of one dot."""
        Image.new("1", (1, 1)).save(file, format="png")
