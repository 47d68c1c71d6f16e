"""A program's life: every pair of state and action, and what the calendar does in the program's own time zone."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.programs import life, review, services
from incentives.programs.errors import CannotLaunch
from incentives.programs.models import Program
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import closes_at, window
from tests.factories import definition, make_program, make_user

S = Program.Status
ZONES = ("UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Niue", "America/Santiago")


@pytest.fixture
def manager(db):
    return make_user("manager")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def new_york(**changes):
    days = {"starts_on": "2026-07-01", "ends_on": "2026-09-30", "grace_days": 5, "time_zone": "America/New_York"}
    return make_program(**{**days, **changes})


# --- by the calendar -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2026-06-30 12:00", "scheduled"),
        ("2026-07-01 03:59:59", "scheduled"),  # in New York it is still the evening before
        ("2026-07-01 04:00", "active"),
        ("2026-10-01 03:59:59", "active"),
        ("2026-10-01 04:00", "closing"),
        ("2026-10-06 03:59:59", "closing"),
        ("2026-10-06 04:00", "closed"),
        ("2027-03-01 00:00", "closed"),
    ],
)
@pytest.mark.django_db
def test_each_state_begins_at_its_moment_in_the_programs_time_zone(clock, moment, status):
    clock.move_to(at("2026-06-15 00:00"))
    program = new_york()
    life.advance_by_date(at(moment))
    program.refresh_from_db()
    assert program.status == status
    assert program.closed_at == (at("2026-10-06 04:00") if status == "closed" else None)
    events = AuditEvent.objects.count()
    assert life.advance_by_date(at(moment)) == 0
    assert AuditEvent.objects.count() == events


@pytest.mark.django_db
def test_a_late_sweep_goes_the_whole_way_and_keeps_the_exact_moment(clock):
    clock.move_to(at("2026-06-15 00:00"))
    program = new_york(time_zone="Asia/Tokyo", grace_days=0)
    assert life.advance_by_date(at("2026-12-24 18:00")) == 3
    program.refresh_from_db()
    assert (program.status, program.closed_at) == (S.CLOSED, at("2026-09-30 15:00"))
    steps = AuditEvent.objects.filter(target_id=str(program.public_id)).order_by("pk").values_list("action", "actor")
    assert [step for step in steps if step[1] is None] == [
        ("program.active", None), ("program.closing", None), ("program.closed", None),
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_paused_program_closes_too(manager, clock):
    clock.move_to(at("2026-08-01 00:00"))
    program = new_york(manager=manager)
    services.change_status(program=program, new=S.PAUSED, actor=manager)
    life.advance_by_date(at("2026-10-01 05:00"))
    program.refresh_from_db()
    assert program.status == S.CLOSING


@pytest.mark.django_db
def test_drafts_and_closed_programs_stay_where_they_are(manager):
    draft = make_program(launched=False, starts_on="2020-01-01", ends_on="2020-02-01")
    closed = make_program(manager=manager)
    services.change_status(program=closed, new=S.CLOSED, actor=manager)
    assert life.advance_by_date(at("2030-01-01 00:00")) == 0
    draft.refresh_from_db()
    assert draft.status == S.DRAFT


@given(
    zone=st.sampled_from(ZONES),
    start=st.dates(min_value=date(2026, 1, 1), max_value=date(2026, 12, 31)),
    days=st.integers(0, 100),
    grace=st.integers(0, 40),
    offset=st.integers(-200_000, 20_000_000),
    status=st.sampled_from(list(S)),
)
@pytest.mark.pure
def test_the_calendar_agrees_with_the_rules_at_any_moment(zone, start, days, grace, offset, status):
    rules = parse_definition(
        definition(starts_on=str(start), ends_on=str(start + timedelta(days=days)), grace_days=grace, time_zone=zone)
    )
    (first, end), closes = window(rules), closes_at(rules)
    now = first + timedelta(seconds=offset)
    seen, moment = status, None
    while step := life.next_by_date(seen, rules, now):
        assert step[0] in Program.NEXT[seen]
        assert moment is None or step[1] >= moment
        seen, moment = step
        assert moment <= now
    if status == S.SCHEDULED:
        wanted = S.SCHEDULED if now < first else S.ACTIVE if now < end else S.CLOSING if now < closes else S.CLOSED
        assert seen == wanted
    if status in (S.DRAFT, S.IN_REVIEW, S.CLOSED, S.ARCHIVED):
        assert seen == status
    assert seen != S.CLOSED or status == S.CLOSED or moment == closes


# --- by hand -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("old", list(S))
@pytest.mark.parametrize("new", list(S))
@pytest.mark.django_db
def test_every_step_by_hand_either_works_or_changes_nothing(manager, old, new):
    program = make_program(manager=manager)
    Program.objects.filter(pk=program.pk).update(status=old)
    events = AuditEvent.objects.count()
    if new in life.BY_HAND.get(old, ()):
        services.change_status(program=program, new=new, actor=manager, reason="because")
        program.refresh_from_db()
        assert (program.status, AuditEvent.objects.count()) == (new, events + 1)
        assert (program.closed_at is not None) == (new == S.CLOSED)
        return
    with pytest.raises(IllegalTransition):
        services.change_status(program=program, new=new, actor=manager)
    program.refresh_from_db()
    assert (program.status, program.closed_at, AuditEvent.objects.count()) == (old, None, events)


@pytest.mark.parametrize("action", ["launch", "request", "confirm", "return", "advance"])
@pytest.mark.parametrize("old", list(S))
@pytest.mark.django_db
def test_no_action_makes_a_move_that_is_not_an_arrow(manager, old, action):
    program = make_program(manager=manager, starts_on="2020-01-01", ends_on="2020-12-31", launched=False)
    draft = services.edit_draft(program=program, document=definition(), actor=manager)
    Program.objects.filter(pk=program.pk).update(status=old)
    do = {
        "launch": lambda: services.launch(program=program, actor=manager),
        "request": lambda: review.request_review(program=program, actor=manager),
        "confirm": lambda: review.confirm_review(program=program, actor=manager, seen_digest=draft.digest),
        "return": lambda: review.return_review(program=program, actor=manager, reason="no"),
        "advance": life.advance_by_date,
    }
    with suppress(IllegalTransition, NotAllowed, CannotLaunch):
        do[action]()
    program.refresh_from_db()
    assert program.status == old or program.status in Program.NEXT[old]


def test_every_arrow_by_hand_is_one_of_the_model():
    assert all(new in Program.NEXT[old] for old, many in life.BY_HAND.items() for new in many)


@pytest.mark.django_db
def test_closing_by_hand_is_now(manager, clock):
    program = make_program(manager=manager)
    services.change_status(program=program, new=S.CLOSED, actor=manager)
    program.refresh_from_db()
    assert program.closed_at == at("2026-07-15 12:00")


@pytest.mark.django_db
def test_a_step_that_another_worker_made_is_refused(manager):
    """SQLite has no row locks: the row itself is asked for its old state."""
    program = make_program(manager=manager)
    stale = Program.objects.get(pk=program.pk)
    services.change_status(program=program, new=S.CLOSED, actor=manager)
    events = AuditEvent.objects.count()
    with pytest.raises(IllegalTransition):
        life.move(stale, S.PAUSED, manager)
    assert (Program.objects.get(pk=program.pk).status, AuditEvent.objects.count()) == (S.CLOSED, events)


@pytest.mark.django_db
def test_a_later_last_day_brings_a_closing_program_back(manager, clock):
    clock.move_to(at("2026-09-01 00:00"))
    program = new_york(manager=manager)
    clock.move_to(at("2026-10-02 00:00"))
    life.advance_by_date()
    longer = definition(
        name=program.name, starts_on="2026-07-01", ends_on="2026-12-31", grace_days=5, time_zone="America/New_York"
    )
    services.edit_draft(program=program, document=longer, actor=manager)
    assert services.launch(program=program, actor=manager).status == S.ACTIVE
    assert life.advance_by_date() == 0


@pytest.mark.django_db
def test_a_program_paused_before_its_first_day_is_scheduled_again(manager, clock):
    clock.move_to(at("2026-07-01 03:00"))  # still 30 June in New York
    program = new_york(manager=manager)
    assert program.status == S.SCHEDULED
    services.change_status(program=program, new=S.PAUSED, actor=manager)
    assert life.resumed_status(program) == S.SCHEDULED
    clock.move_to(at("2026-07-01 04:00"))
    assert life.resumed_status(program) == S.ACTIVE
