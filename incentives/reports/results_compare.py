"""Before, during and after: what the same people won in equally long times, by the program's own conditions.

The rule, as the page states it: of everybody who was credited in the program, the activities that meet the conditions of the
version that governs now, moved to the days of each window; each activity once, with its whole amount, whoever shares it. What
was won before a connection went live counts here, though it never earns. Nothing says that the program caused a difference.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import F, Q

from incentives.crm.models import ObjectState
from incentives.earnings.facts import fact_of, people_in
from incentives.earnings.models import Credit
from incentives.earnings.running import MARGIN
from incentives.ledger.rates import RateTable
from incentives.participants.models import Participant
from incentives.programs.models import Program
from incentives.programs.rules.crediting import credits_for
from incentives.programs.rules.parsing import DefinitionError
from incentives.programs.rules.periods import clock
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.whatif import moved
from incentives.simulations.inputs import enrolled
from rewards.money import Money

FACTS = 20_000
"""So many activities, newest first, are looked at per window."""
BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(slots=True)
class Window:
    """What the people won from `first` to `last`. `whole` is false while its last day has not passed."""

    name: str
    first: date
    last: date
    whole: bool
    won: Money
    activities: int = 0
    people: int = 0
    unpriced: int = 0
    cut: bool = False

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(slots=True)
class Comparison:
    people: int
    length: int
    windows: list[Window]

    def change(self, window: Window) -> Decimal | None:
        """Against the time before, as a ratio; None where nothing was won then or the window is not whole."""
        before = self.windows[0].won.minor
        return (
            Decimal(window.won.minor - before) / before if before and window.whole and window.name != BEFORE else None
        )


def compare(program: Program, definition: Definition, today: date) -> Comparison | None:
    """None while the program has not begun, nobody was credited, or its conditions cannot be put on other days."""
    credited = Credit.objects.filter(participation__program=program).values("participation__participant")
    rows = list(Participant.objects.filter(pk__in=credited).select_related("team", "partner"))
    if today < definition.starts_on or not rows:
        return None
    people = people_in(rows)
    enrolment = enrolled(program, people)
    windows = []
    for name, first, last, until in spans(definition.starts_on, definition.ends_on, today):
        try:
            here = moved(definition, first, last)
        except DefinitionError:
            return None
        window = Window(name, first, until, until == last, Money(0, program.currency))
        _fill(window, here, people, enrolment, credited)
        windows.append(window)
    return Comparison(len(rows), windows[1].days, windows)


def spans(starts_on: date, ends_on: date, today: date) -> list[tuple[str, date, date, date]]:
    """(name, first day, last day, last day that has begun) of windows of one length: of the program, or as long as it has
    run by now. The one after the end is added once it has begun."""
    end = min(ends_on, today)
    length = end - starts_on + timedelta(days=1)
    found = [(BEFORE, starts_on - length, starts_on - timedelta(days=1), starts_on - timedelta(days=1))]
    found.append((DURING, starts_on, end, end))
    if today > ends_on:
        found.append((AFTER, ends_on + timedelta(days=1), ends_on + length, min(ends_on + length, today)))
    return found


def _fill(window: Window, definition: Definition, people, enrolment, credited) -> None:
    rates, local = RateTable().to(definition.currency), clock(definition)
    won, active = Decimal(0), set()
    facts, window.cut = _facts(window, credited)
    for state in facts:
        fact = fact_of(state, people)
        credits, _reasons = credits_for(definition, fact, people.roster, rates, enrolment=enrolment, words=False)
        if not credits:
            continue
        window.activities += 1
        active.update(credit.participant for credit in credits)
        if fact.amount is None:
            continue
        day = local.local_day(credits[0].counted_at)
        rate = Decimal(1) if fact.currency == definition.currency else rates.get((fact.currency, day))
        if rate is None:
            window.unpriced += 1
        else:
            won += fact.amount * rate
    window.people, window.won = len(active), Money.from_decimal(won, definition.currency)


def _facts(window: Window, credited) -> tuple[list[ObjectState], bool]:
    """Activities that may concern the people, near the window's days; the rules decide."""
    first, last = window.first - MARGIN, window.last + MARGIN
    near = Q(occurred_at__date__range=(first, last)) | Q(close_date__range=(first, last))
    theirs = Q(participant__in=credited) | ~Q(splits=[])
    rows = ObjectState.objects.filter(near, theirs, occurred_at__isnull=False).exclude(kind="")
    rows = rows.exclude(state=ObjectState.State.PENDING).order_by(F("occurred_at").desc(), "-pk")
    found = list(rows[: FACTS + 1])
    return found[:FACTS], len(found) > FACTS
