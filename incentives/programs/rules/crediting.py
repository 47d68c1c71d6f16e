"""Whose fact, and what share: from one fact to its credits."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from rewards.money import MINOR_DIGITS

from .conditions import Condition, Group, Test, compiled, explain, getter, tests
from .facts import (
    EXCLUDED,
    INVITED,
    NOTHING,
    OVERLAY,
    OWNER,
    SPLIT,
    Credit,
    CreditResult,
    Enrolment,
    Fact,
    Person,
    Rates,
    Reason,
    Roster,
    Split,
    Stops,
)
from .limits import decimal_text
from .numbers import UNITS, allocate, from_units, half_up, number, units
from .periods import Clock, clock
from .schema import Definition, Milestone, PerDeal

HUNDRED = Decimal(100)
_FULL = 1_000_000  # one hundred per cent in ten-thousandths of a per cent
_WHOLE, _NONE = from_units(_FULL), from_units(0)
SPLIT_TOLERANCE = Decimal("0.1")  # three times 33.33 is meant to be one hundred
_NOBODY = object()


class Refused(Exception):
    """Carries the reason why a fact is credited to nobody."""

    def __init__(self, code: str, message: str, *, exception: bool = False):
        self.reason = Reason(code, message, None, exception)
        super().__init__(message)


class Part(NamedTuple):
    """One recipient's part, before eligibility: the weights of one fact's parts add up to the whole."""

    participant: str | None
    name: str
    role: str
    weight: int


class Plan:
    """A definition prepared for crediting: conditions compiled, periods laid out."""

    def __init__(self, definition: Definition):
        self.definition = definition
        self.clock: Clock = clock(definition)
        self.qualifies = condition_of(definition)
        self.passes = compiled(self.qualifies)
        self.metric = definition.measure.metric
        lines = definition.measure.lines
        self.line_passes = compiled(lines) if lines is not None else None
        self.attribute = getter(self.metric) if self.metric.startswith("attributes.") else None
        self.counts_activities = any(isinstance(reward, PerDeal | Milestone) for reward in definition.rewards)
        self.needs_measure = not all(isinstance(reward, PerDeal | Milestone) for reward in definition.rewards)
        self.scale = 10 ** (4 - MINOR_DIGITS[definition.currency]) if self.metric == "amount" else 1
        self.limits = _limits(definition)
        self.limited = bool(self.limits) or definition.eligible.invited_only


def condition_of(definition: Definition) -> Condition:
    """What the program asks of an activity. Where its condition says nothing about the kind, the kind must be
    `deal.won` (for the metric `value`: `metric.reported`), so that a lost deal never earns by oversight.
    """
    own = definition.qualifies
    if own is not None and any(test.field == "kind" for test in tests(own)):
        return own
    kind = Test("kind", "eq", "metric.reported" if definition.measure.metric == "value" else "deal.won")
    return kind if own is None else Group("all", (kind, own))


@lru_cache(maxsize=512)
def plan_of(definition: Definition) -> Plan:
    return Plan(definition)


def credits_for(
    definition: Definition,
    fact: Fact,
    roster: Roster,
    rates: Rates = NOTHING,
    *,
    enrolment: Enrolment = NOTHING,
    stops: Stops = (),
    words: bool = True,
) -> CreditResult:
    """The credits of `fact` in this program, and in words why others got none.

    enrolment: who is invited to the program or excluded from it by name.
    stops: the times in which a `stop_when_spent` program had run out; facts first received in one do not count.
    words: false leaves the words away where a fact merely does not qualify, which is much faster over many facts.
    """
    plan = plan_of(definition)
    try:
        if not plan.passes(fact, None):
            raise Refused("not_qualified", _why_not(plan, fact) if words else "")
        placed = plan.clock.place(fact)
        if placed is None:
            raise Refused(*_outside(plan, fact), exception=plan.clock.moment(fact) is None)
        if stops and is_stopped(fact.received_at, stops):
            raise Refused("stopped", "The program's budget was spent when this activity was received.")
        whole = _measure(plan, fact, placed[0], rates)
        parts = _parts(plan, fact)
    except Refused as exc:
        return CreditResult((), (exc.reason,))
    return _credited(plan, fact, roster, enrolment, placed, whole, parts)


def is_stopped(received_at: datetime | None, stops: Stops) -> bool:
    """Whether a fact first received then lies in a stop. One whose receipt is not known (a simulation) does not."""
    if received_at is None:
        return False
    return any(start <= received_at and (end is None or received_at < end) for start, end in stops)


def _why_not(plan: Plan, fact: Fact) -> str:
    """The comparisons that speak against the fact, for example `amount is at least 10000: found 900`."""
    failed = [f"{item.text}: found {item.found}" for item in explain(plan.qualifies, fact) if not item.passed]
    return "Does not qualify. " + "; ".join(failed[:5]) + ("; ..." if len(failed) > 5 else "") + "."


def _outside(plan: Plan, fact: Fact) -> tuple[str, str]:
    moment, definition = plan.clock.moment(fact), plan.definition
    if moment is None:
        return "no_close_date", "The program counts by close date and the activity has none."
    day = plan.clock.local_day(moment)
    return (
        "outside_window",
        f"It counts on {day}; the program runs from {definition.starts_on} to {definition.ends_on}.",
    )


# --- how much ----------------------------------------------------------------------------------------------------


def _measure(plan: Plan, fact: Fact, moment: datetime, rates: Rates) -> int:
    """The fact's whole measure in units. For `amount` a multiple of the currency's smallest unit. Raises Refused."""
    if plan.metric == "deals":
        return UNITS
    if plan.metric == "amount":
        found = _amount(plan, fact, moment, rates)
    elif plan.metric == "quantity":
        found = _quantity(plan, fact)
    else:
        found = number(plan.attribute(fact, None) if plan.attribute else fact.value)
    if found is None:
        if plan.needs_measure:
            raise Refused("no_measure", f"The activity has no {_metric_name(plan)}.", exception=True)
        return 0
    measured = _whole_minor(found, plan) if plan.metric == "amount" else units(found)
    if measured < 0 and fact.kind != "metric.reported":
        message = f"The activity's {_metric_name(plan)} is negative ({decimal_text(found)})."
        raise Refused("negative_measure", message, exception=True)
    if measured == 0 and not plan.counts_activities:
        raise Refused(
            "nothing_counts", f"Nothing in this activity adds to the {_metric_name(plan)} the program counts."
        )
    return measured


def _metric_name(plan: Plan) -> str:
    return plan.metric.removeprefix("attributes.").replace("_", " ")


def _whole_minor(amount: Decimal, plan: Plan) -> int:
    """Half up to the currency's smallest unit, in units."""
    return half_up(int(amount.scaleb(12)), 10**8 * plan.scale) * plan.scale


