"""Programs out of which awards may be given: what their definition looks like, and what it allows. Pure functions.

Such a program counts `award.given` facts that carry its code, measures their amount and pays it in full. Its caps are the
limits of giving. A definition that does anything else with awards pays what it says, but nothing is given out of it here.
"""

import secrets
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from incentives.programs.rules.conditions import Group, Test
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.schema import Definition, Percent
from rewards.money import Money

KIND, CODE = "award.given", "attributes.program"


def new_code() -> str:
    return f"award-{secrets.token_hex(5)}"


def document(
    *, name: str, currency: str, starts_on: date, ends_on: date, products="any", delivery: str = "DigitalDelivery",
    time_zone: str = "UTC", period: str = "month", deal_cap: Decimal | None = None, period_cap: Decimal | None = None,
    participant_cap: Decimal | None = None, when: str = "instant", minimum: str = "0", code: str = "",
) -> dict:  # fmt: skip
    """The definition of a spot-award program, caps in major units. Raises DefinitionError."""
    caps = {"deal": deal_cap, "period": period_cap, "participant": participant_cap}
    found = {
        "name": name,
        "template": "spiff",
        "currency": currency,
        "time_zone": time_zone,
        "starts_on": str(starts_on),
        "ends_on": str(ends_on),
        "period": period,
        "qualifies": {"all": [
            {"field": "kind", "op": "eq", "value": KIND},
            {"field": CODE, "op": "eq", "value": code or new_code()},
        ]},
        "measure": {"metric": "amount"},
        "rewards": [{"type": "percent", "rate": "100"}],
        "caps": {key: format(value, "f") for key, value in caps.items() if value is not None},
        "payout": {"when": when, "minimum": minimum},
        "delivery": {"type": delivery, "products": products},
    }  # fmt: skip
    if delivery == "DigitalDelivery":
        found["delivery"]["channel"] = "email"
    parse_definition(found)
    return found


@dataclass(frozen=True, slots=True)
class Limits:
    """What one award, the awards of one period, and all awards of one participant may come to; None is no limit."""

    deal: Money | None
    period: Money | None
    participant: Money | None


def code_of(definition: Definition) -> str:
    """The code that awards of this program carry; empty when nothing may be given out of it."""
    wanted = definition.qualifies
    if not isinstance(wanted, Group) or wanted.word != "all" or not _pays_in_full(definition):
        return ""
    values = {t.field: t.value for t in wanted.items if isinstance(t, Test) and t.op == "eq"}
    plain = set(values) == {"kind", CODE} and len(wanted.items) == 2
    return values[CODE] if plain and values["kind"] == KIND and isinstance(values[CODE], str) else ""


def _pays_in_full(definition: Definition) -> bool:
    rewards, measure = definition.rewards, definition.measure
    one = len(rewards) == 1 and isinstance(rewards[0], Percent) and rewards[0].rate == 100
    factors = {**definition.partner_multipliers, **(rewards[0].partner_multipliers or {})} if one else {}
    whole = measure.metric == "amount" and measure.lines is None
    return one and whole and not factors and not definition.credit.overlays and definition.stacking is None


def limits_of(definition: Definition) -> Limits:
    caps = definition.caps
    found = (
        None if cap is None else Money.from_decimal(cap, definition.currency)
        for cap in (caps.deal, caps.period, caps.participant)
    )  # fmt: skip
    return Limits(*found)
