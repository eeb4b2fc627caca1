"""The ONNX forms of the calendar: the arithmetic of `lifeboat.usecase.zone_calendar`, on int64 microseconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import FloatTensorType

from lifeboat.model.onnx.nodes import Nodes
from lifeboat.usecase.transformers import STEPS
from lifeboat.usecase.zone_calendar import DAY, ERA, HOUR, MINUTE, TO_JANUARY, TO_MARCH, zone_table


def parts_shape(operator: Any) -> None:
    model = operator.raw_operator
    operator.outputs[0].type = FloatTensorType([None, model.n_features_in_ * len(model.parts)])


def cycle_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, 2 * operator.raw_operator.n_features_in_])


def between_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, operator.raw_operator.n_features_in_ - 1])


class _Clock:
    """What the clocks of a zone show, as days and microseconds of the day, both never negative.

    Args:
        nodes: of the transformer, whose input is moments.
    """

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        moments = nodes.cast(nodes.source, np.float64)
        self.unknown = nodes.add("IsNaN", moments)
        known = nodes.add("Where", self.unknown, nodes.constant(np.float64(0)), moments)
        whole = nodes.add("Cast", known, to=TensorProto.INT64)
        # Moved on to after 1970, as all years of `usecase.datetimes` are then: a graph divides towards zero.
        shown = self.plus(self._to_local(whole), ERA * DAY)
        self.in_day = self.mod(shown, DAY)
        # Since the 1st of January 1570.
        self.day = self.div(shown, DAY)

    def _to_local(self, moments: str) -> str:
        table, nodes = zone_table(self.nodes.model.zone), self.nodes
        if not len(table.moments):
            return self.plus(moments, int(table.offsets[0]))
        axis = nodes.constant(np.array([2], dtype=np.int64))
        later = nodes.add("GreaterOrEqual", nodes.add("Unsqueeze", moments, axis), nodes.constant(table.moments))
        counts = nodes.add("ReduceSum", nodes.add("Cast", later, to=TensorProto.INT32), axis, keepdims=0)
        return nodes.add("Add", moments, nodes.add("Gather", nodes.constant(table.offsets), counts, axis=0))

    def _with(self, kind: str, x: str, number: int) -> str:
        return self.nodes.add(kind, x, self.nodes.constant(np.int64(number)))

    def plus(self, x: str, number: int) -> str:
        return self._with("Add", x, number)

    def times(self, x: str, number: int) -> str:
        return self._with("Mul", x, number)

    def div(self, x: str, number: int) -> str:
        return self._with("Div", x, number)

    def mod(self, x: str, number: int) -> str:
        return self._with("Mod", x, number)

    def sum(self, *terms: str) -> str:
        total = terms[0]
        for term in terms[1:]:
            total = self.nodes.add("Add", total, term)
        return total

    def less(self, x: str, y: str) -> str:
        return self.nodes.add("Sub", x, y)

    def _days(self, years: str) -> str:
        """Days of so many whole years of the calendar."""
        leap = self.less(self.sum(self.div(years, 4), self.div(years, 400)), self.div(years, 100))
        return self.sum(self.times(years, 365), leap)

    def _march(self, day: str) -> tuple[str, str]:
        shifted = self.plus(day, TO_MARCH - ERA)
        in_era = self.mod(shifted, ERA)
        days = self.sum(self.less(in_era, self.div(in_era, 1_460)), self.div(in_era, 36_524))
        year = self.div(self.less(days, self.div(in_era, 146_096)), 365)
        before = self.less(self.sum(self.times(year, 365), self.div(year, 4)), self.div(year, 100))
        return self.sum(year, self.times(self.div(shifted, ERA), 400)), self.less(in_era, before)

    def year(self, day: str) -> str:
        march, in_year = self._march(day)
        return self.sum(march, self.div(self.plus(in_year, 60), 366))

    def _march_month(self) -> tuple[str, str]:
        """The month from March on, from 0, and the day in the year that begins with it."""
        _, in_year = self._march(self.day)
        return self.div(self.plus(self.times(in_year, 5), 2), 153), in_year

    def month(self) -> str:
        month, _ = self._march_month()
        return self.plus(self.mod(self.plus(month, 2), 12), 1)

    def day_of_month(self) -> str:
        month, in_year = self._march_month()
        return self.plus(self.less(in_year, self.div(self.plus(self.times(month, 153), 2), 5)), 1)

    def day_of_year(self, day: str) -> str:
        before = self._days(self.plus(self.year(day), -1))
        return self.plus(self.less(day, before), TO_JANUARY - ERA + 1)

    def day_of_week(self) -> str:
        # An era has whole weeks.
        return self.mod(self.plus(self.day, TO_JANUARY), 7)

    def week(self) -> str:
        thursday = self.plus(self.less(self.day, self.day_of_week()), 3)
        return self.plus(self.div(self.plus(self.day_of_year(thursday), -1), 7), 1)

    def year_length(self) -> str:
        year = self.year(self.day)
        return self.less(self._days(year), self._days(self.plus(year, -1)))


_PARTS: dict[str, Callable[[_Clock], str]] = {
    "year": lambda clock: clock.year(clock.day),
    "month": _Clock.month,
    "day of month": _Clock.day_of_month,
    "day of year": lambda clock: clock.day_of_year(clock.day),
    "week": _Clock.week,
    "day of week": _Clock.day_of_week,
    "is weekend": lambda clock: clock.div(clock.day_of_week(), 5),
    "hour": lambda clock: clock.div(clock.in_day, HOUR),
    "minute": lambda clock: clock.mod(clock.div(clock.in_day, MINUTE), 60),
}


def date_parts(nodes: Nodes) -> None:
    clock = _Clock(nodes)
    parts = [nodes.cast(_PARTS[part](clock), np.float32) for part in nodes.model.parts]
    unknown = nodes.constant(np.float32(np.nan))
    known = [nodes.add("Where", clock.unknown, unknown, part) for part in parts]
    nodes.add("Identity", nodes.join(known), output=nodes.result)


def cycle(nodes: Nodes) -> None:
    clock = _Clock(nodes)
    within, length = clock.in_day, nodes.constant(np.int64(DAY))
    if nodes.model.period == "week":
        within = clock.sum(clock.times(clock.day_of_week(), DAY), within)
        length = nodes.constant(np.int64(7 * DAY))
    elif nodes.model.period == "year":
        within = clock.sum(clock.times(clock.plus(clock.day_of_year(clock.day), -1), DAY), within)
        length = clock.times(clock.year_length(), DAY)
    share = nodes.add("Div", nodes.cast(within, np.float64), nodes.cast(length, np.float64))
    angle = nodes.add("Mul", share, nodes.constant(np.float64(2 * np.pi)))
    angle = nodes.add("Where", clock.unknown, nodes.constant(np.float64(np.nan)), angle)
    waves = nodes.join([nodes.add("Sin", angle), nodes.add("Cos", angle)])
    steps = nodes.constant(np.float64(STEPS))
    nodes.finish(nodes.add("Div", nodes.add("Round", nodes.add("Mul", waves, steps)), steps))


def seconds_between(nodes: Nodes) -> None:
    moments = nodes.cast(nodes.source, np.float64)
    others = nodes.columns(range(1, nodes.model.n_features_in_), moments)
    apart = nodes.add("Sub", others, nodes.column(0, moments))
    nodes.finish(nodes.add("Div", apart, nodes.constant(np.float64(1e6))))
