"""Programs that pay by themselves: weekly, monthly, at close, in their own time zone, once per due day."""

from datetime import UTC, date, datetime

import pytest
from django.urls import reverse

from incentives.core.models import AuditEvent
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import SelfApproval
from incentives.payouts.models import ApprovalPolicy, Payout, ScheduledBuild
from incentives.payouts.schedule import last_due, next_due
from incentives.payouts.services.scheduled import build_scheduled
from incentives.programs.models import Program
from tests.factories import deal, make_participant, send
from tests.support.html import assert_page_clean

START = date(2026, 7, 1)


# --- pure -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("when", "today", "closed", "hold", "on"),
    [
        ("weekly", date(2026, 7, 3), None, 0, None),  # started on Wednesday, no Monday yet
        ("weekly", date(2026, 7, 6), None, 0, date(2026, 7, 6)),
        ("weekly", date(2026, 7, 12), None, 0, date(2026, 7, 6)),
        ("weekly", date(2026, 7, 13), None, 0, date(2026, 7, 13)),
        ("monthly", date(2026, 7, 1), None, 0, None),
        ("monthly", date(2026, 7, 31), None, 0, None),
        ("monthly", date(2026, 8, 1), None, 0, date(2026, 8, 1)),
        ("at_close", date(2026, 9, 30), None, 0, None),
        ("at_close", date(2026, 10, 5), date(2026, 10, 5), 0, date(2026, 10, 5)),
        ("at_close", date(2026, 10, 31), date(2026, 10, 5), 0, date(2026, 10, 5)),
        ("at_close", date(2026, 11, 2), date(2026, 10, 5), 0, date(2026, 11, 1)),
        ("at_close", date(2026, 10, 14), date(2026, 10, 5), 10, None),
        ("at_close", date(2026, 10, 15), date(2026, 10, 5), 10, date(2026, 10, 15)),
        ("instant", date(2026, 7, 9), None, 0, None),
        ("instant", date(2026, 7, 9), None, 7, date(2026, 7, 9)),
    ],
)
def test_the_newest_due_day(when, today, closed, hold, on):
    due = last_due(when, today, starts_on=START, closed_on=closed, hold_days=hold, time_zone="UTC")
    assert (due and due.on) == on


def test_the_week_ends_at_midnight_in_the_programs_time_zone():
    due = last_due(
        "weekly", date(2026, 7, 6), starts_on=START, closed_on=None, hold_days=0, time_zone="America/New_York"
    )
    assert due.cutoff == datetime(2026, 7, 6, 4, tzinfo=UTC)


def test_the_next_due_day():
    values = {"starts_on": START, "closed_on": None, "hold_days": 0}
    assert next_due("weekly", date(2026, 7, 6), **values) == date(2026, 7, 13)
    assert next_due("weekly", date(2026, 6, 1), **values) == date(2026, 7, 6)
    assert next_due("monthly", date(2026, 7, 31), **values) == date(2026, 8, 1)
    assert next_due("monthly", date(2026, 12, 31), **values) == date(2027, 1, 1)
    assert next_due("at_close", date(2026, 7, 31), **values) is None
    assert next_due("at_close", date(2026, 7, 31), **values | {"closed_on": date(2026, 7, 30)}) == date(2026, 8, 1)


# --- with the database ----------------------------------------------------------------------------------------------------
@pytest.fixture
def pay(scene, clock):
    """`pay.program(when)`; `pay.win(amount)` at the moment of the clock; `pay.at(...)` moves the clock and sweeps."""

    class Pay:
        made, count = None, 0

        def program(self, when, **more):
            more.setdefault("time_zone", "America/New_York")
            payout = {"when": when} | more.pop("payout", {})
            self.made = scene.program(starts_on="2026-07-01", ends_on="2026-09-30", payout=payout, **more)
            return self.made

        def win(self, amount="5000.00", rep=None):
            self.count += 1
            fact = deal(f"S{self.count}", rep or scene.rep, amount, occurred_at="2026-07-02T10:00:00Z")
            send(scene.crm, fact | {"attributes": {"for": self.made.name}})
            services.follow_up()

        def at(self, *moment) -> list[int]:
            """Move the clock (UTC), sweep, and give the amounts of all payouts."""
            clock.move_to(datetime(*moment, tzinfo=UTC))
            build_scheduled()
            build_scheduled()
            assert check_ledger() == []
            return list(Payout.objects.order_by("pk").values_list("amount_minor", flat=True))

    return Pay()


