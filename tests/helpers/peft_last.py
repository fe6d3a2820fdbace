"""Import peft after all else that the server of processes imports, and know whether anything there had done so."""

import sys

IMPORTED_BEFORE = "peft" in sys.modules

import peft  # noqa: E402, F401 (the order is the point)
