import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.config.errors import SettingsError
from lifeboat.data.timestamps import format_timestamp, parse_timestamp, read_timestamp, show_seconds


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2025-11-20T12:00:00Z", "2025-11-20T12:00:00Z"),
        ("2025-11-20 12:00Z", "2025-11-20T12:00:00Z"),
        ("2025-11-20T12:00:00.25Z", "2025-11-20T12:00:00.250000Z"),
        ("2025-11-20T12:00:00+02:00", "2025-11-20T10:00:00Z"),
        ("2025-11-20T22:00:00-05:30", "2025-11-21T03:30:00Z"),
        ("2025-11-20", "2025-11-20T23:59:59.999999Z"),
        ("2024-02-29", "2024-02-29T23:59:59.999999Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_moment_has_one_form(text, shown):
    moment = parse_timestamp(text)
    assert format_timestamp(moment) == shown
    assert parse_timestamp(shown) == moment
    assert read_timestamp(text, "as_of") == moment


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("yesterday", "'yesterday' is no moment such as 2026-11-20T12:00:00Z, or 2026-11-20 for the end of that day"),
        ("", "'' is no moment such as "),
        ("2025-11-20T12:00:00", "'2025-11-20T12:00:00' is no moment such as "),
        ("20251120", "'20251120' is no moment such as "),
        ("2025-W47-4", "'2025-W47-4' is no moment such as "),
        ("1732104000", "'1732104000' is no moment such as "),
        (" 2025-11-20", "' 2025-11-20' is no moment such as "),
        ("2025-11-20\n", "'2025-11-20\\n' is no moment such as "),
        ("٢٠٢٥-11-20", "'٢٠٢٥-11-20' is no moment such as "),
        ("2025-02-30", "'2025-02-30' is no moment: day is out of range for month"),
        ("2025-11-20T25:00:00Z", "'2025-11-20T25:00:00Z' is no moment: hour must be in 0..23"),
        ("2025-11-20T12:00:00+99:00", "'2025-11-20T12:00:00+99:00' is no moment: offset must be "),
        ("0001-01-01T00:00:00+14:00", "'0001-01-01T00:00:00+14:00' is no moment: date value out of range"),
        ("9999-12-31", "'9999-12-31' is still to come (9999-12-31T23:59:59.999999Z)"),
    ],
)
def test_what_is_no_moment_of_the_past_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as error:
        parse_timestamp(text)
    if text:
        with pytest.raises(SettingsError) as named:
            read_timestamp(text, "as_of")
        assert str(named.value) == f"as_of: {error.value}"


def test_an_empty_parameter_means_now():
    assert read_timestamp("", "as_of") is None


def test_the_next_hour_and_the_end_of_today_are_still_to_come():
    now = datetime.now(UTC)
    assert parse_timestamp(format_timestamp(now)) == now
    for text in (format_timestamp(now + timedelta(hours=1)), (now + timedelta(minutes=1)).date().isoformat()):
        with pytest.raises(ValueError, match="is still to come"):
            parse_timestamp(text)


@given(st.floats(0, 1.7e9))
def test_what_came_at_a_second_is_known_at_the_moment_shown_and_not_much_later(seconds):
    shown = parse_timestamp(show_seconds(seconds)).timestamp()
    assert seconds <= shown < seconds + 1.3e-6
    assert show_seconds(shown) == show_seconds(seconds)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2025, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis' way
def test_a_moment_survives_being_seconds(moment):
    assert show_seconds(moment.timestamp()) == format_timestamp(moment)
