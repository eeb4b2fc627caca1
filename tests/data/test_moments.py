"""Datetimes, cell by cell by `Column.parse` and whole columns by Arrow: the same moments, in the same words."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lifeboat.config.errors import DataError
from lifeboat.data.cells import check_cells
from lifeboat.data.moments import as_timestamps
from lifeboat.usecase.datetimes import format_moment, parse_moment, read_zone
from lifeboat.usecase.schema import Column

ZONE = "America/New_York"
AT = Column("at", "datetime", zone=ZONE, nullable=True, minimum="1901-01-01", maximum="2100-01-01")
SECONDS = Column("at", "datetime", epoch="s")
START = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1895, 1, 1), datetime(2110, 1, 1))  # noqa: DTZ001  # naive on purpose
ZONES = ("", "Z", "z", "+05:30", "-0500", "+14", " +01:00")
ODD = [
    "", "NA", "null", "20130115", "2013-02-30", "2013-13-01", "2013-01-15T24:00", "2013-01-15T10:00:60",
    "2013-01-15T10", "15.01.2013", "2013-03-10T02:30", "2013-11-03T01:30", "1357034400", "yesterday",
    "2013-01-15T10:00+25:00",
]  # fmt: skip


def microseconds(moment):
    return (moment - START) // timedelta(microseconds=1)


def one_by_one(texts, column=AT):
    values, problems = [], {}
    for row, text in enumerate(texts):
        try:
            values.append(column.parse(text.strip()))
        except ValueError as error:
            values.append(np.nan)
            problems[row] = str(error)
    return values, problems


@given(
    st.lists(
        st.sampled_from(ODD)
        | st.builds(
            lambda moment, sep, unit, zone: moment.isoformat(sep, unit) + zone,
            MOMENTS, st.sampled_from("T "), st.sampled_from(["minutes", "seconds", "milliseconds", "auto"]),
            st.sampled_from(ZONES),
        ),
        max_size=6,
    )
)  # fmt: skip
@example(["2013-01-15", "", "2013-03-10T02:30"])
@example(["2013-01-15T10:00:00Z", "1890-01-01T00:00:00Z"])
def test_a_column_is_read_as_its_cells_are(texts):
    cells = check_cells(pa.array(texts, pa.string()), AT, "x.csv")
    values, problems = one_by_one(texts)
    assert np.array_equal(cells.values, values, equal_nan=True)
    assert {row: str(problem) for row, problem in cells.broken} == problems


@given(MOMENTS, st.sampled_from([ZONE, "Europe/Berlin", "UTC", "Asia/Kathmandu"]))
def test_a_time_without_its_zone_is_of_the_columns(moment, zone):
    there = moment.replace(tzinfo=ZoneInfo(zone))
    if there.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment:
        assert parse_moment(moment.isoformat(), read_zone(zone)) == microseconds(there)


@given(MOMENTS)
def test_what_is_written_is_read_back(moment):
    known = microseconds(moment.replace(tzinfo=UTC))
    assert parse_moment(format_moment(known), read_zone(ZONE)) == known


def test_of_two_times_that_a_clock_shows_alike_the_earlier_one_is_meant_and_the_other_says_its_zone():
    first, second = AT.parse("2013-11-03T01:30"), AT.parse("2013-11-03T01:30-05:00")
    assert (second - first) / 3_600e6 == 1
    with pytest.raises(ValueError, match=r'"2013-03-10T02:30" is a time that no clock in America/New_York showed'):
        AT.parse("2013-03-10T02:30")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_arrows_timestamps_are_read_in_every_unit(unit, zone):
    known = [datetime(2013, 7, 1, 12, tzinfo=UTC), None, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)]
    naive = [moment and moment.replace(tzinfo=None) for moment in known]
    array = pa.array(naive, pa.timestamp(unit)) if zone is None else pa.array(known, pa.timestamp(unit, zone))
    cells = check_cells(array, AT, "x")
    meant = known if zone else [moment and moment.replace(tzinfo=ZoneInfo(ZONE)) for moment in naive]
    assert cells.broken == []
    assert np.array_equal(
        cells.values, [np.nan if moment is None else microseconds(moment) for moment in meant], equal_nan=True
    )


def test_what_is_finer_than_a_microsecond_is_cut_off_before_1970_too():
    cells = check_cells(pa.array([-1, 1_999], pa.timestamp("ns", "UTC")), AT, "x")
    assert cells.values.tolist() == [-1, 1]


def test_days_begin_at_midnight_of_the_zone():
    cells = check_cells(pa.array([date(2013, 7, 1)]), AT, "x")
    assert cells.values.tolist() == [AT.parse("2013-07-01T00:00-04:00")]


@pytest.mark.parametrize(
    ("epoch", "given_", "moment"),
    [
        ("s", 1357034400, "2013-01-01T10:00Z"),
        ("s", 1357034400.25, "2013-01-01T10:00:00.25Z"),
        ("s", "1357034400", "2013-01-01T10:00Z"),
        ("ms", 1357034400001, "2013-01-01T10:00:00.001Z"),
        ("s", -1, "1969-12-31T23:59:59Z"),
    ],
)
def test_a_number_is_seconds_or_milliseconds_where_the_column_says_so(epoch, given_, moment):
    column = Column("at", "datetime", epoch=epoch)
    expected = AT.parse(moment)
    assert column.parse(given_) == expected
    assert check_cells(pa.array([given_]), column, "x").values.tolist() == [expected]
    assert column.parse(moment) == expected


def test_a_number_is_refused_where_nobody_says_what_it_is():
    with pytest.raises(
        ValueError, match=r'20130115 is not a datetime such as .*; epoch="s" or "ms" in its declaration'
    ):
        AT.parse(20130115)
    with pytest.raises(DataError, match=r'has type int64, asked: datetime; epoch="s" or "ms" says what a number is'):
        check_cells(pa.array([20130115]), AT, "x")
    with pytest.raises(DataError, match=r"has type bool, asked: datetime$"):
        check_cells(pa.array([True]), AT, "x")
    with pytest.raises(ValueError, match="true is not a datetime"):
        SECONDS.parse(True)


@pytest.mark.parametrize("value", [float("inf"), 1e300, 2**80, "9" * 30])
def test_a_number_beyond_all_years_is_outside(value):
    with pytest.raises(ValueError, match="is outside 1700|is not a datetime"):
        SECONDS.parse(value)


def test_a_moment_that_no_datetime_of_pythons_holds_is_outside_the_limits():
    cells = check_cells(pa.array([2**40], pa.timestamp("s", "UTC")), AT, "x")
    assert [str(problem) for _, problem in cells.broken] == [
        '"1,099,511,627,776 s since 1970" is outside 1901-01-01T05:00:00Z to 2100-01-01T05:00:00Z'
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"zone": "Mars/Olympus"}, "no time zone such as America/New_York"),
        ({"minimum": "soon"}, "limit 'soon' is no datetime such as"),
        ({"minimum": "1600-01-01"}, "is not within the years 1700 to 2200"),
        ({"minimum": "2014-01-01", "maximum": "2013-01-01"}, "minimum 2014-01-01T00:00:00Z is above maximum 2013"),
        ({"epoch": "us"}, "epoch 'us' is none of s, ms"),
        ({"categories": ("2013-01-01",)}, "a datetime has no categories"),
        ({"example": "tomorrow"}, 'its own category or example "tomorrow" is not a datetime'),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(options, problem):
    with pytest.raises(ValueError, match=problem):
        Column("at", "datetime", **options)
    with pytest.raises(ValueError, match="only a datetime has a zone or an epoch"):
        Column("at", "float", zone=ZONE)


def test_texts_of_one_form_are_read_as_pandas_reads_them():
    random = np.random.default_rng(0)
    seconds = random.integers(0, 4_000_000_000, 50_000)
    texts = pd.to_datetime(pd.Series(seconds), unit="s").dt.strftime("%Y-%m-%d %H:%M:%S")
    cells = check_cells(pa.array(texts), Column("at", "datetime"), "x")
    assert np.array_equal(cells.values, seconds * 1e6)
    assert as_timestamps(pa.array(cells.values)).cast(pa.int64()).to_pylist() == (seconds * 1_000_000).tolist()
