"""Resuming a program that had run out of money."""

from django.db import transaction
from django.db.models.functions import Now

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.programs.errors import ProgramInvalid
from incentives.programs.models import Program, ProgramStop
from incentives.programs.nudge import nudge_earnings
from incentives.programs.selectors import room_of


def open_stop(program: Program) -> ProgramStop | None:
    """The stop that lasts, if the program has run out."""
    return program.stops.filter(resumed_at=None).first()


def resume_stopped(*, program: Program, actor, reason: str) -> ProgramStop:
    """End the stop of a `stop_when_spent` program at the database's moment: what is received from then on counts again.

    Facts received meanwhile stay uncounted. Where the budget still has no room the program stops again with the next look.
    Raises NotAllowed, ProgramInvalid (not stopped, nothing available, no reason).
    """
    if not actor.can("programs.publish"):
        raise NotAllowed("Only a program manager may resume a program.")
    if not reason.strip() or len(reason) > 300:
        raise ProgramInvalid("Say in at most 300 characters why the program goes on.")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program.pk)
        stop = (
            ProgramStop.objects.select_for_update(of=("self",), no_key=True)
            .filter(program=program, resumed_at=None)
            .first()
        )
        if stop is None:
            raise ProgramInvalid(f"{program} is not stopped.")
        room = room_of(program)
        if room is not None and room.minor <= 0:
            raise ProgramInvalid(f"{program.budget} has nothing available. Ask finance to fund it first.")
        stop.resumed_at, stop.resumed_by, stop.to_credit = Now(), actor, True
        stop.save(update_fields=["resumed_at", "resumed_by", "to_credit"])
        stop.refresh_from_db()
        audit.record(
            "program.goes_on",
            program,
            actor=actor,
            before={"stopped_at": stop.stopped_at},
            after={"resumed_at": stop.resumed_at},
            reason=reason,
        )
        transaction.on_commit(nudge_earnings, robust=True)
    return stop
