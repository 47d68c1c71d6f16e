"""Targets: setting them, with a history of every change, and prorating those of people who joined or left."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.participants.models import Participant
from incentives.programs.errors import TargetInvalid
from incentives.programs.models import Program, Target, TargetChange
from incentives.programs.nudge import nudge_earnings
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import period_end, period_start
from incentives.programs.rules.proration import Days, days_in, prorated
from incentives.programs.rules.schema import Definition


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One wanted target: `value` in units of the program's measure, above zero. `reason` is kept with the change, and so is
    the `whole` target before proration."""

    participant: Participant
    period_start: date
    value: Decimal
    reason: str = ""
    whole: Decimal | None = None


def set_targets(*, program: Program, rows: list[TargetRow], actor) -> dict[str, int]:
    """Set targets; returns {"changed", "unchanged", "participants"}. A repeat changes nothing.

    `period_start` may be any day of the period: what is stored is its first day, and what stands for another day of the
    period is replaced, because two targets in one period have no meaning. All or nothing. Every change is kept
    (TargetChange).
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
            for t in program.targets.select_for_update(of=("self",), no_key=True)
        }
        for row in rows:
            start = period_start(definition, row.period_start)
            target = standing.get((row.participant.pk, start))
            if target is not None and target.value == row.value:
                continue
            before = target.value if target else None
            target = target or Target(program=program, participant=row.participant, period_start=start)
            target.value, target.updated_by, target.to_score = row.value, actor, True
            target.save()
            standing[row.participant.pk, start] = target
            changed.append(row.participant)
            _keep(target, before, row, actor)
        if changed:
            transaction.on_commit(nudge_earnings, robust=True)
    return {
        "changed": len(changed),
        "unchanged": len(rows) - len(changed),
        "participants": sorted({p.pk for p in changed}),
    }


def _keep(target: Target, before: Decimal | None, row: TargetRow, actor) -> None:
    TargetChange.objects.create(
        program=target.program,
        participant=target.participant,
        period_start=target.period_start,
        before=before,
        after=target.value,
        whole=row.whole,
        reason=row.reason[:300],
        changed_by=actor,
    )
    audit.record(
        "target.set",
        target.program,
        actor=actor,
        before={"value": "" if before is None else str(before)},
        after={"participant": row.participant.key, "period": str(target.period_start), "value": str(target.value)},
        reason=row.reason,
    )


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


def _require(actor, permission: str) -> None:
    if not actor.can(permission):
        raise NotAllowed("Only a program manager may change targets.")


# --- proration -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Prorated:
    """Somebody who joined or left inside a period: the whole target, what their days leave of it, and what stands.

    `problem` says in words why it cannot be prorated.
    """

    participant: Participant
    period_start: date
    days: Days
    whole: Decimal
    value: Decimal
    standing: Decimal
    reason: str
    problem: str = ""

    @property
    def same(self) -> bool:
        """Whether it stands already."""
        return self.value == self.standing

    @property
    def row(self) -> TargetRow:
        return TargetRow(self.participant, self.period_start, self.value, self.reason, self.whole)


def to_prorate(program: Program, definition: Definition, start: date) -> list[Prorated]:
    """Everybody with a target in the period who was there for a part of it only, by name. Two queries.

    The whole target is the one that was last set by a person: what an earlier proration made of it is not prorated again.
    """
    standing = program.targets.filter(period_start__range=(start, period_end(definition, start)))
    wholes = _wholes(program, start)
    first, last = max(start, definition.starts_on), min(period_end(definition, start), definition.ends_on)
    found = []
    for target in standing.select_related("participant").order_by("participant__name", "participant"):
        person = target.participant
        days = days_in(definition, start, person.started_on, person.ended_on)
        if days.active == days.all:
            continue
        whole = wholes.get(person.pk) or target.value
        value = prorated(definition, whole, days)
        problem = "" if value > 0 else gettext("Nothing would be left, and a target must be above zero.")
        if not days.active:
            problem = gettext("Was not there on any day of the period.")
        found.append(
            Prorated(person, start, days, whole, value, target.value, _reason(person, first, last, days), problem)
        )
    return found


def _wholes(program: Program, start: date) -> dict[int, Decimal]:
    """participant id -> the whole target, where the newest change of the period's target was a proration."""
    changes = TargetChange.objects.filter(program=program, period_start=start).order_by("pk")
    newest = dict(changes.values_list("participant", "whole"))
    return {pk: whole for pk, whole in newest.items() if whole is not None}


def _reason(person: Participant, first: date, last: date, days: Days) -> str:
    """`prorated: joined 2026-08-15, 47 of 92 days`; only what cuts the period is named."""
    parts = []
    if person.started_on and person.started_on > first:
        parts.append(f"joined {person.started_on}")
    if person.ended_on and person.ended_on < last:
        parts.append(f"left {person.ended_on}")
    return f"prorated: {', '.join(parts)}, {days.active} of {days.all} days"


def prorate(*, program: Program, period_start: date, participants: set[int], actor) -> dict[str, int]:
    """Write the prorated targets of these participants (ids) as ordinary targets, with the reason. As set_targets; whom the
    period does not cut, or who has a problem, is left alone. A repeat changes nothing."""
    _require(actor, "programs.edit")
    definition = parse_definition(program.current_definition)
    rows = [
        item.row
        for item in to_prorate(program, definition, period_start)
        if item.participant.pk in participants and not item.problem
    ]
    return set_targets(program=program, rows=rows, actor=actor)
