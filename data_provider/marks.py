"""Turn dates into calendar marks, the time features that models of this field read."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

COUNT = 4


def calendar_marks(dates: pd.DatetimeIndex) -> Tensor:
    """Return the marks (T, 4) of dates, each from -0.5 to 0.5: hour, weekday, day of month, day of year.

    The scaling is that of the field's ``timeF`` encoding for hourly data (GluonTS, Informer).
    """
    parts = (dates.hour / 23, dates.day_of_week / 6, (dates.day - 1) / 30, (dates.day_of_year - 1) / 365)
    return torch.from_numpy(np.stack(parts, axis=-1).astype(np.float32) - 0.5)