@pytest.mark.django_db
def test_weekly_pays_on_monday_for_the_week_before_and_once(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("weekly")
    pay.win("5000.00")
    clock.move_to(datetime(2026, 7, 13, 4, 30, tzinfo=UTC))  # Monday, half past midnight in New York
    pay.win("1000.00")
    assert pay.at(2026, 7, 13, 3, 59) == []
    assert pay.at(2026, 7, 13, 5) == [10_000]
    assert pay.at(2026, 7, 19, 5) == [10_000]
    assert pay.at(2026, 7, 20, 5) == [10_000, 2_000]
    rows = ScheduledBuild.objects.order_by("due_on").values_list("due_on", "payouts", "total_minor")
    assert list(rows) == [(date(2026, 7, 6), 0, 0), (date(2026, 7, 13), 1, 10_000), (date(2026, 7, 20), 1, 2_000)]
    assert AuditEvent.objects.filter(action="payouts.scheduled").count() == 3


@pytest.mark.django_db
def test_a_missed_monday_is_made_up_for_with_what_was_earned_by_then(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("weekly")
    pay.win("5000.00")
    clock.move_to(datetime(2026, 7, 14, tzinfo=UTC))
    pay.win("1000.00")
    assert pay.at(2026, 7, 16) == [10_000]


@pytest.mark.django_db
def test_monthly_respects_the_days_an_earning_is_held(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("monthly", payout={"hold_days": 14})
    pay.win("5000.00")
    clock.move_to(datetime(2026, 7, 20, tzinfo=UTC))
    pay.win("1000.00")
    assert pay.at(2026, 8, 1, 5) == [10_000]
    assert pay.at(2026, 9, 1, 5) == [10_000, 2_000]


@pytest.mark.django_db
def test_at_close_pays_everything_once_it_is_closed_and_scored(pay, scene):
    program = pay.program("at_close")
    pay.win("5000.00")
    assert pay.at(2026, 7, 20) == []
    Program.objects.filter(pk=program.pk).update(status="closed", closed_at=datetime(2026, 10, 5, 4, tzinfo=UTC))
    program.participations.update(dirty_seq=99)
    assert pay.at(2026, 10, 5, 5) == []
    assert ScheduledBuild.objects.get().problem == "Scorecards are still being computed."
    program.participations.update(dirty_seq=1)
    assert pay.at(2026, 10, 5, 6) == [10_000]
    assert ScheduledBuild.objects.get().status == "done"


@pytest.mark.django_db
def test_an_instant_program_that_holds_its_earnings_pays_when_they_are_old_enough(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("instant", payout={"hold_days": 7})
    pay.win("5000.00")
    assert pay.at(2026, 7, 15, 23) == []
    assert pay.at(2026, 7, 16, 5) == [10_000]


@pytest.mark.django_db
def test_a_paused_program_waits_and_says_why(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    program = pay.program("weekly")
    pay.win("5000.00")
    Program.objects.filter(pk=program.pk).update(status="paused")
    assert pay.at(2026, 7, 13, 5) == []
    row = ScheduledBuild.objects.get(due_on=date(2026, 7, 13))
    assert (row.status, "paused" in row.problem) == ("waiting", True)
    Program.objects.filter(pk=program.pk).update(status="active")
    assert pay.at(2026, 7, 15, 5) == [10_000]


@pytest.mark.django_db
def test_a_long_build_goes_on_where_it_stopped(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("weekly")
    for _ in range(5):
        pay.win("5000.00", rep=make_participant())
    clock.move_to(datetime(2026, 7, 13, 5, tzinfo=UTC))
    assert [build_scheduled(limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert ScheduledBuild.objects.get(due_on=date(2026, 7, 13)).payouts == 5


@pytest.mark.django_db
def test_what_is_below_the_minimum_is_carried_to_the_next_day(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("weekly", payout={"minimum": "50.00"})
    pay.win("2000.00")
    assert pay.at(2026, 7, 13, 5) == []
    assert ScheduledBuild.objects.latest("due_on").skipped == 1
    pay.win("1000.00")
    assert pay.at(2026, 7, 20, 5) == [6_000]


@pytest.mark.django_db
def test_a_payout_without_a_submitter_still_has_makers_who_do_not_approve_it(pay, clock, scene):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    program = pay.program("weekly")
    pay.win("5000.00")
    pay.at(2026, 7, 13, 5)
    payout = Payout.objects.get()
    author = program.current_version.created_by
    author.role_set.create(role="finance")
    assert payout.submitted_by is None
    with pytest.raises(SelfApproval):
        services.approve_payout(payout_id=payout.pk, actor=author)
    services.approve_payout(payout_id=payout.pk, actor=scene.finance)


@pytest.mark.django_db
def test_a_policy_without_steps_lets_it_go_by_itself(pay, clock):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    ApprovalPolicy.objects.create(name="Small", steps=[], up_to_minor=20_000)
    pay.program("weekly")
    pay.win("5000.00")
    pay.at(2026, 7, 13, 5)
    assert Payout.objects.get().status == "approved"


@pytest.mark.django_db
def test_the_list_of_due_days(pay, clock, as_user, scene):
    clock.move_to(datetime(2026, 7, 9, tzinfo=UTC))
    pay.program("weekly", name="Weekly one")
    pay.win("5000.00")
    pay.at(2026, 7, 13, 5)
    page = as_user(scene.finance).get(reverse("payouts:schedule"))
    assert_page_clean(page)
    assert "Weekly one" in page.content.decode() and "100.00" in page.content.decode()
    shown = as_user(scene.manager).get(pay.made.get_absolute_url())
    assert "20 Jul 2026" in shown.content.decode()
