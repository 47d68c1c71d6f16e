"""Making, launching and steering programs."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from incentives.programs.enrollment import set_enrollment, set_enrollments
from incentives.programs.errors import CannotLaunch, ProgramInvalid, TargetInvalid
from incentives.programs.models import Program, ProgramVersion, Target
from incentives.programs.nudge import nudge_earnings
from incentives.programs.rules.parsing import canonical, digest, parse_definition
from incentives.programs.rules.periods import period_start
from incentives.programs.rules.schema import Definition
from incentives.programs.versions import copy_for_lists, why_not_start

S = Program.Status
__all__ = [
    "advance_by_date", "change_status", "create_program", "edit_draft", "launch", "nudge_earnings", "set_budget",
    "set_enrollment", "set_enrollments", "set_targets", "what_is_missing",
]  # fmt: skip


def create_program(*, document, actor, budget: Budget | None = None) -> Program:
    """A draft from a definition document (dict or JSON text). Raises DefinitionError naming every wrong key, NotAllowed,
    ProgramInvalid (the budget holds another currency)."""
    _require(actor, "programs.edit")
    definition = parse_definition(document)
    _check_budget(definition.currency, budget)
    with transaction.atomic():
        program = Program(created_at=timezone.now(), owner=actor, budget=budget)
        _copy(program, definition)
        program.save()
        _new_version(program, 1, definition, actor, "")
        audit.record(
            "program.created", program, actor=actor, after={"name": program.name, "digest": digest(definition)}
        )
    return program


def edit_draft(*, program: Program, document, actor, note: str = "") -> ProgramVersion:
    """Write the draft version anew, or start one beside the published version. Published versions never change.

    Raises as create_program; IllegalTransition for a closed program; ProgramInvalid when the currency of a program that
    has earned would change.
    """
    _require(actor, "programs.edit")
    definition = parse_definition(document)
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).get(pk=program.pk)
        if program.status in (S.CLOSED, S.ARCHIVED):
            raise IllegalTransition(program, "edited")
        _check_budget(definition.currency, program.budget)
        if program.current_version and definition.currency != program.currency:
            raise ProgramInvalid(f"The program pays {program.currency}; make a new program for {definition.currency}.")
        draft = program.versions.filter(published_at__isnull=True).first()
        before = draft.digest if draft else ""
        if draft:
            draft.definition, draft.digest, draft.note, draft.created_by = (
                canonical(definition),
                digest(definition),
                note,
                actor,
            )
            draft.save()
        else:
            last = program.versions.order_by("-number").first()
            draft = _new_version(program, last.number + 1, definition, actor, note)
        if program.status == S.DRAFT:
            _copy(program, definition)
            program.save()
        audit.record(
            "program.edited",
            program,
            actor=actor,
            before={"digest": before},
            after={"digest": draft.digest},
            reason=note,
        )
    return draft


def set_budget(*, program: Program, budget: Budget | None, actor) -> Program:
    """Choose what the program is paid from. Raises NotAllowed, ProgramInvalid."""
    _require(actor, "programs.edit")
    _check_budget(program.currency, budget)
    with transaction.atomic():
        before = str(program.budget or "")
        program.budget = budget
        program.save(update_fields=["budget"])
        audit.record(
            "program.budget", program, actor=actor, before={"budget": before}, after={"budget": str(budget or "")}
        )
    return program


def launch(*, program: Program, actor, starts_at: datetime | None = None, today: date | None = None) -> Program:
    """Publish the draft version: facts in its window earn from now on, those already received as well.

    `starts_at`: the version governs what counts at that moment or later, past or future; None: from the program's first
    day on, instead of all versions before it. A program whose first day is still to come becomes scheduled, else active.
    Raises NotAllowed, CannotLaunch naming everything that is missing or what the start moment does not allow,
    IllegalTransition.
    """
    _require(actor, "programs.publish")
    today = today or timezone.now().date()
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).select_related("budget").get(pk=program.pk)
        draft = program.versions.filter(published_at__isnull=True).first()
        if draft is None:
            raise CannotLaunch("There is nothing to publish: the program has no changed version.")
        missing = what_is_missing(program, draft)
        if problem := why_not_start(program, draft, starts_at):
            missing.append(problem)
        if missing:
            raise CannotLaunch(" ".join(missing))
        draft.published_at, draft.published_by, draft.starts_at = timezone.now(), actor, starts_at
        draft.save(update_fields=["published_at", "published_by", "starts_at"])
        copy_for_lists(program)
        if program.status == S.DRAFT:
            program.launched_at = timezone.now()
            _move(program, S.SCHEDULED if program.starts_on > today else S.ACTIVE, actor)
        program.save()
        after = {"version": draft.number, "digest": draft.digest}
        if starts_at is not None:
            after["starts_at"] = starts_at
        audit.record("program.published", program, actor=actor, after=after)
        transaction.on_commit(nudge_earnings, robust=True)
    return program


def what_is_missing(program: Program, version: ProgramVersion) -> list[str]:
    """Sentences about what must be there before a launch; empty when ready."""
    missing = []
    if program.budget is None:
        missing.append("Choose a budget.")
    if not version.definition.get("delivery"):
        missing.append("Say how rewards are delivered (delivery).")
    return missing + _colliding_targets(program, parse_definition(version.definition))


def change_status(*, program: Program, new: str, actor, reason: str = "") -> Program:
    """Pause, resume, close, archive or schedule along Program.NEXT. Raises NotAllowed, IllegalTransition."""
    _require(actor, "programs.publish")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).get(pk=program.pk)
        _move(program, new, actor, reason)
    return program


def advance_by_date(today: date | None = None) -> int:
    """Scheduled programs whose day has come become active, active ones past their end closing. The sweep calls it.

    Returns how many moved; a repeat moves nothing.
    """
    today, moved = today or timezone.now().date(), 0
    due = [(S.SCHEDULED, S.ACTIVE, {"starts_on__lte": today}), (S.ACTIVE, S.CLOSING, {"ends_on__lt": today})]
    for old, new, where in due:
        for pk in Program.objects.filter(status=old, **where).values_list("pk", flat=True):
            with transaction.atomic():
                program = Program.objects.select_for_update(of=("self",)).filter(pk=pk, status=old).first()
                if program:
                    _move(program, new, None)
                    moved += 1
    return moved


def _move(program: Program, new: str, actor, reason: str = "") -> None:
    old = program.status
    if new not in Program.NEXT[old]:
        raise IllegalTransition(program, Program.Status(new).label.lower())
    program.status = new
    program.save(update_fields=["status"])
    audit.record(f"program.{new}", program, actor=actor, before={"status": old}, after={"status": new}, reason=reason)


# --- targets -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One wanted target: `value` in units of the program's measure, above zero."""

    participant: Participant
    period_start: date
    value: Decimal


