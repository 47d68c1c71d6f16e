"""Quiet hours and the hour of the digest, also where the clocks change."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.notifications import quiet

pytestmark = pytest.mark.pure
NEW_YORK, LORD_HOWE = "America/New_York", "Australia/Lord_Howe"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zone", "start", "end", "expected"),
    [
        ("2026-07-15T12:00", "UTC", None, None, "2026-07-15T12:00"),
        ("2026-07-15T12:00", "UTC", time(9), time(9), "2026-07-15T12:00"),
        ("2026-07-15T12:00", "UTC", time(11), time(13), "2026-07-15T13:00"),
        ("2026-07-15T13:00", "UTC", time(11), time(13), "2026-07-15T13:00"),
        ("2026-07-15T10:59", "UTC", time(11), time(13), "2026-07-15T10:59"),
        ("2026-07-15T23:30", "UTC", time(22), time(7), "2026-07-16T07:00"),
        ("2026-07-16T03:00", "UTC", time(22), time(7), "2026-07-16T07:00"),
        ("2026-07-16T03:00", NEW_YORK, time(22), time(7), "2026-07-16T11:00"),
        # 8 March 2026: 2:00 becomes 3:00. The night is an hour shorter; an end that the clocks skip is the change itself.
        ("2026-03-08T04:00", NEW_YORK, time(22), time(7), "2026-03-08T11:00"),
        ("2026-03-07T04:00", NEW_YORK, time(22), time(7), "2026-03-07T12:00"),
        ("2026-03-08T05:00", NEW_YORK, time(22), time(2, 30), "2026-03-08T07:00"),
        # 1 November 2026: 2:00 becomes 1:00. At the first 1:30 it is quiet no more, but at the second 1:00 again.
        ("2026-11-01T04:00", NEW_YORK, time(22), time(1, 30), "2026-11-01T05:30"),
        ("2026-11-01T06:10", NEW_YORK, time(22), time(1, 30), "2026-11-01T06:30"),
        ("2026-11-01T04:00", NEW_YORK, time(22), time(7), "2026-11-01T12:00"),
        ("2026-10-03T16:00", LORD_HOWE, time(22), time(7), "2026-10-03T20:00"),  # half an hour forward
        ("2026-07-15T23:30", "Nowhere/Land", time(22), time(7), "2026-07-16T07:00"),
    ],
)
def test_the_end_of_a_quiet_time(at, zone, start, end, expected):
    assert quiet.allowed_from(utc(at), zone, start, end) == utc(expected)


ZONES = st.sampled_from(["UTC", NEW_YORK, LORD_HOWE, "Europe/Madrid", "Africa/Casablanca", "Asia/Kathmandu"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
WALLS = st.times().map(lambda t: t.replace(microsecond=0))


@given(MOMENTS, ZONES, WALLS, WALLS)
def test_what_is_allowed_is_not_quiet_not_before_and_within_a_day(moment, zone, start, end):
    found = quiet.allowed_from(moment, zone, start, end)
    assert moment <= found <= moment + timedelta(hours=25, minutes=1)
    assert not quiet.is_quiet(found, zone, start, end)


@given(MOMENTS, ZONES)
def test_between_two_hours_of_the_digest_lies_about_a_day(moment, zone):
    last, following = quiet.last_slot(moment, zone), quiet.next_slot(moment, zone)
    assert last <= moment < following
    assert timedelta(hours=22) <= following - last <= timedelta(hours=26)
    assert quiet.next_slot(last, zone) == following


def test_the_digest_comes_at_eight_by_the_clock_on_the_wall():
    assert quiet.next_slot(utc("2026-03-07T20:00"), NEW_YORK) == utc("2026-03-08T12:00")
    assert quiet.next_slot(utc("2026-03-06T20:00"), NEW_YORK) == utc("2026-03-07T13:00")
    assert quiet.last_slot(utc("2026-11-01T12:59"), NEW_YORK) == utc("2026-10-31T12:00")
