"""Make tables of the runs in ``results/``."""

import pandas as pd

pd.options.mode.string_storage = "python"  # PyArrow's refuses names of files with bytes that are no UTF-8
