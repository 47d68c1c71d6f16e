"""What the credits of one participant are worth."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from .caps import Caps
from .facts import NOTHING, OVERLAY, Credit, Line, Person, Reason, Scorecard
from .numbers import from_units, units
from .payers import Card, Draft, Payer, Words, payers_of
from .periods import clock, period_end, period_start
from .schema import Definition


class Plan:
    """A definition prepared for scoring the participants of one partner tier."""

    def __init__(self, definition: Definition, tier: str | None):
        self.payers: tuple[Payer, ...] = payers_of(definition, tier)
        self.words = Words(definition)
        self.needs_target = any(payer.of_target for payer in self.payers)
        self.periods = frozenset(clock(definition).starts)


@lru_cache(maxsize=1024)
def plan_of(definition: Definition, tier: str | None) -> Plan:
    return Plan(definition, tier)


def score(
    definition: Definition, person: Person, targets: Mapping[date, Decimal] = NOTHING, credits: Iterable[Credit] = ()
) -> list[Scorecard]:
    """All scorecards of one participant in one program, by period: one per period with a credit or a target.

    targets: any day of the period -> value in units of the measure (for `amount` in major units of the currency).
    The order of `credits` does not matter and one given twice counts once. ValueError when two credits for one fact
    and role differ, when one belongs to somebody else, or when two targets fall into one period: the caller's mistake.
    """
    plan = plan_of(definition, person.partner_tier)
    periods = by_period(credits, person.key)
    goals = targets_by_period(definition, targets)
    caps = Caps(definition, plan.words)
    cards = []
    for start in sorted({*periods, *goals}):
        own, target = periods.get(start, []), goals.get(start)
        if own or start in plan.periods:
            card = card_of(own, target)
            missing = plan.needs_target and target is None
            cards.append(scorecard(definition, person, start, card, target, caps.apply(drafts_of(plan, card)), missing))
        caps.next_period()
    return cards


def by_period(credits: Iterable[Credit], participant: str) -> dict[date, list[Credit]]:
    """The credits of every period, oldest first; an activity's own share before its overlay."""
    seen: dict[tuple[str, bool], Credit] = {}
    periods: dict[date, list[Credit]] = {}
    for credit in credits:
        key = (credit.fact_id, credit.role == OVERLAY)
        known = seen.get(key)
        if known is None:
            if credit.participant != participant:
                raise ValueError(f"a credit of {credit.participant} among those of {participant}")
            seen[key] = credit
            periods.setdefault(credit.period_start, []).append(credit)
        elif known != credit:
            raise ValueError(f"two different credits for {credit.fact_id} and {participant}")
    for found in periods.values():
        found.sort(key=lambda credit: (credit.counted_at, credit.fact_id, credit.role == OVERLAY))
    return periods


def targets_by_period(definition: Definition, targets: Mapping[date, Decimal]) -> dict[date, Decimal]:
    """Start of period -> target. A target of zero is none."""
    goals: dict[date, Decimal] = {}
    for day, value in targets.items():
        start = period_start(definition, day)
        if start in goals:
            raise ValueError(f"two targets for the period that starts on {start}")
        goals[start] = Decimal(value)
    return {start: value for start, value in goals.items() if value > 0}


def card_of(credits: list[Credit], target: Decimal | None) -> Card:
    measures = [units(credit.measure) for credit in credits]
    return Card(credits, measures, sum(measures), None if target is None else units(target))


def scorecard(
    definition: Definition, person: Person, start: date, card: Card, target: Decimal | None, lines: tuple[Line, ...],
    missing: bool,
) -> Scorecard:  # fmt: skip
    """`missing`: a reward needs a target, and there is none."""
    grown = [credit.counted_at for credit, measure in zip(card.credits, card.measures, strict=True) if measure > 0]
    return Scorecard(
        participant=person.key,
        period_start=start,
        period_end=period_end(definition, start),
        measure=from_units(card.total),
        target=target,
        attainment=None if target is None else attainment(from_units(card.total), target),
        lines=lines,
        reached_at=grown[-1] if grown else None,
        deals=sum(credit.role != OVERLAY for credit in card.credits),
        problems=(_no_target(person, start),) if missing and card.credits else (),
    )


def attainment(measure: Decimal, target: Decimal) -> Decimal:
    """Per cent of the target, two digits."""
    return (measure * 100 / target).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _no_target(person: Person, start: date) -> Reason:
    message = f"{person.name or person.key} has no target for the period from {start}; what depends on it pays nothing."
    return Reason("no_target", message, person.key, exception=True)


def drafts_of(plan: Plan, card: Card) -> list[tuple[Payer, Draft, None]]:
    """Every payer's drafts in the order in which caps cut."""
    drafts = [(payer, draft, None) for payer in plan.payers for draft in payer.drafts(card)]
    return drafts if len(plan.payers) == 1 else in_order(drafts, card)  # those of one payer are in order already


def in_order(drafts: list, card: Card) -> list:
    """By activity, oldest first, then what the period earns; about one activity in the order of the rewards."""
    place = {credit.fact_id: index for index, credit in enumerate(card.credits)}
    last = len(card.credits)
    return sorted(drafts, key=lambda item: (place.get(item[1].fact_id, last), item[0].index))
