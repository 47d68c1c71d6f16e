"""Who is invited to a program, or excluded from it, by name."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.participants.models import Participant
from incentives.programs.errors import ProgramInvalid
from incentives.programs.models import Enrollment, EnrollmentChange, Program
from incentives.programs.nudge import nudge_earnings

REASON_LENGTH = 300


def set_enrollment(
    *, program: Program, participant: Participant, state: str | None, reason: str = "", actor
) -> Enrollment | None:
    """Invite a person to the program (`invited`), exclude them (`excluded`), or leave them to the rules (None).

    Their facts are credited anew, in the past as well. A repeat changes nothing. Returns the row that stands, if any.
    Raises NotAllowed, ProgramInvalid (another state, a reason too long, a program that was put away).
    """
    set_enrollments(program=program, people=[participant], state=state, reason=reason, actor=actor)
    return program.enrollments.filter(participant=participant).first()


def set_enrollments(
    *, program: Program, people: Iterable[Participant], state: str | None, reason: str = "", actor
) -> int:
    """As `set_enrollment`, for many at once: all or none. Returns how many changed."""
    state = _checked(state, reason, actor)
    wanted = {person.pk: person for person in people}
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program.pk)
        if program.status == Program.Status.ARCHIVED:
            raise ProgramInvalid(f"{program} was put away; who takes part in it cannot be changed any more.")
        standing = {row.participant_id: row for row in program.enrollments.filter(participant__in=wanted)}
        changed = [person for pk, person in sorted(wanted.items()) if _differs(standing.get(pk), state, reason)]
        moved = [person for person in changed if _state(standing.get(person.pk)) != (state or "")]
        _write(program, changed, state, reason, actor)
        EnrollmentChange.objects.bulk_create(
            [EnrollmentChange(program=program, participant=person) for person in moved], batch_size=500
        )
        for person in changed:
            audit.record(
                "enrollment.set", program, actor=actor, reason=reason,
                before={"participant": person.key, "state": _state(standing.get(person.pk))},
                after={"participant": person.key, "state": state or ""},
            )  # fmt: skip
        if moved:
            transaction.on_commit(nudge_earnings, robust=True)
    return len(changed)


def _checked(state: str | None, reason: str, actor) -> str | None:
    if not actor.can("programs.edit"):
        raise NotAllowed("Only a program manager may say who takes part.")
    if state is not None and state not in Enrollment.State.values:
        raise ProgramInvalid(f"Expected invited, excluded or nothing, found {state!r}.")
    if len(reason) > REASON_LENGTH:
        raise ProgramInvalid(f"Give a reason of at most {REASON_LENGTH} characters.")
    return Enrollment.State(state) if state else None


def _state(row: Enrollment | None) -> str:
    return row.state if row else ""


def _differs(row: Enrollment | None, state: str | None, reason: str) -> bool:
    return _state(row) != (state or "") or (row is not None and row.reason != reason)


def _write(program: Program, people: list[Participant], state: str | None, reason: str, actor) -> None:
    if state is None:
        program.enrollments.filter(participant__in=people).delete()
        return
    now = timezone.now()
    rows = [
        Enrollment(program=program, participant=person, state=state, reason=reason, set_by=actor, set_at=now)
        for person in people
    ]
    Enrollment.objects.bulk_create(
        rows, batch_size=500, update_conflicts=True, unique_fields=["program", "participant"],
        update_fields=["state", "reason", "set_by", "set_at"],
    )  # fmt: skip
