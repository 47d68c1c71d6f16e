"""Several programs over one activity: all, highest, first."""

from datetime import date

import pytest

from incentives.programs.rules import ProgramLine, stack

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)


def line(
    program,
    amount,
    rule="highest",
    group="security",
    fact="d1",
    starts=JULY,
    who="E-1",
    key="r0:deal:d1",
    currency="USD",
):
    return ProgramLine(program, f"Program {program}", starts, currency, group, rule, who, fact, key, amount)


def paid(*lines):
    return [found.amount_minor for found in stack(lines)]


def test_all_keeps_every_line():
    assert paid(line(1, 500, "all"), line(2, 700, "all")) == [500, 700]


def test_highest_keeps_the_program_that_pays_most_for_the_activity():
    lines = [line(1, 500), line(2, 300), line(2, 250, key="r1:deal:d1")]
    assert paid(*lines) == [0, 300, 250]
    assert [found.explanation for found in stack(lines)] == [
        "Paid by Program 2 instead (stacking group security).", "", "",
    ]  # fmt: skip


def test_equal_amounts_go_to_the_program_that_started_first_then_to_the_smaller_id():
    assert paid(line(1, 500), line(2, 500, starts=JUNE)) == [0, 500]
    assert paid(line(9, 500), line(10, 500)) == [500, 0]


def test_first_keeps_the_program_that_started_first_whatever_it_pays():
    assert paid(line(1, 900, "first"), line(2, 1, "first", starts=JUNE)) == [0, 1]


def test_a_program_that_pays_nothing_for_the_activity_does_not_compete():
    assert paid(line(1, 900, "first"), line(2, 0, "first", starts=JUNE)) == [900, 0]


def test_the_rule_is_that_of_the_program_that_started_first():
    assert paid(line(1, 900, "first"), line(2, 100, "all", starts=JUNE)) == [900, 100]


def test_other_groups_people_activities_and_period_lines_do_not_compete():
    lines = [line(1, 900), line(2, 1, group="other"), line(3, 2, who="E-2"), line(4, 3, fact="d2"), line(5, 4, fact=None),
             line(6, 5, group=None), line(7, 6, group=None)]  # fmt: skip
    assert paid(*lines) == [900, 1, 2, 3, 4, 5, 6]


def test_highest_does_not_compare_currencies():
    with pytest.raises(ValueError, match="different currencies"):
        stack([line(1, 500), line(2, 700, currency="EUR")])
