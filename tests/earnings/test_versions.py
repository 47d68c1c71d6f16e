"""Versions that start at a moment, and who is enrolled by name, in running programs."""

from datetime import UTC, datetime

import pytest

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Credit, Earning
from incentives.earnings.preview import preview
from incentives.participants import services as people
from incentives.programs import services as programs
from incentives.programs.errors import CannotLaunch, ProgramInvalid
from incentives.programs.models import Enrollment, EnrollmentChange
from incentives.programs.versions import follow_versions
from tests.earnings.test_evaluate import earned, in_order
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send

pytestmark = pytest.mark.django_db
JULY = datetime(2026, 7, 1, tzinfo=UTC)


def on(day: str) -> dict:
    return {"occurred_at": f"2026-{day}T10:00:00Z"}


def publish(program, actor, starts_at=None, **changes):
    base = program.newest_version.definition
    programs.edit_draft(program=program, document=base | changes, actor=actor)
    return programs.launch(program=program, actor=actor, starts_at=starts_at)


def percent(rate: str) -> list:
    return [{"type": "percent", "rate": rate}]


def test_a_version_governs_what_counts_from_its_start_on():
    ana, crm, manager = make_participant("Ana"), make_connection(), make_user("manager")
    program = make_program(manager=manager)
    send(crm, deal("D1", ana, "1000.00", **on("06-30")), deal("D2", ana, "1000.00", **on("07-01")))
    publish(program, manager, JULY, rewards=percent("3"))
    evaluate()
    assert earned(program) == {"Ana": 2000 + 3000}
    assert list(Credit.objects.order_by("counted_at").values_list("version__number", flat=True)) == [1, 2]
    assert list(Earning.objects.values_list("amount_minor", "version__number")) == [(2000, 1), (2000, 1), (1000, 2)]
    assert in_order()
    publish(program, manager, None, rewards=percent("4"))
    evaluate()
    assert earned(program) == {"Ana": 8000}
    assert list(Credit.objects.values_list("version__number", flat=True)) == [3, 3]
    assert in_order()


def test_a_deal_that_moves_over_a_start_is_paid_by_the_version_it_comes_to():
    ana, crm, manager = make_participant("Ana"), make_connection(), make_user("manager")
    program = make_program(manager=manager, counts_by="close_date")
    publish(program, manager, JULY, rewards=percent("3"))
    send(crm, deal("D1", ana, "1000.00", close_date="2026-06-30"))
    assert earned(program) == {"Ana": 2000}
    send(crm, deal("D1", ana, "1000.00", version=2, close_date="2026-07-02"))
    assert earned(program) == {"Ana": 3000}
    assert in_order()


def test_what_the_preview_says_is_what_publishing_does():
    ana, manager = make_participant("Ana"), make_user("manager")
    program = make_program(manager=manager)
    send(make_connection(), deal("D1", ana, "1000.00", **on("06-30")), deal("D2", ana, "1000.00", **on("07-01")))
    draft = programs.edit_draft(
        program=program, document=program.current_definition | {"rewards": percent("3")}, actor=manager
    )
    assert preview(program, draft, starts_at=JULY).earned.minor == 5000
    assert preview(program, draft).earned.minor == 6000
    assert earned(program) == {"Ana": 4000}


@pytest.mark.parametrize(
    ("changes", "starts_at", "words"),
    [
        ({"period": "month"}, JULY, "period: the version it follows has program, this one has month"),
        ({}, datetime(2025, 12, 31, tzinfo=UTC), "cannot start before the program's first moment"),
        ({}, datetime(2027, 1, 1, tzinfo=UTC), "must start before that"),
    ],
)
def test_a_start_that_has_no_meaning_is_refused_with_the_field_named(changes, starts_at, words):
    manager = make_user("manager")
    program = make_program(manager=manager)
    with pytest.raises(CannotLaunch, match=words):
        publish(program, manager, starts_at, **changes)
    draft = program.versions.get(number=2)
    assert (draft.published_at, draft.starts_at, program.newest_version.number) == (None, None, 1)
    assert not AuditEvent.objects.filter(action="program.published", after__version=2).exists()


def test_the_first_version_has_no_start_of_its_own():
    with pytest.raises(CannotLaunch, match="first version starts with the program"):
        programs.launch(program=make_program(launched=False), actor=make_user("manager"), starts_at=JULY)