def _amount(plan: Plan, fact: Fact, moment: datetime, rates: Rates) -> Decimal | None:
    if plan.line_passes is None:
        return None if fact.amount is None else _converted(plan, fact.amount, fact.currency, moment, rates)
    total = Decimal(0)
    for line in fact.lines:
        if plan.line_passes(fact, line):
            amount = _line_total(line)
            if amount is None:
                raise Refused("bad_line", f"A product line has no readable total ({_line_name(line)}).", exception=True)
            total += _converted(plan, amount, line.get("currency") or fact.currency, moment, rates)
    return total


def _line_total(line: Mapping[str, Any]) -> Decimal | None:
    if line.get("total") not in (None, ""):
        return number(line["total"])
    quantity, price = number(line.get("quantity")), number(line.get("unit_price"))
    return None if quantity is None or price is None else quantity * price


def _line_name(line: Mapping[str, Any]) -> str:
    return str(line.get("name") or line.get("sku") or line.get("line_id") or "without name")[:60]


def _converted(plan: Plan, amount: Decimal, currency: str | None, moment: datetime, rates: Rates) -> Decimal:
    own = plan.definition.currency
    if currency == own:
        return amount
    if not currency:
        raise Refused("no_currency", "The activity's amount has no currency.", exception=True)
    day = plan.clock.local_day(moment)
    rate = rates.get((currency, day))
    if rate is None:
        raise Refused("no_rate", f"There is no exchange rate from {currency} to {own} for {day}.", exception=True)
    return amount * rate


