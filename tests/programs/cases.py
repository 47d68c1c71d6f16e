"""Small builders for the tests of the rules. All money in the tests is written as text."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from incentives.programs.rules import (
    Definition,
    Fact,
    Person,
    Scorecard,
    Split,
    credits_for,
    parse_definition,
    rank_standings,
    score,
)

ANA, BO, CY, MAX = "E-1", "E-2", "E-3", "M-1"
ROSTER = {
    ANA: Person(ANA, team="East", manager=MAX, region="North", name="Ana"),
    BO: Person(BO, team="East", manager=MAX, region="South", name="Bo"),
    CY: Person(CY, type="partner", partner="P-1", partner_tier="gold", team="West", name="Cy"),
    MAX: Person(MAX, team="Lead", manager="M-2", name="Max"),
    "M-2": Person("M-2", team="Lead", name="Mia"),
}


def program(*rewards: dict, **parts: Any) -> Definition:
    document = {"name": "Test", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}
    return parse_definition({**document, "rewards": list(rewards) or [{"type": "percent", "rate": "2"}], **parts})


def moment(text: str) -> datetime:
    """2026-03-04 or 2026-03-04T16:20 (UTC)."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def won(id: str, amount: str | None = "1000.00", when: str = "2026-02-01", who: str | None = ANA, **parts: Any) -> Fact:
    values: dict[str, Any] = {
        "kind": "deal.won",
        "currency": "USD",
        "amount": None if amount is None else Decimal(amount),
        "occurred_at": moment(when),
        "participant": who,
        **parts,
    }
    if isinstance(values.get("quantity"), str):
        values["quantity"] = Decimal(values["quantity"])
    return Fact(id=id, **values)


def splits(*parts: tuple[str | None, str]) -> tuple[Split, ...]:
    return tuple(Split(who, Decimal(percentage)) for who, percentage in parts)


def credited(definition: Definition, *facts: Fact, roster: Mapping[str, Person] = ROSTER, rates=None) -> dict:
    """participant -> credits"""
    found: dict[str, list] = {}
    for fact in facts:
        for credit in credits_for(definition, fact, roster, rates or {}).credits:
            found.setdefault(credit.participant, []).append(credit)
    return found


def cards(
    definition: Definition, *facts: Fact, targets: Mapping[date, str] | None = None,
    roster: Mapping[str, Person] = ROSTER, rates=None,
) -> dict[str, list[Scorecard]]:  # fmt: skip
    """participant -> scorecards; everybody has the same targets"""
    goals = {day: Decimal(value) for day, value in (targets or {}).items()}
    found = credited(definition, *facts, roster=roster, rates=rates)
    return {who: score(definition, roster[who], goals, own) for who, own in found.items()}


def amounts(definition: Definition, *facts: Fact, who: str = ANA, **options) -> list[int]:
    """The minor units of every line of one participant, in order."""
    return [line.amount_minor for card in cards(definition, *facts, **options).get(who, []) for line in card.lines]


def explanations(definition: Definition, *facts: Fact, who: str = ANA, **options) -> list[str]:
    return [line.explanation for card in cards(definition, *facts, **options)[who] for line in card.lines]


def standing(definition: Definition, *facts: Fact, roster: Mapping[str, Person] = ROSTER):
    found = cards(definition, *facts, roster=roster)
    (only,) = rank_standings(definition, [card for own in found.values() for card in own], roster)
    return only
