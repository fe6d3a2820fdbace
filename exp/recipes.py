"""Name whole sets of training settings (``--recipe``). Light: ``--help`` reads them.

What is in a recipe was chosen on validation errors alone, which ``python -m scripts.search_recipe`` finds;
scripts/README.md has a table of them.
"""

from collections.abc import Mapping
from typing import Any

PAPER, BEST = "paper", "best"
# The values of flags that are not given, by the name of the recipe; of model flags those that a model has.
RECIPES: dict[str, Mapping[str, Any]] = {
    PAPER: {},
    BEST: {"ema": 0.99, "output_w": 0.0},
}
