"""The generic event of crm-connectors.md 3.1, read into a Fact: flat aliases, numbers as text, empty text is absent."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from .facts import OVERLAY, Fact, Split
from .limits import one_of, shown
from .numbers import number
from .parsing import Problem

KINDS = (
    "deal.won", "deal.updated", "deal.reopened", "deal.lost", "deal.deleted", "metric.reported", "claim.submitted",
)  # fmt: skip
LIMIT = Decimal("99999999999999.9999")
_EMPTY: dict = {}
_KNOWN = frozenset(
    "external_id kind occurred_at participant participant_email participant_id participant_name amount currency"
    " quantity object object_type object_id object_version account account_id account_name partner partner_id"
    " partner_name lines product_sku splits attributes metric value period_start period_end mode close_date region"
    " territory evidence previous received_at".split()
)
Resolve = Callable[[Mapping[str, Any]], str | None]


class EventError(ValueError):
    """One field of an event is wrong. `problem` has the path, what was found and what was expected."""

    def __init__(self, path: str, found: Any, expected: str):
        self.problem = Problem(path, shown(found), expected)
        super().__init__(str(self.problem))


class Event(NamedTuple):
    """A fact as one event states it, and what folding events into the object's present state needs."""

    fact: Fact
    mode: str  # of metric.reported: set or add
    period: tuple[date | None, date | None]


def parse_event(data: Any, resolve: Resolve) -> Event:
    """`resolve` turns `{"external_user_id", "email", ...}` into a participant key, or None. Raises EventError."""
    if not isinstance(data, dict):
        raise EventError("", data, "one JSON object")
    kind = data.get("kind")
    if kind not in KINDS:
        raise EventError("kind", kind, "one of " + ", ".join(KINDS) + one_of(kind, KINDS))
    external_id = _text(data, "external_id", required=True)
    who = _participant(data)
    given = _object(data)
    fact = Fact(
        id=external_id,
        external_id=external_id,
        kind=kind,
        occurred_at=moment(data.get("occurred_at"), "occurred_at"),
        close_date=_close_date(data),
        participant=resolve(who) if who else None,
        participant_name=_named(who),
        amount=_decimal(data, "amount"),
        currency=_currency(data),
        quantity=_decimal(data, "quantity"),
        lines=_lines(data),
        splits=_splits(data, resolve),
        account=_aliased(data, "account"),
        partner=_aliased(data, "partner"),
        region=_text(data, "region") or _text(data, "territory"),
        attributes=_attributes(data),
        metric=_text(data, "metric", required=kind == "metric.reported"),
        value=_decimal(data, "value", required=kind == "metric.reported"),
        object_type=_text(given, "type"),
        object_id=_text(given, "id"),
        version=_text(given, "version"),
    )
    return Event(fact, _mode(data), (_day(data, "period_start"), _day(data, "period_end")))


def _text(data: Mapping[str, Any], key: str, *, required: bool = False) -> str | None:
    value = data.get(key)
    if isinstance(value, str):
        value = value.strip()
        if len(value) > 255:
            raise EventError(key, value, "at most 255 characters")
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    elif value is not None:
        raise EventError(key, value, "text")
    if not value and required:
        raise EventError(key, None, "text that is not empty")
    return value or None


def _decimal(data: Mapping[str, Any], key: str, parent: str = "", index: int = 0, *, required: bool = False):
    """The number under `key`, or None where it is absent. `parent` and `index` say in which list `data` stands."""
    value = data.get(key)
    if value is None or value == "":
        if not required:
            return None
        raise EventError(key, None, "a number")
    found = number(value)
    if found is None or abs(found) > LIMIT:
        wanted = "a number such as 12500.00" if found is None else f"a number from -{LIMIT} to {LIMIT}"
        raise EventError(f"{parent}[{index}].{key}" if parent else key, value, wanted)
    return found


