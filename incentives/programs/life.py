"""A program's life: the steps people take, and those its days bring by themselves."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.periods import closes_at, window
from incentives.programs.rules.schema import Definition
from incentives.programs.versions import definition_of

S = Program.Status
BY_HAND = {
    S.DRAFT: {S.ARCHIVED},
    S.SCHEDULED: {S.PAUSED},
    S.ACTIVE: {S.PAUSED, S.CLOSED},
    S.PAUSED: {S.ACTIVE, S.SCHEDULED, S.CLOSED},
    S.CLOSING: {S.CLOSED},
    S.CLOSED: {S.ARCHIVED},
}
"""What `change_status` does. The other arrows of Program.NEXT belong to a launch, a review or the calendar."""


def change_status(*, program: Program, new: str, actor, reason: str = "") -> Program:
    """Pause, resume, close or archive. Closing by hand sets `closed_at` to now. Raises NotAllowed, IllegalTransition."""
    if not actor.can("programs.publish"):
        raise NotAllowed("Only a program manager may change programs.")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program.pk)
        if new not in BY_HAND.get(program.status, ()):
            raise IllegalTransition(program, Program.Status(new).label.lower())
        move(program, new, actor, reason, at=timezone.now())
    return program


def move(program: Program, new: str, actor, reason: str = "", *, at: datetime | None = None) -> None:
    """The only code that assigns Program.status; call it in a transaction. `at` becomes `closed_at` of a closing program.

    The row is asked for its old state once more, because SQLite knows no row locks. Raises IllegalTransition.
    """
    old = program.status
    if new not in Program.NEXT[old]:
        raise IllegalTransition(program, Program.Status(new).label.lower())
    values = {"status": new} | ({"closed_at": at or timezone.now()} if new == S.CLOSED else {})
    if not Program.objects.filter(pk=program.pk, status=old).update(**values):
        program.refresh_from_db(fields=["status"])
        raise IllegalTransition(program, Program.Status(new).label.lower())
    for name, value in values.items():
        setattr(program, name, value)
    after = {"status": new} | ({"closed_at": values["closed_at"]} if new == S.CLOSED else {})
    audit.record(f"program.{new}", program, actor=actor, before={"status": old}, after=after, reason=reason)


# --- by the calendar -----------------------------------------------------------------------------------------------------
def next_by_date(status: str, definition: Definition, now: datetime) -> tuple[str, datetime] | None:
    """The state the calendar brings at `now` and the exact moment it did, or None. Pure.

    Moments are those of the program's time zone: scheduled becomes active as its first day begins, active and paused
    become closing when the last day is over, and closing becomes closed after the grace days.
    """
    first, end = window(definition)
    arrows = {
        S.SCHEDULED: (S.ACTIVE, first),
        S.ACTIVE: (S.CLOSING, end),
        S.PAUSED: (S.CLOSING, end),
        S.CLOSING: (S.CLOSED, closes_at(definition)),
    }
    new, moment = arrows.get(status, (None, None))
    return (new, moment) if new and now >= moment else None


def advance_by_date(now: datetime | None = None) -> int:
    """Move every program whose moment has come, as far as it goes. The sweep calls it.

    The newest published version decides, because it governs at the program's end. `closed_at` becomes the moment the
    program closed at by its definition, however late this runs. Returns how many steps were made; a repeat makes none.
    """
    now = now or timezone.now()
    moving = ProgramVersion.objects.filter(published_at__isnull=False, program__status__in=MOVING).order_by("number")
    newest = {version.program_id: version for version in moving.select_related("program").defer("definition")}
    due = [pk for pk, last in newest.items() if next_by_date(last.program.status, definition_of(last), now)]
    return sum(_advance(pk, now) for pk in sorted(due))


MOVING = (S.SCHEDULED, S.ACTIVE, S.PAUSED, S.CLOSING)


def _advance(program_id: int, now: datetime) -> int:
    steps = 0
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program_id)
        definition = last_definition(program)
        while step := next_by_date(program.status, definition, now):
            move(program, step[0], None, at=step[1])
            steps += 1
    return steps


def last_definition(program: Program) -> Definition:
    """Of the newest published version: it governs at the program's end."""
    return definition_of(program.newest_version)


def is_over(definition: Definition, now: datetime | None = None) -> bool:
    """Whether the last day has passed in the program's time zone."""
    return (now or timezone.now()) >= window(definition)[1]


def runs_again_by(program: Program, definition: Definition, now: datetime) -> bool:
    """Whether a version with a later last day brings a closing program back."""
    return program.status == S.CLOSING and not is_over(definition, now)


def resumed_status(program: Program, now: datetime | None = None) -> str:
    """What a paused program becomes when it is resumed: scheduled before its first day, else active."""
    first, _end = window(last_definition(program))
    return S.SCHEDULED if (now or timezone.now()) < first else S.ACTIVE
