"""Which version of a program governs when, and what several versions credit and pay."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.programs.rules import Segment, Timeline, score
from incentives.programs.rules.timeline import start_problem
from tests.programs.cases import ANA, ROSTER, moment, program, won

TWO = [{"type": "percent", "rate": "2"}]
THREE = [{"type": "percent", "rate": "3"}]


def timeline(*versions) -> Timeline:
    """From (start or None, definition) in the order of publishing; numbers begin at 1."""
    return Timeline(
        Segment(moment(start) if start else None, number, definition)
        for number, (start, definition) in enumerate(versions, start=1)
    )


def numbers(found: Timeline, *moments: str) -> list[int]:
    return [found.at(moment(text)).number for text in moments]


def cards(found: Timeline, *facts, targets=None, who=ANA):
    credits = [credit for fact in facts for credit in found.credits(fact, ROSTER).credits if credit.participant == who]
    goals = {day: Decimal(value) for day, value in (targets or {}).items()}
    return found.score(ROSTER[who], goals, credits)


def paid(found: Timeline, *facts, **options) -> list[tuple[str, int, int | None]]:
    return [
        (line.key, line.amount_minor, line.version) for card in cards(found, *facts, **options) for line in card.lines
    ]


def test_the_highest_version_that_has_started_governs():
    found = timeline((None, program()), ("2026-08-01", program()), ("2026-09-01", program()))
    assert numbers(found, "2026-01-01", "2026-07-31T23:59:59", "2026-08-01", "2026-12-01") == [1, 1, 2, 3]


def test_a_later_version_with_an_earlier_start_replaces_those_that_start_after_it():
    found = timeline((None, program()), ("2026-08-01", program()), ("2026-07-01", program()))
    assert numbers(found, "2026-06-30", "2026-07-01", "2026-08-02") == [1, 3, 3]
    assert [segment.number for segment in found.segments] == [1, 3]


def test_a_retroactive_version_replaces_all_before_it():
    found = timeline((None, program()), ("2026-08-01", program()), (None, program()), ("2026-10-01", program()))
    assert numbers(found, "2026-01-01", "2026-08-02", "2026-10-01") == [3, 3, 4]


STARTS = st.lists(st.one_of(st.none(), st.integers(1, 28)), max_size=6)


@given(STARTS, st.integers(1, 28))
def test_every_moment_is_governed_as_the_rule_says(starts, day):
    """The highest-numbered version whose start is null or has come."""
    versions = [(None, program()), *((start and f"2026-03-{start:02}", program()) for start in starts)]
    when = f"2026-03-{day:02}T12:00"
    expected = max(n for n, (start, _) in enumerate(versions, 1) if start is None or moment(start) <= moment(when))
    assert numbers(timeline(*versions), when) == [expected]


def test_each_activity_is_paid_by_the_version_of_its_moment():
    found = timeline((None, program(*TWO)), ("2026-08-01", program(*THREE)))
    facts = won("d1", when="2026-07-31T23:59"), won("d2", when="2026-08-01")
    assert paid(found, *facts) == [("r0:deal:d1", 2000, 1), ("r0:deal:d2", 3000, 2)]


def test_close_dates_are_placed_in_the_program_s_time_zone():
    parts = {"counts_by": "close_date", "time_zone": "America/New_York"}
    found = timeline((None, program(*TWO, **parts)), ("2026-08-01T04:00", program(*THREE, **parts)))
    facts = won("d1", close_date=date(2026, 7, 31)), won("d2", close_date=date(2026, 8, 1)), won("d3")
    assert paid(found, *facts) == [("r0:deal:d1", 2000, 1), ("r0:deal:d2", 3000, 2)]


def test_who_qualifies_and_is_eligible_follows_the_version_of_the_moment():
    strict = program(*TWO, eligible={"teams": ["West"]}, qualifies={"field": "amount", "op": "gte", "value": "5000"})
    found = timeline((None, strict), ("2026-08-01", program(*TWO)))
    assert paid(found, won("d1", "9000.00", "2026-07-01"), won("d2", when="2026-08-02")) == [("r0:deal:d2", 2000, 2)]


PER_UNIT = [{"type": "per_unit", "amount": "50.00"}]


def test_what_is_left_of_a_unit_begins_anew_with_each_version():
    units = {"measure": {"metric": "quantity"}}
    found = timeline((None, program(*PER_UNIT, **units)), ("2026-08-01", program(*PER_UNIT, **units)))
    facts = [won(f"d{n}", when=f"2026-{n:02}-01", quantity="1.5") for n in (6, 7, 8, 9)]
    assert [amount for _, amount, _ in paid(found, *facts)] == [5000, 10_000, 5000, 10_000]
    assert [card.measure for card in cards(found, *facts)] == [Decimal(6)]


def test_what_a_period_earns_as_a_whole_follows_the_version_at_its_end_over_all_its_activities():
    def by(amount, at):
        tiers = {"type": "tiers", "tiers": [{"at": "3000", "amount": amount}]}
        return program(*TWO, tiers, {"type": "milestone", "at": [{"count": at, "amount": "7.00"}]}, period="month")

    found = timeline((None, by("100.00", 1)), ("2026-08-10", by("200.00", 3)))
    july = [won(f"j{n}", when=f"2026-07-0{n}") for n in (1, 2, 3)]
    august = [won(f"a{n}", when=f"2026-08-{n:02}") for n in (1, 9, 20)]
    assert paid(found, *july) == [
        ("r0:deal:j1", 2000, 1), ("r2:milestone:1", 700, 1), ("r0:deal:j2", 2000, 1), ("r0:deal:j3", 2000, 1),
        ("r1:tier:highest", 10_000, 1),
    ]  # fmt: skip
    assert paid(found, *august) == [
        ("r0:deal:a1", 2000, 1), ("r0:deal:a9", 2000, 1), ("r0:deal:a20", 2000, 2), ("r2:milestone:3", 700, 2),
        ("r1:tier:highest", 20_000, 2),
    ]  # fmt: skip


def test_caps_are_those_of_the_version_at_the_period_s_end_and_count_what_was_earned_before():
    first = program(*TWO, period="month", caps={"participant": "100.00"})
    second = program(*THREE, period="month", caps={"deal": "25.00", "participant": "70.00"})
    found = timeline((None, first), ("2026-08-15", second))
    facts = [won("d1", "2500.00", "2026-07-01"), won("d2", when="2026-08-01"), won("d3", when="2026-08-20")]
    assert paid(found, *facts) == [("r0:deal:d1", 5000, 1), ("r0:deal:d2", 2000, 1), ("r0:deal:d3", 0, 2)]
    (_july, august) = cards(found, *facts)
    assert august.lines[1].explanation == (
        "3 % of 1,000.00 = 30.00, limited to 25.00 per deal, limited to nothing, the rest of 70.00 per participant"
    )
    uncapped = timeline((None, program(*TWO, period="month")), ("2026-08-01", second))
    assert [amount for _, amount, _ in paid(uncapped, *facts)] == [5000, 2000, 0]


def test_a_target_without_a_version_that_needs_it_is_no_problem_and_the_other_way_round():
    needs = program(
        {"type": "bands", "over": "deal", "of": "target", "bands": [{"from": "0", "rate": "1"}]}, period="month"
    )
    found = timeline((None, needs), ("2026-08-10", program(*TWO, period="month")))
    (card,) = cards(found, won("d1", when="2026-08-01"), won("d2", when="2026-08-20"))
    assert [reason.code for reason in card.problems] == ["no_target"]
    (card,) = cards(found, won("d2", when="2026-08-20"))
    assert card.problems == ()
    goals = {date(2026, 8, 1): "500"}
    assert paid(found, won("d1", when="2026-08-01"), targets=goals) == [("r0:deal:d1", 1000, 1)]
    (empty,) = cards(found, targets={date(2026, 8, 1): "500", date(2025, 1, 1): "9"})
    assert (empty.period_start, empty.lines) == (date(2026, 8, 1), ())


def test_the_last_day_may_change_from_a_moment_on():
    longer = program(*TWO, ends_on="2026-12-31")
    found = timeline((None, program(*TWO, ends_on="2026-09-30")), ("2026-09-01", longer))
    assert found.last_day == date(2026, 12, 31)
    assert paid(found, won("d1", when="2026-10-15")) == [("r0:deal:d1", 2000, 2)]
    shorter = timeline((None, longer), ("2026-09-01", program(*TWO, ends_on="2026-09-15")))
    assert paid(shorter, won("d1", when="2026-09-15"), won("d2", when="2026-09-16")) == [("r0:deal:d1", 2000, 2)]


@given(st.lists(st.integers(0, 200), max_size=8), st.integers(1, 200))
def test_equal_versions_pay_as_one_where_nothing_is_left_over(days, start):
    """Cutting a program into versions that say the same changes no cent (but a unit's left-over part)."""
    rules = [
        *TWO,
        {"type": "per_deal", "amount": "3.33"},
        {"type": "tiers", "tiers": [{"at": "2000", "amount": "9.00"}]},
    ]
    rules.append({"type": "bands", "bands": [{"from": "0", "rate": "1"}, {"from": "3000", "rate": "2"}]})
    rules.append({"type": "milestone", "at": [{"count": 2, "amount": "5.00"}]})
    one = program(*rules, period="quarter", caps={"deal": "21.00", "period": "80.00", "participant": "130.00"})
    first = moment("2026-01-01")
    facts = [won(f"d{n}", when=str(date.fromordinal(first.toordinal() + day))) for n, day in enumerate(days)]
    cut = timeline((None, one), (str(date.fromordinal(first.toordinal() + start)), one))
    whole = timeline((None, one))
    assert [line[:2] for line in paid(cut, *facts)] == [line[:2] for line in paid(whole, *facts)]
    assert cards(whole, *facts) == score(
        one, ROSTER[ANA], {}, [c for f in facts for c in whole.credits(f, ROSTER).credits]
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, ""),
        ({"ends_on": "2026-11-30", "grace_days": 3, "name": "Other"}, ""),
        ({"currency": "EUR"}, "currency"),
        ({"time_zone": "Europe/Paris"}, "time_zone"),
        ({"period": "month"}, "period"),
        ({"counts_by": "close_date"}, "counts_by"),
        ({"starts_on": "2026-02-01"}, "starts_on"),
        ({"measure": {"metric": "quantity"}}, "measure.metric"),
        ({"ends_on": "2026-07-31"}, "after"),
    ],
)
def test_a_version_that_starts_in_between_keeps_what_periods_are_made_of(changes, what):
    running = timeline((None, program()))
    assert start_problem(running, program(**changes), moment("2026-08-01"))[0] == what
    assert start_problem(running, program(**changes), None)[0] == ""


def test_the_first_version_starts_with_the_program_and_none_before_it():
    assert start_problem(None, program(), moment("2026-08-01"))[0] == "first"
    assert start_problem(timeline((None, program())), program(), moment("2025-12-31T23:59"))[0] == "before"