def set_targets(*, program: Program, rows: list[TargetRow], actor) -> dict[str, int]:
    """Set targets; returns {"changed", "unchanged", "participants"}. A repeat changes nothing.

    `period_start` may be any day of the period: what is stored is its first day, and what stands for another day of the
    period is replaced, because two targets in one period have no meaning. All or nothing.
    Raises NotAllowed, TargetInvalid naming the row.
    """
    _require(actor, "programs.edit")
    definition = parse_definition(program.current_definition)
    for number, row in enumerate(rows, start=1):
        if problem := target_problem(definition, row):
            raise TargetInvalid(f"Row {number}: {problem}")
    changed: list[Participant] = []
    with transaction.atomic():
        standing = {
            (t.participant_id, period_start(definition, t.period_start)): t
            for t in program.targets.select_for_update(of=("self",))
        }
        for row in rows:
            start = period_start(definition, row.period_start)
            target = standing.get((row.participant.pk, start))
            if target is not None and target.value == row.value:
                continue
            before = str(target.value) if target else ""
            target = target or Target(program=program, participant=row.participant, period_start=start)
            target.value, target.updated_by, target.to_score = row.value, actor, True
            target.save()
            standing[row.participant.pk, start] = target
            changed.append(row.participant)
            audit.record(
                "target.set",
                program,
                actor=actor,
                before={"value": before},
                after={"participant": row.participant.key, "period": str(start), "value": str(row.value)},
            )
        if changed:
            transaction.on_commit(nudge_earnings, robust=True)
    return {
        "changed": len(changed),
        "unchanged": len(rows) - len(changed),
        "participants": sorted({p.pk for p in changed}),
    }


MOST = Decimal("10000000000000")
"""A target above this many units of the measure is a typing mistake, and more than a threshold may be."""


def target_problem(definition: Definition, row: TargetRow) -> str:
    """What is wrong with a wanted target, in words; empty when it may be set."""
    if not row.value.is_finite() or row.value <= 0:
        return f"the target of {row.participant} is {row.value}; expected a number above zero."
    if row.value > MOST or row.value != row.value.quantize(Decimal("0.0001")):
        return f"the target of {row.participant} is {row.value}; expected at most {MOST:,} and four digits after the point."
    first = period_start(definition, definition.starts_on)
    if not first <= row.period_start <= definition.ends_on:
        return (
            f"{row.period_start} is outside the program; expected a day from {definition.starts_on} to "
            f"{definition.ends_on}."
        )
    return ""


def _colliding_targets(program: Program, definition: Definition) -> list[str]:
    """Targets that the definition's periods would put into one: the score of such a participant is not defined."""
    seen: set[tuple] = set()
    for target in program.targets.select_related("participant").order_by("pk"):
        key = (target.participant_id, period_start(definition, target.period_start))
        if key in seen:
            return [
                f"{target.participant} has two targets in the period from {key[1]}. Keep the periods of the version "
                "that runs, or make a new program."
            ]
        seen.add(key)
    return []


def _require(actor, permission: str) -> None:
    if not actor.can(permission):
        raise NotAllowed("Only a program manager may change programs.")


def _check_budget(currency: str, budget: Budget | None) -> None:
    if budget is not None and budget.currency != currency:
        raise ProgramInvalid(f"The program pays {currency}, the budget {budget} holds {budget.currency}.")


def _copy(program: Program, definition) -> None:
    program.name, program.template, program.currency = definition.name, definition.template, definition.currency
    program.starts_on, program.ends_on = definition.starts_on, definition.ends_on


def _new_version(program, number, definition, actor, note) -> ProgramVersion:
    return ProgramVersion.objects.create(
        program=program,
        number=number,
        definition=canonical(definition),
        digest=digest(definition),
        note=note,
        created_by=actor,
    )
