"""What the credits of one participant are worth."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from .caps import Caps
from .facts import NOTHING, OVERLAY, Credit, Line, Person, Reason, Scorecard
from .numbers import from_units, units
from .payers import Card, Payer, Words, payers_of
from .periods import clock, period_end, period_start
from .schema import Bands, Definition, Tiers


class Plan:
    """A definition prepared for scoring the participants of one partner tier."""

    def __init__(self, definition: Definition, tier: str | None):
        self.payers: tuple[Payer, ...] = payers_of(definition, tier)
        self.words = Words(definition)
        self.types = [reward.type for reward in definition.rewards]
        self.needs_target = any(
            isinstance(reward, Bands | Tiers) and reward.of == "target" for reward in definition.rewards
        )
        self.periods = frozenset(clock(definition).starts)


@lru_cache(maxsize=1024)
def _plan(definition: Definition, tier: str | None) -> Plan:
    return Plan(definition, tier)


def score(
    definition: Definition, person: Person, targets: Mapping[date, Decimal] = NOTHING, credits: Iterable[Credit] = ()
) -> list[Scorecard]:
    """All scorecards of one participant in one program, by period: one per period with a credit or a target.

    targets: any day of the period -> value in units of the measure (for `amount` in major units of the currency).
    The order of `credits` does not matter and one given twice counts once. ValueError when two credits for one fact
    and role differ, when one belongs to somebody else, or when two targets fall into one period: the caller's mistake.
    """
    plan = _plan(definition, person.partner_tier)
    periods = _by_period(credits, person.key)
    goals = _targets(definition, plan, targets)
    caps = Caps(definition, plan.words)
    cards = []
    for start in sorted({*periods, *goals}):
        cards.append(_scorecard(definition, plan, person, start, periods.get(start, []), goals.get(start), caps))
        caps.next_period()
    return cards


def _by_period(credits: Iterable[Credit], participant: str) -> dict[date, list[Credit]]:
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


def _targets(definition: Definition, plan: Plan, targets: Mapping[date, Decimal]) -> dict[date, Decimal]:
    """Start of period -> target. A target of zero is none; one outside the program is ignored."""
    goals: dict[date, Decimal] = {}
    for day, value in targets.items():
        start = period_start(definition, day)
        if start in goals:
            raise ValueError(f"two targets for the period that starts on {start}")
        if start in plan.periods and value > 0:
            goals[start] = Decimal(value)
    return goals


def _scorecard(
    definition: Definition, plan: Plan, person: Person, start: date, credits: list[Credit], target: Decimal | None,
    caps: Caps,
) -> Scorecard:  # fmt: skip
    measures = [units(credit.measure) for credit in credits]
    total = sum(measures)
    card = Card(credits, measures, total, None if target is None else units(target))
    problems = ()
    if target is None and plan.needs_target and credits:
        problems = (_no_target(person, start),)
    grown = [credit.counted_at for credit, measure in zip(credits, measures, strict=True) if measure > 0]
    return Scorecard(
        participant=person.key,
        period_start=start,
        period_end=period_end(definition, start),
        measure=from_units(total),
        target=target,
        attainment=None if target is None else attainment(from_units(total), target),
        lines=_lines(plan, card, caps),
        reached_at=grown[-1] if grown else None,
        deals=sum(credit.role != OVERLAY for credit in credits),
        problems=problems,
    )


def attainment(measure: Decimal, target: Decimal) -> Decimal:
    """Per cent of the target, two digits."""
    return (measure * 100 / target).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _no_target(person: Person, start: date) -> Reason:
    message = f"{person.name or person.key} has no target for the period from {start}; what depends on it pays nothing."
    return Reason("no_target", message, person.key, exception=True)


def _lines(plan: Plan, card: Card, caps: Caps) -> tuple[Line, ...]:
    """Every payer's lines in the order in which caps cut: by activity, oldest first, then what the period earns."""
    if len(plan.payers) == 1:  # its drafts are in order already
        payer = plan.payers[0]
        drafts = [(payer.index, draft) for draft in payer.drafts(card)]
        return caps.apply(drafts, plan.types)
    place = {credit.fact_id: index for index, credit in enumerate(card.credits)}
    last = len(card.credits)
    drafts = [(payer.index, draft) for payer in plan.payers for draft in payer.drafts(card)]
    drafts.sort(key=lambda item: place.get(item[1].fact_id, last))
    return caps.apply(drafts, plan.types)