def _quantity(plan: Plan, fact: Fact) -> Decimal | None:
    """The activity's quantity, else the sum of its lines'; with `measure.lines` the sum of those that match."""
    if plan.line_passes is None:
        if fact.quantity is not None or not fact.lines:
            return fact.quantity
        lines = fact.lines
    else:
        lines = tuple(line for line in fact.lines if plan.line_passes(fact, line))
    total = Decimal(0)
    for line in lines:
        quantity = number(line.get("quantity"))
        if quantity is None:
            raise Refused("bad_line", f"A product line has no readable quantity ({_line_name(line)}).", exception=True)
        total += quantity
    return total


# --- whose -------------------------------------------------------------------------------------------------------


def _parts(plan: Plan, fact: Fact) -> list[Part]:
    """The owner, or the revenue splits with weights that add up to the whole. Raises Refused."""
    splits = [split for split in fact.splits if split.type != OVERLAY] if plan.definition.credit.to == "splits" else []
    if not splits:
        if fact.participant is None and not fact.participant_name:
            raise Refused("no_participant", "The activity names no participant.", exception=True)
        return [Part(fact.participant, fact.participant_name, OWNER, _FULL)]
    merged: dict[Any, Part] = {}
    for split, weight in zip(splits, _weights(splits), strict=True):
        if weight:
            key = split.participant if split.participant is not None else (_NOBODY, split.name)
            before = merged[key].weight if key in merged else 0
            merged[key] = Part(split.participant, split.name, SPLIT, before + weight)
    return sorted(merged.values(), key=lambda part: (-part.weight, part.participant or "", part.name))


def _weights(splits: list[Split]) -> list[int]:
    """Whole-number weights from percentages (which must total 100) or, where those are missing, from amounts."""
    percentages = [split.percentage for split in splits]
    if None not in percentages:
        total = sum(percentages)
        if min(percentages) < 0 or abs(total - HUNDRED) > SPLIT_TOLERANCE:
            message = f"The splits total {decimal_text(total)} per cent instead of 100."
            raise Refused("split_total", message, exception=True)
        return [int(percentage.scaleb(8)) for percentage in percentages]
    amounts = [split.amount for split in splits]
    if None in amounts or min(amounts) < 0 or sum(amounts) <= 0:
        raise Refused("split_total", "Every split needs a percentage, or every one an amount.", exception=True)
    return [int(amount.scaleb(8)) for amount in amounts]


class _Limits(NamedTuple):
    label: str  # how the message calls it
    field: str
    allowed: frozenset


def _limits(definition: Definition) -> tuple[_Limits, ...]:
    rule = definition.eligible
    limits = (
        _Limits("type", "type", frozenset(rule.types)),
        _Limits("team", "team", frozenset(rule.teams)),
        _Limits("partner", "partner", frozenset(rule.partners)),
        _Limits("partner tier", "partner_tier", frozenset(rule.partner_tiers)),
        _Limits("region", "region", frozenset(rule.regions)),
    )
    return tuple(limit for limit in limits if limit.allowed)


def ineligible(definition: Definition, person: Person, enrolment: Enrolment = NOTHING) -> str:
    """Why the person cannot earn in this program, in words; empty when they can.

    Somebody invited by name can, whatever the lists say; somebody excluded cannot.
    """
    state = enrolment.get(person.key)
    if state == INVITED:
        return ""
    if state == EXCLUDED:
        return f"{person.name or person.key} is excluded from the program"
    if definition.eligible.invited_only:
        return f"the program is for invited people, and {person.name or person.key} is not invited"
    for limit in plan_of(definition).limits:
        found = getattr(person, limit.field)
        if found not in limit.allowed:
            allowed = ", ".join(sorted(limit.allowed)[:10])
            return f"the program is for {limit.label} {allowed}, and {person.name or person.key} has {found or 'none'}"
    return ""


def _refusal(
    plan: Plan, roster: Roster, enrolment: Enrolment, key: str | None, name: str, day: date, *, overlay: bool
) -> Reason | None:
    person = roster.get(key) if key is not None else None
    if person is None:
        return _unknown(name or key or "", key)
    if (person.started_on and day < person.started_on) or (person.ended_on and day > person.ended_on):
        return Reason("not_active", f"{person.name or key} was not active on {day}.", key)
    # an overlay goes to who the rules name, so only an exclusion by name keeps them out
    limited = enrolment.get(key) == EXCLUDED if overlay else plan.limited or enrolment
    if limited and (why := ineligible(plan.definition, person, enrolment)):
        return Reason("not_eligible", f"Not eligible: {why}.", key)
    return None


