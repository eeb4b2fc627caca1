"""Moments as people write them, and as labelled rows count them: seconds since 1970."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

from lifeboat.config.errors import SettingsError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = 1_000_000
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
FORMS = "2026-11-20T12:00:00Z, or 2026-11-20 for the end of that day in UTC"


def parse_timestamp(text: str) -> datetime:
    """Reads a moment of the past, in UTC; a plain date is the last microsecond of that day.

    A time without its zone is refused: it would mean another moment on another machine. So is a moment that is still to
    come: what is known by then is not known yet, and the same run tomorrow would take other rows.

    Args:
        text: as in `FORMS`; any offset from UTC may stand for Z.

    Raises:
        ValueError: another form, no day of the calendar, or a moment that is still to come.
    """
    if not _DATE.fullmatch(text) and not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no moment such as {FORMS}")
    try:
        if _DATE.fullmatch(text):
            moment = datetime.combine(date.fromisoformat(text), time.max, UTC)
        else:
            moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no moment: {error}") from None
    if moment > datetime.now(UTC):
        raise ValueError(f"{text!r} is still to come ({format_timestamp(moment)})")
    return moment


def read_timestamp(text: str, name: str) -> datetime | None:
    """The moment that a parameter of this name says; None where it is empty, which means now.

    Raises:
        SettingsError: see `parse_timestamp`.
    """
    try:
        return parse_timestamp(text) if text else None
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def format_timestamp(moment: datetime) -> str:
    """The one form of a moment: UTC, with microseconds where there are any; `parse_timestamp` reads it back."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def show_seconds(seconds: float) -> str:
    """The first microsecond that is not before these seconds since 1970: what is known then is known by it."""
    exact = Fraction(seconds) * _MICROSECONDS
    count = math.ceil(exact)
    # A moment that was written with microseconds comes back as it was, though a float is a little beside it.
    if (count - 1) / _MICROSECONDS >= seconds:
        count -= 1
    return format_timestamp(_EPOCH + timedelta(microseconds=count))