def test_lists_take_the_name_when_the_version_starts_and_the_days_at_once(clock):
    manager, august = make_user("manager"), datetime(2026, 8, 1, tzinfo=UTC)
    program = make_program(manager=manager, name="Old", ends_on="2026-09-30")
    publish(program, manager, august, name="New", ends_on="2026-12-31", payout={"when": "instant"})
    program.refresh_from_db()
    assert (program.name, str(program.ends_on)) == ("Old", "2026-12-31")
    assert (program.current_version.number, program.newest_version.number) == (1, 2)
    assert program.current_definition["payout"]["when"] == "at_close"
    assert follow_versions() == 0
    clock.move_to(august)
    assert (follow_versions(), follow_versions()) == (1, 0)
    program.refresh_from_db()
    assert (program.name, program.current_version.number) == ("New", 2)
    assert program.current_definition["payout"]["when"] == "instant"


# --- enrolment -----------------------------------------------------------------------------------------------------------
def enroll(program, person, state, actor=None, **options):
    found = programs.set_enrollment(
        program=program, participant=person, state=state, actor=actor or make_user("manager"), **options
    )
    evaluate()
    return found


def test_somebody_excluded_earns_nothing_and_somebody_invited_does():
    ana, bob = make_participant("Ana"), make_participant("Bob", type="contractor")
    program, other = make_program(eligible={"types": ["employee"]}), make_program()
    send(make_connection(), deal("D1", ana, "1000.00"), deal("D2", bob, "1000.00"))
    assert earned(program) == {"Ana": 2000}
    enroll(program, ana, "excluded")
    enroll(program, bob, "invited")
    assert earned(program) == {"Bob": 2000}
    assert earned(other) == {"Ana": 2000, "Bob": 2000}
    assert in_order()
    enroll(program, ana, None)
    enroll(program, bob, None)
    assert earned(program) == {"Ana": 2000}
    assert not EnrollmentChange.objects.exists()
    assert in_order()


def test_an_invitation_only_program_counts_the_invited_alone():
    ana, bob = make_participant("Ana"), make_participant("Bob")
    program = make_program(eligible={"invited_only": True}, credit={"to": "splits"})
    halves = [{"participant": {"external_user_id": p.external_user_id}, "percentage": "50"} for p in (ana, bob)]
    send(make_connection(), deal("D1", ana, "1000.00", splits=halves))
    assert earned(program) == {}
    enroll(program, bob, "invited")
    assert earned(program) == {"Bob": 1000}
    assert in_order()


def test_an_excluded_manager_gets_no_overlay_and_one_named_gets_it_back():
    boss = make_participant("Boss")
    ana, coach = make_participant("Ana", manager=boss), make_participant("Coach", external_user_id="COACH")
    overlays = [{"to": "manager", "percent": "10"}, {"to": "participant", "participant": "COACH", "percent": "5"}]
    program = make_program(credit={"to": "owner", "overlays": overlays})
    send(make_connection(), deal("D1", ana, "1000.00"))
    assert earned(program) == {"Ana": 2000, "Boss": 200, "Coach": 100}
    for person in (boss, coach):
        enroll(program, person, "excluded")
    assert earned(program) == {"Ana": 2000}
    for person in (boss, coach):
        enroll(program, person, None)
    assert earned(program) == {"Ana": 2000, "Boss": 200, "Coach": 100}
    people.update_participant(coach, started_on="2026-12-01")
    evaluate()
    assert earned(program) == {"Ana": 2000, "Boss": 200}
    people.update_participant(coach, started_on=None)
    evaluate()
    assert earned(program) == {"Ana": 2000, "Boss": 200, "Coach": 100}
    assert in_order()


def test_setting_an_enrolment_is_recorded_and_a_repeat_changes_nothing():
    ana, program, manager = make_participant("Ana"), make_program(), make_user("manager")
    row = enroll(program, ana, "excluded", manager, reason="On leave")
    assert (row.state, row.reason, row.set_by) == ("excluded", "On leave", manager)
    enroll(program, ana, "excluded", manager, reason="On leave")
    event = AuditEvent.objects.get(action="enrollment.set")
    assert (event.before["state"], event.after) == ("", {"participant": ana.key, "state": "excluded"})
    assert enroll(program, ana, None, manager) is None
    assert AuditEvent.objects.filter(action="enrollment.set").count() == 2


def test_what_an_enrolment_may_not_be_leaves_nothing_behind():
    ana, program = make_participant("Ana"), make_program()
    with pytest.raises(NotAllowed):
        enroll(program, ana, "invited", make_user("finance"))
    with pytest.raises(ProgramInvalid):
        enroll(program, ana, "elsewhere")
    with pytest.raises(ProgramInvalid):
        enroll(program, ana, "invited", reason="x" * 301)
    assert not Enrollment.objects.exists() and not EnrollmentChange.objects.exists()
    assert not AuditEvent.objects.filter(action="enrollment.set").exists()
