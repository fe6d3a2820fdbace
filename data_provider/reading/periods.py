"""Read and write periods of time: quarters, months and weeks, in the form of the file."""

import re

import pandas as pd

# strftime's patterns, and %q for the quarter.
FORMS = (
    "%YQ%q", "%Y-Q%q", "%Y Q%q", "%Y/Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%G-W%V", "%GW%V", "%G W%V", "%YM%m", "%Y-M%m",
    "%Y%m", "%b-%y", "%b %y", "%b%y", "%b-%Y", "%b %Y", "%b%Y", "%B-%y", "%B %y", "%B-%Y", "%B %Y", "%Y-%b", "%Y %b",
    "%Y %B", "%m/%Y", "%m.%Y", "%m-%Y",
)  # fmt: skip
_PARTS = {
    "%Y": r"(?P<year>\d{4})", "%G": r"(?P<year>\d{4})", "%y": r"\d{2}", "%q": "(?P<quarter>[1-4])",
    "%V": r"(?P<week>\d{1,2})", "%m": r"\d{1,2}", "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3,9}",
}  # fmt: skip


def read_periods(texts: pd.Series) -> tuple[str | None, pd.DatetimeIndex | None]:
    """Return the form that fits all texts and the beginnings of their periods; (None, None) if none does."""
    if not len(texts) or texts.isna().any():
        return None, None
    for form in FORMS:
        pattern = re.sub("%[A-Za-z]", lambda part: _PARTS[part[0]], form)
        if re.fullmatch(pattern, texts.iloc[0], re.IGNORECASE) and texts.str.fullmatch(pattern, case=False).all():
            wall = _beginnings(texts, form, pattern)
            if not wall.isna().any():
                return form, pd.DatetimeIndex(wall)
    return None, None


def _beginnings(texts: pd.Series, form: str, pattern: str) -> pd.Series:
    if "%q" in form or "%V" in form:
        parts = texts.str.extract(f"(?i){pattern}")
        if "quarter" in parts:
            month = (parts["quarter"].astype(int) * 3 - 2).astype(str)
            return pd.to_datetime(parts["year"] + "-" + month, format="%Y-%m", errors="coerce")
        return pd.to_datetime(
            parts["year"] + " " + parts["week"].str.zfill(2) + " 1", format="%G %V %u", errors="coerce"
        )
    if form == "%Y%m" and not texts.str.match("(?:1[5-9]|20|21)").all():
        return pd.Series([pd.NaT])
    return pd.to_datetime(texts, format=form, errors="coerce")


def write_periods(dates: pd.DatetimeIndex, form: str) -> list[str]:
    """Return the periods in which dates lie, in a form that :func:`read_periods` gives."""
    return [date.strftime(form.replace("%q", str(date.quarter))) for date in dates]