def moment(value: Any, path: str) -> datetime:
    """An ISO 8601 moment with its offset."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and len(value) > 10 else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise EventError(path, value, 'a moment with its offset, such as "2026-03-04T16:20:00+01:00"')
    return found


def day(value: Any, path: str) -> date:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) and len(value) >= 10 else date.fromisoformat("")
    except ValueError:
        raise EventError(path, value, 'a day such as "2026-07-01"') from None


def _day(data: Mapping[str, Any], key: str) -> date | None:
    value = data.get(key)
    return None if value is None or value == "" else day(value, key)


def _close_date(data: dict) -> date | None:
    attributes = data.get("attributes")
    found = _day(data, "close_date")
    if found is None and isinstance(attributes, dict):
        found = _day(attributes, "close_date")
    return found if found is not None else _day(data, "period_end")


def _currency(data: Mapping[str, Any]) -> str | None:
    value = _text(data, "currency")
    if value is not None and not (len(value) == 3 and value.isascii() and value.isalpha()):
        raise EventError("currency", value, "an ISO 4217 code such as USD")
    return value and value.upper()


def _mode(data: dict) -> str:
    """As the connectors read it: without a mode, a figure for a period replaces, one without a period adds."""
    value = data.get("mode") or ("set" if data.get("period_start") else "add")
    if value not in ("set", "add"):
        raise EventError("mode", value, 'set or add')  # fmt: skip
    return value


def _mapping(data: Mapping[str, Any], key: str) -> dict:
    value = data.get(key)
    if value is None or value == "":
        return _EMPTY
    if not isinstance(value, dict):
        raise EventError(key, value, "an object")
    return value


def _participant(data: dict) -> Mapping[str, Any]:
    value = data.get("participant")
    if isinstance(value, str) and value.strip():
        return {"email" if "@" in value else "external_user_id": value}
    who = _mapping(data, "participant")
    if data.get("participant_email") or data.get("participant_id"):
        who = {"email": data.get("participant_email"), "external_user_id": data.get("participant_id"), **who}
    return who


def _named(who: Mapping[str, Any]) -> str:
    """Whom the source means, for a message."""
    return next((str(who[key])[:100] for key in ("name", "external_user_id", "email") if who.get(key)), "")


def _object(data: dict) -> Mapping[str, Any]:
    given = _mapping(data, "object")
    if not given and data.get("object_id"):
        return {key: data.get(f"object_{key}") for key in ("type", "id", "version")}
    return given


def _aliased(data: dict, key: str) -> Mapping[str, Any]:
    found = _mapping(data, key)
    for name in ("id", "name"):
        value = data.get(f"{key}_{name}")
        if value not in (None, "") and name not in found:
            found = {**found, name: value}
    return found


def _attributes(data: dict) -> Mapping[str, Any]:
    extra = data.keys() - _KNOWN
    found = _mapping(data, "attributes")
    return {**{key: data[key] for key in extra}, **found} if extra else found


def _items(data: dict, key: str) -> list[dict]:
    value = data.get(key)
    if value is None or value == "":
        return []
    if not isinstance(value, list) or len(value) > 1000 or not all(isinstance(item, dict) for item in value):
        raise EventError(key, value, "a list of at most 1000 objects")
    return value


def _lines(data: dict) -> tuple[Mapping[str, Any], ...]:
    lines = _items(data, "lines")
    for index, line in enumerate(lines):
        for key in ("quantity", "unit_price", "total"):
            if key in line:
                _decimal(line, key, "lines", index)
    if not lines and data.get("product_sku"):
        return ({"sku": data["product_sku"], "quantity": data.get("quantity"), "total": data.get("amount")},)
    return tuple(lines)


def _splits(data: dict, resolve: Resolve) -> tuple[Split, ...]:
    splits = []
    for index, item in enumerate(_items(data, "splits")):
        who = _participant(item)
        if not who:
            raise EventError(f"splits[{index}].participant", None, "a participant")
        percentage = _decimal(item, "percentage", "splits", index)
        amount = _decimal(item, "amount", "splits", index)
        kind = OVERLAY if item.get("type") == OVERLAY else "revenue"
        splits.append(Split(resolve(who), percentage, amount, kind, _named(who)))
    return tuple(splits)
