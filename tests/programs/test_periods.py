"""Where moments and days fall: time zones, summer time, weeks, quarters, half-open ends."""

from datetime import UTC, date, datetime

import pytest

from incentives.programs.rules import closes_at, period_end, period_start, window
from tests.programs.cases import ANA, cards, program, won

NEW_YORK = {"time_zone": "America/New_York"}


@pytest.mark.parametrize(
    ("period", "day", "start", "end"),
    [
        ("program", "2026-05-05", "2026-01-01", "2026-12-31"),
        ("week", "2026-01-04", "2025-12-29", "2026-01-04"),
        ("week", "2026-01-05", "2026-01-05", "2026-01-11"),
        ("month", "2026-02-28", "2026-02-01", "2026-02-28"),
        ("month", "2024-02-29", "2024-02-01", "2024-02-29"),
        ("month", "2026-12-31", "2026-12-01", "2026-12-31"),
        ("quarter", "2026-03-31", "2026-01-01", "2026-03-31"),
        ("quarter", "2026-04-01", "2026-04-01", "2026-06-30"),
        ("quarter", "2026-12-31", "2026-10-01", "2026-12-31"),
        ("year", "2026-12-31", "2026-01-01", "2026-12-31"),
    ],
)
def test_a_day_lies_in_its_calendar_period(period, day, start, end):
    definition = program(period=period)
    first = period_start(definition, date.fromisoformat(day))
    assert (str(first), str(period_end(definition, first))) == (start, end)


def test_the_window_runs_from_midnight_to_midnight_in_the_programs_zone():
    definition = program(starts_on="2026-03-08", ends_on="2026-11-01", grace_days=5, **NEW_YORK)
    assert window(definition) == (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC))
    assert closes_at(definition) == datetime(2026, 11, 7, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00+00:00"),  # 23 hours long
        ("America/New_York", "2026-03-09", "2026-03-09T04:00:00+00:00"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00+00:00"),  # 25 hours long
        ("America/New_York", "2026-11-02", "2026-11-02T05:00:00+00:00"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00+00:00"),  # has no midnight: begins at 01:00
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00+00:00"),  # has two midnights: begins with the first
        ("Asia/Kolkata", "2026-01-01", "2025-12-31T18:30:00+00:00"),
        ("Pacific/Kiritimati", "2026-01-01", "2025-12-31T10:00:00+00:00"),
    ],
)
def test_a_day_begins_at_its_first_moment(zone, day, begins):
    definition = program(starts_on=day, ends_on=day, time_zone=zone)
    assert window(definition)[0].isoformat() == begins


@pytest.mark.parametrize(
    ("when", "counts"),
    [
        ("2026-07-01T03:59:59.999999", False),
        ("2026-07-01T04:00", True),
        ("2026-07-01T06:00+02:00", True),
        ("2026-10-01T03:59:59.999999", True),
        ("2026-10-01T04:00", False),
    ],
)
def test_the_end_of_the_window_is_half_open(when, counts):
    definition = program(starts_on="2026-07-01", ends_on="2026-09-30", **NEW_YORK)
    assert bool(cards(definition, won("a", when=when))) is counts


def test_a_deal_at_a_quarters_edge_counts_where_the_programs_clock_says():
    facts = [won("a", when="2026-04-01T03:59"), won("b", when="2026-04-01T04:00")]
    found = cards(program(period="quarter", **NEW_YORK), *facts)[ANA]
    assert [(str(card.period_start), card.lines[0].fact_id) for card in found] == [
        ("2026-01-01", "a"),
        ("2026-04-01", "b"),
    ]
    (utc,) = cards(program(period="quarter"), *facts)[ANA]
    assert str(utc.period_start) == "2026-04-01"


def test_a_week_starts_on_monday_even_before_the_program_does():
    definition = program(starts_on="2026-07-01", ends_on="2026-07-31", period="week")
    found = cards(definition, won("a", when="2026-07-01"), won("b", when="2026-07-05T23:59"), won("c", when="2026-07-06"),
                  won("d", when="2026-06-30"))[ANA]  # fmt: skip
    assert [(str(card.period_start), str(card.period_end), card.deals) for card in found] == [
        ("2026-06-29", "2026-07-05", 2),
        ("2026-07-06", "2026-07-12", 1),
    ]


def test_the_hour_that_exists_twice_stays_in_its_day_and_month():
    definition = program(period="month", **NEW_YORK)
    facts = [won("a", when="2026-11-01T05:30"), won("b", when="2026-11-01T06:30"), won("c", when="2026-11-01T03:30")]
    found = cards(definition, *facts)[ANA]
    assert [(str(card.period_start), card.deals) for card in found] == [("2026-10-01", 1), ("2026-11-01", 2)]


def test_counting_by_close_date_takes_the_day_as_it_is_written():
    definition = program(counts_by="close_date", period="month", **NEW_YORK)
    deal = won("a", when="2027-03-01", close_date=date(2026, 5, 31))
    (card,) = cards(definition, deal)[ANA]
    assert str(card.period_start) == "2026-05-01"
    assert not cards(definition, won("b", when="2026-05-01"))
    assert not cards(definition, won("b", when="2026-05-01", close_date=date(2027, 1, 1)))