def _unknown(name: str, key: str | None = None) -> Reason:
    message = f"{name or 'Somebody without a name'} is not known here, or not unambiguously."
    return Reason("unknown_participant", message, key, exception=True)


def _credited(
    plan: Plan, fact: Fact, roster: Roster, enrolment: Enrolment, placed: tuple[datetime, date], whole: int,
    parts: list[Part],
) -> CreditResult:  # fmt: skip
    day = plan.clock.local_day(placed[0])
    total, before = from_units(whole), 0
    credits, reasons, base = [], [], []
    for part, measure, share in _shared(plan, whole, parts):
        reason = _refusal(plan, roster, enrolment, part.participant, part.name, day, overlay=False)
        if reason is not None:
            reasons.append(reason)
        elif len(parts) == 1:  # the figures are shared objects, because programs make very many such credits
            credits.append(Credit(fact.id, part.participant, part.role, _WHOLE, _NONE, *placed, total, total))
            base.append((part.participant, measure, share))
        else:
            figures = from_units(share), from_units(before), *placed, from_units(measure), total
            credits.append(Credit(fact.id, part.participant, part.role, *figures))
            base.append((part.participant, measure, share))
        before += share
    for key, measure, share in _overlays(plan, fact, roster, base, whole, reasons):
        reason = _refusal(plan, roster, enrolment, key, "", day, overlay=True)
        if reason is not None:
            reasons.append(reason)
        else:
            figures = from_units(share), _NONE, *placed, from_units(measure), total
            credits.append(Credit(fact.id, key, OVERLAY, *figures))
    return CreditResult(tuple(credits), tuple(reasons))


def _shared(plan: Plan, whole: int, parts: list[Part]) -> list[tuple[Part, int, int]]:
    """Each part with its measure in units and its share in ten-thousandths of a per cent; both add up exactly."""
    if len(parts) == 1:
        return [(parts[0], whole, _FULL)]
    weights = [part.weight for part in parts]
    measures = [measure * plan.scale for measure in allocate(whole // plan.scale, weights)]
    return list(zip(parts, measures, allocate(_FULL, weights), strict=True))


def _overlays(plan: Plan, fact: Fact, roster: Roster, base: list, whole: int, reasons: list) -> list:
    """(participant, measure in units, share) of everybody who gets a share on top, one entry per person."""
    if not base or not (plan.definition.credit.overlays or fact.splits):
        return []
    wanted: dict[str, list[int]] = {}  # participant -> [measure, share], both times one hundred per cent

    def add(key: str, measure: int, share: int, weight: int) -> None:
        found = wanted.setdefault(key, [0, 0])
        found[0] += measure * weight
        found[1] += share * weight

    for overlay in plan.definition.credit.overlays:
        weight = int(overlay.percent.scaleb(4))
        for participant, measure, share in base:
            key = overlay.participant if overlay.to == "participant" else _manager(overlay.to, participant, roster)
            if key is None:
                name = overlay.to.replace("_", " ")
                reasons.append(Reason("no_manager", f"{participant} has no {name} to share with.", participant))
            elif key != participant:
                add(key, measure, share, weight)
    if plan.definition.credit.to == "splits":
        for split in fact.splits:
            if split.type != OVERLAY or not split.percentage:
                continue
            if split.participant is None:
                reasons.append(_unknown(split.name))
            else:
                add(split.participant, whole, _FULL, int(split.percentage.scaleb(4)))
    scale = plan.scale
    return [
        (key, half_up(measure, _FULL * scale) * scale, half_up(share, _FULL))
        for key, (measure, share) in sorted(wanted.items())
    ]


def _manager(to: str, participant: str, roster: Roster) -> str | None:
    manager = roster[participant].manager
    if to == "manager" or manager is None:
        return manager
    above = roster.get(manager)
    return above.manager if above else None
