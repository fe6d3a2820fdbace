"""What is run from a shell: training and testing as in the paper, and the benchmark."""

import os

# PyTorch's profiler announces itself otherwise; it reads this while torch is imported.
os.environ.setdefault("KINETO_LOG_LEVEL", "9")
