"""Reading earnings: totals of programs, statements, who stands where, and what a person should look at."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils.translation import gettext

from incentives.crm.models import ObjectState
from incentives.earnings.facts import counts, fact_of, people_of
from incentives.earnings.models import Credit, Earning, Participation, Scorecard
from incentives.earnings.running import Running, inputs_for, running_of
from incentives.participants.models import Participant
from incentives.programs.models import Program
from incentives.programs.rules.facts import Reason
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import needs_targets
from rewards.money import Money

FACTS = 5000
"""How many facts, newest first, a page looks at for exceptions."""
ROWS = 200
"""How many exceptions a page shows."""


@dataclass(frozen=True, slots=True)
class Totals:
    """A program's totals. `participants` have a credited activity, `earning` of them have earned; `corrected` is what was
    taken back or reduced so far (zero or below), already inside `earned`."""

    participants: int
    earning: int
    activities: int
    earned: Money
    corrected: Money


def program_totals(programs: Iterable[Program]) -> dict[int, Totals]:
    """Program id -> totals, in three queries for any number of programs."""
    programs = list(programs)
    people = {
        row["program"]: row
        for row in Participation.objects.filter(program__in=programs)
        .values("program")
        .annotate(n=Count("pk"), earning=Count("pk", filter=Q(earned_minor__gt=0)), earned=Sum("earned_minor"))
        .order_by()
    }
    credits = Credit.objects.filter(participation__program__in=programs).values("participation__program").order_by()
    activities = dict(credits.annotate(n=Count("object", distinct=True)).values_list("participation__program", "n"))
    below = Earning.objects.filter(participation__program__in=programs, amount_minor__lt=0)
    grouped = below.values("participation__program").order_by().annotate(total=Sum("amount_minor"))
    corrected = dict(grouped.values_list("participation__program", "total"))
    result = {}
    for program in programs:
        row = people.get(program.pk, {"n": 0, "earning": 0, "earned": 0})
        result[program.pk] = Totals(
            participants=row["n"],
            earning=row["earning"],
            activities=activities.get(program.pk, 0),
            earned=Money(row["earned"] or 0, program.currency),
            corrected=Money(corrected.get(program.pk, 0), program.currency),
        )
    return result


def earning_lines(rows: QuerySet[Earning] | None = None) -> QuerySet[Earning]:
    """Earnings with everything a line shows, newest first."""
    rows = Earning.objects.all() if rows is None else rows
    return rows.select_related("participation__program", "participation__participant__team", "object", "version").order_by("-pk")  # fmt: skip


def participant_lines(of: Participation | Participant) -> QuerySet[Earning]:
    """Every posted line of a participation, or of a participant in all programs, newest first: a statement.

    The lines of a participation add up to its `earned_minor`. One query.
    """
    mine = Q(participation=of) if isinstance(of, Participation) else Q(participation__participant=of)
    return earning_lines(Earning.objects.filter(mine))


def program_lines(program: Program) -> QuerySet[Earning]:
    """Every posted line of a program, newest first."""
    return earning_lines(Earning.objects.filter(participation__program=program))


def standings(program: Program, period_start: date) -> QuerySet[Participation]:
    """The participations of a program with `measure`, `target`, `attainment` (hundredths of a per cent), `deals` and
    `period_minor` (earned in the period) of the period that starts on `period_start`; `earned_minor` is of all periods."""
    card = Scorecard.objects.filter(participation=OuterRef("pk"), period_start=period_start)
    figures = {name: Subquery(card.values(name)[:1]) for name in ("measure", "target", "attainment", "deals")}
    rows = Participation.objects.filter(program=program).annotate(
        **figures, period_minor=Subquery(card.values("amount_minor")[:1])
    )
    return rows.select_related("program", "participant__team", "participant__partner")


def top_earners(program: Program, count: int = 5) -> list[Participation]:
    rows = program.participations.filter(earned_minor__gt=0).select_related("program", "participant")
    return list(rows.order_by("-earned_minor", "participant__name", "pk")[:count])


# --- facts near a program --------------------------------------------------------------------------------------------
def facts_near(run: Running, limit: int) -> tuple[list[ObjectState], bool]:
    """Up to `limit` facts whose day may lie in the program, newest first, and whether there are more."""
    states = list(
        ObjectState.objects.filter(run.near()).order_by(F("occurred_at").desc(nulls_last=True), "-pk")[: limit + 1]
    )
    return [state for state in states[:limit] if counts(state)], len(states) > limit


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """Something a person should look at: a fact that earns nothing by a defect, or a participant without target."""

    code: str
    message: str
    participant: Participant | None = None
    object: ObjectState | None = None
    period_start: date | None = None

    @property
    def next_step(self) -> str:
        steps = {
            "no_target": gettext("A program manager sets the target."),
            "no_rate": gettext("An exchange rate for its day is needed; it counts by itself then."),
            "unknown_participant": gettext("Add the person, or give them the id or e-mail address the record names."),
        }
        return steps.get(self.code) or gettext("Correct the record where it comes from; it counts by itself then.")


@dataclass(frozen=True, slots=True)
class Exceptions:
    """`rows` are the first ROWS of `total`. `looked_at` facts were looked at; `cut` says that there are older ones."""

    rows: list[ExceptionRow]
    total: int
    looked_at: int
    cut: bool


def exceptions(program: Program, definition: Definition, *, limit: int = FACTS) -> Exceptions:
    """What the rules call an exception among the newest facts of a program, and people without a target they need.

    Computed anew from the facts as they stand; constant query count.
    """
    run = running_of(program)
    states, cut = facts_near(run, limit)
    known = people_of(states, run.named)
    inputs = inputs_for([run], known)
    found: list[tuple[ObjectState, Reason]] = []
    for state in states:
        for reason in inputs.credits(run, fact_of(state, known)).reasons:
            if reason.exception:
                found.append((state, reason))
    wanted = {known.ids[reason.participant] for _s, reason in found[:ROWS] if reason.participant in known.ids}
    people = Participant.objects.in_bulk(wanted)
    rows = [
        ExceptionRow(reason.code, in_words(reason, known.roster), people.get(known.ids.get(reason.participant)), state)
        for state, reason in found[:ROWS]
    ]
    missing, without = _without_target(program, definition)
    return Exceptions((without + rows)[:ROWS], len(found) + missing, len(states), cut)


def in_words(reason: Reason, roster) -> str:
    """The reason's message with the participant's name where it has the key."""
    person = roster.get(reason.participant)
    if person is None or not person.name:
        return reason.message
    key = re.escape(person.key)
    return re.sub(rf"(?<![\w-]){key}(?![\w-])", lambda _found: person.name, reason.message)


def _without_target(program: Program, definition: Definition) -> tuple[int, list[ExceptionRow]]:
    if not needs_targets(definition):
        return 0, []
    cards = Scorecard.objects.filter(participation__program=program, target__isnull=True, deals__gt=0)
    shown = cards.select_related("participation__participant").order_by(
        "period_start", "participation__participant__name"
    )
    rows = [
        ExceptionRow(
            "no_target",
            f"{card.participation.participant} has no target for the period from {card.period_start}; "
            "what depends on it pays nothing.",
            card.participation.participant,
            None,
            card.period_start,
        )
        for card in shown[:ROWS]
    ]
    return cards.count(), rows


def attainment_ratio(hundredths: int | None) -> Decimal | None:
    """A stored attainment as a ratio for the filter `percent`."""
    return None if hundredths is None else Decimal(hundredths) / 10_000
