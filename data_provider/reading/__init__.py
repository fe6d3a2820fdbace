"""Read one CSV file or one pandas table: with certainty, or refuse it with a message that names the place.

Other packages import from here, not from the files below.
"""

from data_provider.reading.csv_file import listing, shown
from data_provider.reading.frame import FARTHEST, Frame, Known, describe, holes, on_clock_of
from data_provider.reading.frequency import (
    check_frequency,
    date_rule,
    future_dates,
    infer_frequency,
    same_step,
    season_length,
)
from data_provider.reading.missing import complete
from data_provider.reading.panel import Panel, filled, spans
from data_provider.reading.table import (
    Reading,
    columns_of,
    find_ids,
    frame_from,
    known_from,
    panel_from,
    read_as_written,
    read_frame,
    read_known,
    read_panel,
    read_table,
    table_from,
)
from data_provider.reading.timezones import aware_dates, counted, local_dates, nanoseconds_of, written_dates

__all__ = [
    "FARTHEST", "Frame", "Known", "Panel", "Reading", "aware_dates", "check_frequency", "columns_of", "complete",
    "counted", "date_rule", "describe", "filled", "find_ids", "frame_from", "future_dates", "holes",
    "infer_frequency", "known_from", "listing", "local_dates", "nanoseconds_of", "on_clock_of", "panel_from",
    "read_as_written", "read_frame", "read_known", "read_panel", "read_table", "same_step", "season_length",
    "shown", "spans", "table_from", "written_dates",
]  # fmt: skip
