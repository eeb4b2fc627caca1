"""Moments in a table or a request: read as they are written, kept as whole microseconds since 1970 in UTC.

A float64 holds every microsecond of the years 1685 to 2255, and NaN says that a moment is not known. An int64, which
has no such value, is what a graph computes with once it has told the nulls apart.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Epoch = Literal["s", "ms"]
# A second and a millisecond in microseconds.
EPOCHS: dict[str, int] = {"s": 1_000_000, "ms": 1_000}
_START = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_ISO = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?(Z|z|[+-]\d\d(?::?\d\d)?)?)?\s*", re.ASCII
)
FORMS = "such as 2013-01-15T17:30:00-05:00 or 2013-01-15"


class SkippedTimeError(ValueError):
    """A local time that no clock showed, because it was put forward over it."""


@lru_cache
def read_zone(name: str) -> ZoneInfo:
    """The time zone of a name such as America/New_York.

    Raises:
        ValueError: nobody knows it here.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # a directory's name is an OSError
        raise ValueError(f"{name!r} is no time zone such as America/New_York that this machine knows") from error


def parse_moment(text: str, zone: ZoneInfo) -> int:
    """Microseconds since 1970 of a moment in ISO 8601's extended form, to the day, minute, second or part of it.

    Args:
        text: digits beyond the microsecond are cut off.
        zone: of a time that does not say its own; of two moments that a clock shows alike, when it is put back, the
            earlier one is meant.

    Raises:
        ValueError: another form, or no day of the calendar; `SkippedTimeError` for a time that was left out.
    """
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("another form")
    day, minutes, seconds, fraction, offset = found.groups()
    digits = (fraction or "")[:6].ljust(6, "0")
    moment = datetime.fromisoformat(f"{day}T{minutes or '00:00'}:{seconds or '00'}.{digits}")
    if offset is None:
        return local_to_moment(moment, zone)
    # As Python reads it: Z, +05:30 and +0530; an hour alone lacks its minutes.
    zoned = datetime.strptime(offset.upper() + ("00" if len(offset) == 3 else ""), "%z").tzinfo
    return _microseconds(moment.replace(tzinfo=zoned))


def local_to_moment(local: datetime, zone: ZoneInfo) -> int:
    """Microseconds since 1970 of a local time; see `parse_moment`."""
    moment = local.replace(tzinfo=zone)
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != local:
        raise SkippedTimeError(f"no clock in {zone.key} showed that time: it was put forward over it")
    return _microseconds(moment)


def any_moment(value: str | date | datetime, zone: ZoneInfo) -> int:
    """Of a text, or of what Python has for a moment or a day."""
    if isinstance(value, str):
        return parse_moment(value, zone)
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001  # its zone comes next
    return _microseconds(value) if value.tzinfo else local_to_moment(value, zone)


def format_moment(microseconds: float) -> str:
    """ISO 8601 in UTC; `parse_moment` reads it back, whatever the zone."""
    moment = _START + timedelta(microseconds=int(microseconds))
    return moment.isoformat().replace("+00:00", "Z")


def _microseconds(moment: datetime) -> int:
    return (moment - _START) // _TICK


# The years that a column may hold unless it says otherwise: whatever a float64 has exactly, in round numbers.
EARLIEST, LATEST = (_microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1700, 2200))
