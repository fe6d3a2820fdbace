"""Where golden data and real data sets lie, if they do."""

import os
from pathlib import Path

GOLDEN = Path(os.environ.get("CALF_GOLDEN", "../shared/golden")).resolve()
DATASETS = Path(os.environ.get("CALF_DATASETS", "./datasets")).resolve()


def golden_cases(pattern: str) -> list[Path]:
    """Every golden file that matches; none where there are no golden data."""
    return sorted(GOLDEN.glob(pattern))
