"""How fast CALF is and how much memory it takes: ``python -m utils.benchmark``.

The one part of ``utils`` that may import data_provider, models and tests: it measures the whole program, against the
tests' plain restatement.
"""

import os

# PyTorch's profiler announces itself otherwise; it reads this while torch is imported.
os.environ.setdefault("KINETO_LOG_LEVEL", "9")
