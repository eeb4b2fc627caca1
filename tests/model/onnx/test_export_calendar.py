"""The calendar in a graph, in numpy and by Python's own `datetime` and `zoneinfo`, bit for bit."""

import calendar
from datetime import UTC, datetime, timedelta
from math import cos, pi, sin
from zoneinfo import ZoneInfo

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline

from lifeboat.model.onnx.onnx_export import OPSETS, export_onnx, register_converters
from lifeboat.model.scoring import Scorer
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.learning import Fitted, learning_of
from lifeboat.train.parity import check_parity, data_frame
from lifeboat.usecase.datetimes import EARLIEST, LATEST
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Cycle, DateParts, SecondsBetween
from lifeboat.usecase.zone_calendar import PARTS, zone_table

ZONES = ["UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
START = datetime(1970, 1, 1, tzinfo=UTC)


def moments(zone):
    """Random ones of all years, the ends, the turns of leap years, and those about each change of the clocks."""
    found = np.random.default_rng(0).integers(EARLIEST, LATEST, 3_000).tolist()
    found += [EARLIEST, LATEST, -1, 0, 1]
    for year in (1700, 1896, 1900, 1904, 1969, 1970, 2000, 2004, 2020, 2100, 2199):
        for month, day in ((1, 1), (2, 28), (3, 1), (12, 31)):
            start = (datetime(year, month, day, tzinfo=ZoneInfo(zone)) - START) // timedelta(microseconds=1)
            found += [start + shift for shift in (-1, 0, 86_400_000_000 - 1, 86_400_000_000)]
    changes = zone_table(zone).moments
    found += [int(moment) + shift for moment in changes for shift in (-1, 0, 1)]
    return np.array([moment for moment in found if EARLIEST <= moment <= LATEST], dtype=np.float64)


def on_the_clock(moment, zone):
    """By Python's own."""
    return (START + timedelta(microseconds=int(moment))).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def parts(moment, zone):
    at = on_the_clock(moment, zone)
    return [
        at.year, at.month, at.day, at.timetuple().tm_yday, at.isocalendar().week, at.weekday(), at.weekday() >= 5,
        at.hour, at.minute,
    ]  # fmt: skip


def angles(moment, zone, period):
    at = on_the_clock(moment, zone)
    seconds = (at - datetime(at.year, at.month, at.day)).total_seconds()  # noqa: DTZ001
    within = {
        "day": seconds / 86_400,
        "week": (at.weekday() * 86_400 + seconds) / (7 * 86_400),
        "year": ((at.timetuple().tm_yday - 1) * 86_400 + seconds)
        / (86_400 * (366 if calendar.isleap(at.year) else 365)),
    }[period]
    return [sin(2 * pi * within), cos(2 * pi * within)]


def run(transformer, columns):
    """What the graph of a transformer makes of moments, [n, k]."""
    register_converters()
    X = np.column_stack(columns)
    made = convert_sklearn(
        transformer.fit(X), initial_types=[("x", DoubleTensorType([None, X.shape[1]]))], target_opset=OPSETS
    )
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": X})[0], transformer.transform(X)


@pytest.mark.parametrize("zone", ZONES)
def test_the_parts_of_a_moment_are_those_of_pythons_own_calendar(zone):
    found = moments(zone)
    there, here = run(DateParts(tuple(PARTS), zone), [found])
    assert np.array_equal(there, here)
    assert np.array_equal(here, np.array([parts(moment, zone) for moment in found], dtype=np.float32))


@pytest.mark.parametrize("zone", ZONES[:2])
@pytest.mark.parametrize("period", ["day", "week", "year"])
def test_a_cycle_is_what_the_clock_shows_of_it(zone, period):
    found = moments(zone)
    there, here = run(Cycle(period, zone), [found])
    assert np.array_equal(there, here)
    assert here == pytest.approx(np.array([angles(moment, zone, period) for moment in found]), abs=1e-6)


def test_a_null_is_a_null_in_every_part_and_in_what_lies_between():
    at = np.array([np.nan, 0.0, 3_600e6])
    for transformer in (DateParts(tuple(PARTS)), Cycle("year")):
        there, here = run(transformer, [at])
        assert np.array_equal(np.isnan(there), np.isnan(here))
        assert np.isnan(there).all(axis=1).tolist() == [True, False, False]
    there, here = run(SecondsBetween(), [at, at[::-1], at + 1e6])
    assert np.array_equal(there, here, equal_nan=True)
    assert np.array_equal(here, [[np.nan, np.nan], [0, 1], [np.nan, 1]], equal_nan=True)


def test_several_columns_stand_part_by_part():
    at = np.array([0.0, 86_400e6])
    there, here = run(DateParts(("day of month", "hour")), [at, at + 3_600e6])
    assert np.array_equal(there, here)
    assert here.tolist() == [[1, 1, 0, 1], [2, 2, 0, 1]]


@pytest.mark.parametrize(
    ("transformer", "problem"),
    [(DateParts(("hours",)), "part 'hours' is none of year, month"), (Cycle("month"), "period 'month' is none of day")],
)
def test_what_no_calendar_has_is_refused(transformer, problem):
    with pytest.raises(ValueError, match=problem):
        transformer.fit(np.zeros((1, 1)))


def test_a_model_of_moments_is_exported_and_held_against_scikit_learn_on_every_probe():
    zone = "America/New_York"
    columns = tuple(
        Column(name, "datetime", nullable=True, zone=zone, minimum="1899-01-01", maximum="2101-01-01")
        for name in ("start", "end")
    )
    schema = Schema(columns, NumberLabel("y", unit="m"))
    random = np.random.default_rng(0)
    start = random.integers(EARLIEST // 4, LATEST // 2, 400).astype(np.float64)
    end = start + random.integers(0, 10**11, 400)
    end[::7] = np.nan
    table = pa.table({"start": pa.array(start), "end": pa.array(end)})
    y = np.array([on_the_clock(moment, zone).hour for moment in start], dtype=np.float64)
    features = ColumnTransformer(
        [
            ("parts", DateParts(tuple(PARTS), zone), ["start", "end"]),
            ("cycle", Cycle("week", zone), ["start"]),
            ("between", SecondsBetween(), ["start", "end"]),
        ]
    )
    X = data_frame(table, schema)
    pipeline = Pipeline([("features", features), ("estimator", HistGradientBoostingRegressor(max_iter=20))]).fit(X, y)
    learning = learning_of(task_of(schema.label))
    model = Fitted(pipeline, learning, learning.uncalibrated(y))
    graph = export_onnx(model, schema, X)
    scorer, worst = check_parity(model, graph, schema, table)
    assert worst < 1e-4
    assert {entry.type for entry in scorer.session.get_inputs()} == {"tensor(double)"}
    assert isinstance(scorer, Scorer)
