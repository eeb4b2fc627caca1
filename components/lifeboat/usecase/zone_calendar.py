"""The calendar of a time zone, for whole columns of moments: numpy alone, for training, serving and watching alike.

The same arithmetic, on whole microseconds, stands in `lifeboat.model.onnx.calendar_converters` for the graph.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.usecase.datetimes import EARLIEST, LATEST, read_zone

Whole = NDArray[np.int64]
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
# The days of four centuries, after which the calendar comes again: whole weeks.
ERA = 146_097
# Days from the 1st of March of the year 0 to 1970, when the years of the calendar's arithmetic begin.
TO_MARCH = 719_468
# And from the 1st of January of the year 1.
TO_JANUARY = 719_162
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ZoneTable:
    """When the clocks of a zone were put forward or back.

    Args:
        moments: of the changes, in microseconds since 1970, ascending, [k].
        offsets: what is added to UTC before the first of them and after each, in microseconds, [k + 1].
    """

    moments: Whole
    offsets: Whole

    def to_local(self, moments: Whole) -> Whole:
        """What clocks show, as microseconds since the midnight that began 1970 there."""
        return moments + self.offsets[np.searchsorted(self.moments, moments, side="right")]

    def to_moments(self, local: Whole) -> tuple[Whole, NDArray[np.bool_]]:
        """The moments at which clocks show this, the earlier of two, and whether none ever does."""
        later = np.maximum(self.offsets[:-1], self.offsets[1:])
        place = np.searchsorted(self.moments + later, local, side="right")
        found = local - self.offsets[place]
        ends = np.append(self.moments, np.iinfo(np.int64).max)[place]
        return found, found >= ends


@lru_cache
def zone_table(name: str) -> ZoneTable:
    """Every change of a zone's clocks within the years that a column may hold; raises ValueError for an unknown one."""
    zone = read_zone(name)
    if name == "UTC":
        return ZoneTable(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))

    def offset(day: float) -> int:
        moment = (_START + timedelta(microseconds=round(day * DAY))).astimezone(zone)
        return (moment.replace(tzinfo=UTC) - moment) // timedelta(microseconds=1)

    # None follows another within a day.
    first, last = EARLIEST // DAY, LATEST // DAY
    days = [offset(day) for day in range(first, last + 1)]
    moments, offsets = [], [days[0]]
    for number in range(1, len(days)):
        if days[number] != days[number - 1]:
            start = (first + number - 1) * 86_400
            seconds = range(start, start + 86_400)
            place = bisect_left(seconds, 1, key=lambda second: int(offset(second / 86_400) == days[number]))
            moments.append((start + place) * SECOND)
            offsets.append(days[number])
    return ZoneTable(np.array(moments, dtype=np.int64), np.array(offsets, dtype=np.int64))


def _day(local: Whole) -> Whole:
    return local // DAY


def _march(day: Whole) -> tuple[Whole, Whole]:
    """The year that begins in March, and the day in it from 0.

    After Hinnant, chrono-Compatible Low-Level Date Algorithms.
    """
    shifted = day + TO_MARCH
    in_era = shifted % ERA
    year = (in_era - in_era // 1_460 + in_era // 36_524 - in_era // 146_096) // 365
    return year + shifted // ERA * 400, in_era - (365 * year + year // 4 - year // 100)


def _month_and_day(day: Whole) -> tuple[Whole, Whole]:
    _, in_year = _march(day)
    month = (5 * in_year + 2) // 153
    return (month + 2) % 12 + 1, in_year - (153 * month + 2) // 5 + 1


def year(local: Whole) -> Whole:
    """In the Gregorian calendar, such as 2013."""
    march, in_year = _march(_day(local))
    # From the 306th day on, the 1st of January, it is the next one.
    return march + (in_year + 60) // 366


def day_of_year(local: Whole) -> Whole:
    """1 to 366."""
    return _in_year(_day(local), year(local))


def _in_year(day: Whole, of: Whole) -> Whole:
    return day + TO_JANUARY - _days(of - 1) + 1


def _days(years: Whole) -> Whole:
    """Of so many whole years, from the year 1 on."""
    return 365 * years + years // 4 - years // 100 + years // 400


def day_of_week(local: Whole) -> Whole:
    """0 for Monday to 6 for Sunday."""
    return (_day(local) + TO_JANUARY) % 7


def week(local: Whole) -> Whole:
    """Of ISO 8601, 1 to 53: that which holds the Thursday of these seven days."""
    thursday = local + (3 - day_of_week(local)) * DAY
    return (day_of_year(thursday) - 1) // 7 + 1


# The parts of a moment on the clocks of a zone, by name: microseconds of `ZoneTable.to_local` to whole numbers.
PARTS: dict[str, Callable[[Whole], Whole]] = {
    "year": year,
    "month": lambda local: _month_and_day(_day(local))[0],
    "day of month": lambda local: _month_and_day(_day(local))[1],
    "day of year": day_of_year,
    "week": week,
    "day of week": day_of_week,
    "is weekend": lambda local: (day_of_week(local) >= 5).astype(np.int64),
    "hour": lambda local: local // HOUR % 24,
    "minute": lambda local: local // MINUTE % 60,
}


def year_length(local: Whole) -> Whole:
    """365 or 366."""
    of = year(local)
    return _days(of) - _days(of - 1)


# What comes again, by name: how far a moment is within it, and how long it is, in microseconds.
CYCLES: dict[str, Callable[[Whole], tuple[Whole, Whole]]] = {
    "day": lambda local: (local % DAY, np.full_like(local, DAY)),
    "week": lambda local: (day_of_week(local) * DAY + local % DAY, np.full_like(local, 7 * DAY)),
    "year": lambda local: ((day_of_year(local) - 1) * DAY + local % DAY, year_length(local) * DAY),
}


def on_clocks(moments: NDArray[Any], zone: str) -> tuple[Whole, NDArray[np.bool_]]:
    """What clocks of a zone show, as microseconds, and which moments are not known, whose clocks show those of 1970.

    Args:
        moments: microseconds since 1970 as float64, NaN for a null.
        zone: its name.
    """
    unknown = np.isnan(moments)
    return zone_table(zone).to_local(np.where(unknown, 0, moments).astype(np.int64)), unknown
