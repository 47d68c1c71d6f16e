"""The generic event: from what no-code tools and customers' systems send to one canonical form (crm-connectors 3.1).

Pure functions, no database. The canonical form uses the keys of the public format, so normalising it again changes
nothing; amounts are plain decimal text with at most four digits after the point.
"""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

from incentives.core.fields import ScaledDecimalField
from incentives.crm.errors import MalformedEvent
from incentives.crm.jsonio import plain

DEAL_STATES = {"deal.won": "won", "deal.reopened": "open", "deal.lost": "lost", "deal.deleted": "deleted"}
KINDS = (*DEAL_STATES, "deal.updated", "metric.reported", "claim.submitted")
AWARD_STATES = {"award.given": "given", "award.cancelled": "deleted"}
INTERNAL_KINDS = tuple(AWARD_STATES)
"""Kinds that Laurel alone writes, from records of its own: refused whatever door they come through."""
STATES = ("open", "won", "lost", "deleted")
MAX_LINES, MAX_SPLITS, MAX_ATTRIBUTES, MAX_TEXT = 500, 50, 100, 2000

_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{0,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_STEP = Decimal("0.0001")
_IDENTITY = ("external_user_id", "email", "employee_number", "federation_id", "public_id")
_LINE_NUMBERS = ("quantity", "unit_price", "total")
_METRIC = {"metric", "value", "period_start", "period_end", "mode"}
_KNOWN = {
    "external_id", "kind", "type", "stage", "state", "occurred_at", "participant", "amount", "currency", "quantity",
    "object", "account", "partner", "lines", "splits", "attributes", "region", "territory", "close_date", "metric",
    "value", "period_start", "period_end", "mode", "evidence", "participant_email", "participant_id",
    "participant_name", "participant_employee_number", "account_id", "account_name", "product_sku", "object_id",
    "object_type", "object_version",
}  # fmt: skip


def number(value, field: str) -> str | None:
    """A plain decimal text with at most four digits after the point, rounded half up; None when absent.

    Raises MalformedEvent for anything that is not plainly one number: NaN, `1.234,50`, or beyond 14 digits.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        raise MalformedEvent(field, "a number such as 12500.00", value)
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise MalformedEvent(field, "a number such as 12500.00 (a point before the decimals, no separators)", value)
    exact = Decimal(text)
    if exact.adjusted() > 20 or abs(exact) > ScaledDecimalField.LIMIT:
        raise MalformedEvent(field, f"a number up to {ScaledDecimalField.LIMIT}", value)
    if exact.as_tuple().exponent < -4:
        exact = exact.quantize(_STEP, rounding=ROUND_HALF_UP)
    return plain(exact) if exact else "0"


def text(value, field: str, limit: int = 255) -> str:
    """A trimmed text; ids may come as whole numbers. Empty when absent."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise MalformedEvent(field, "a text", value)
    found = str(value).strip()
    if len(found) > limit:
        raise MalformedEvent(field, f"at most {limit} characters", f"{len(found)} characters")
    return found


def moment(value, field: str) -> str:
    """An ISO 8601 moment with its offset, as UTC text with microseconds; empty when absent."""
    found = text(value, field, 64)
    if not found:
        return ""
    try:
        at = datetime.fromisoformat(found)
        if at.tzinfo is None:
            raise ValueError("no offset")
        return at.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError) as exc:
        raise MalformedEvent(field, "a moment with its offset such as 2026-03-04T16:20:00+01:00", found) from exc


def day(value, field: str) -> str:
    """An ISO date; of a moment, its date as written. Empty when absent."""
    found = text(value, field, 64)
    if not found:
        return ""
    try:
        return (date if len(found) == 10 else datetime).fromisoformat(found).strftime("%Y-%m-%d")
    except ValueError as exc:
        raise MalformedEvent(field, "a date such as 2026-03-04", found) from exc


def _mapping(value, field: str) -> dict:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise MalformedEvent(field, "an object", type(value).__name__)
    return value


def _list(value, field: str, limit: int) -> list:
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise MalformedEvent(field, "a list", type(value).__name__)
    if len(value) > limit:
        raise MalformedEvent(field, f"at most {limit} entries", len(value))
    return value


def _filled(members: dict) -> dict:
    return {key: value for key, value in members.items() if value not in ("", None, [], {})}


def _texts(value, field: str) -> dict:
    """An object of texts such as account; members that are not plain values are refused."""
    return _filled({str(k)[:100]: text(v, f"{field}.{k}", 500) for k, v in _mapping(value, field).items()})


def identity(value, field: str) -> dict:
    """Who, as the source states it. A bare text is an e-mail address or an external user id. The name is never kept."""
    if isinstance(value, str):
        value = {"email" if "@" in value else "external_user_id": value}
    members = _mapping(value, field)
    found = _filled({key: text(members.get(key), f"{field}.{key}") for key in _IDENTITY})
    if "email" in found:
        found["email"] = found["email"].lower()
    return found


def _line(value, field: str) -> dict:
    line = {}
    for key, member in _mapping(value, field).items():
        if key in _LINE_NUMBERS:
            line[key] = number(member, f"{field}.{key}")
        elif key == "service_date":
            line[key] = day(member, f"{field}.{key}")
        elif key == "currency":
            line[key] = text(member, f"{field}.{key}", 8).upper()
        else:
            line[str(key)[:100]] = _attribute(member, f"{field}.{key}")
    return _filled(line)


def _split(value, field: str) -> dict:
    members = _mapping(value, field)
    split = {
        "participant": identity(members.get("participant"), f"{field}.participant"),
        "percentage": number(members.get("percentage"), f"{field}.percentage"),
        "amount": number(members.get("amount"), f"{field}.amount"),
        "type": text(members.get("type"), f"{field}.type", 20) or "revenue",
    }
    if split["type"] not in {"revenue", "overlay"}:
        raise MalformedEvent(f"{field}.type", "revenue or overlay", split["type"])
    if split["percentage"] is None and split["amount"] is None:
        raise MalformedEvent(f"{field}.percentage", "a percentage from 0 to 100, or an amount")
    if split["percentage"] is not None and not 0 <= Decimal(split["percentage"]) <= 100:
        raise MalformedEvent(f"{field}.percentage", "a percentage from 0 to 100", split["percentage"])
    return _filled(split)


def _attribute(value, field: str):
    """JSON as given, decimals as exact text, `"true"` and `"false"` as booleans (no-code tools send texts)."""
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise MalformedEvent(field, f"at most {MAX_TEXT} characters", f"{len(value)} characters")
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if isinstance(value, Decimal):
        return number(value, field)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**15:
        return str(value)[:MAX_TEXT]
    if isinstance(value, dict):
        return {str(k)[:100]: _attribute(v, f"{field}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_attribute(v, field) for v in value]
    return value


def _attributes(event: dict, kind: str) -> dict:
    known = _KNOWN if kind in ("", "metric.reported") else _KNOWN - _METRIC  # a deal may have a field called value
    given = {**{k: v for k, v in event.items() if k not in known}, **_mapping(event.get("attributes"), "attributes")}
    if len(given) > MAX_ATTRIBUTES:
        raise MalformedEvent("attributes", f"at most {MAX_ATTRIBUTES} keys", len(given))
    return _filled({str(k)[:100]: _attribute(v, f"attributes.{k}") for k, v in given.items()})


def _unflatten(event: dict) -> dict:
    """Give the flat aliases of no-code tools their place in the nested form; what is nested already wins."""
    event = dict(event)
    person = identity(event.get("participant"), "participant")
    for alias, key in (
        ("participant_email", "email"),
        ("participant_id", "external_user_id"),
        ("participant_employee_number", "employee_number"),
    ):
        if event.get(alias) not in (None, ""):
            person.setdefault(key, event[alias])
    event["participant"] = person
    account = dict(_mapping(event.get("account"), "account"))
    thing = dict(_mapping(event.get("object"), "object"))
    for target, name in ((account, "account"), (thing, "object")):
        for key in ("id", "name", "type", "version"):
            if f"{name}_{key}" in _KNOWN and event.get(f"{name}_{key}") not in (None, ""):
                target.setdefault(key, event[f"{name}_{key}"])
    event["account"], event["object"] = account, thing
    if event.get("product_sku") not in (None, "") and not event.get("lines"):
        event["lines"] = [
            {"sku": event["product_sku"], "quantity": event.get("quantity"), "total": event.get("amount")}
        ]
    return event


def _object(event: dict, kind: str, external_id: str) -> dict:
    thing = _mapping(event.get("object"), "object")
    found = {
        "type": text(thing.get("type"), "object.type", 64) or ("deal" if thing.get("id") not in (None, "") else ""),
        "id": text(thing.get("id"), "object.id"),
        "version": text(thing.get("version"), "object.version", 128),
    }
    if kind == "claim.submitted":  # a claim is a record of its own, whatever deal it names
        found.update(type="claim", id=external_id)
    elif not found["id"] and kind != "metric.reported":
        found.update(type="event", id=external_id)
    return _filled(found)


def _metric(event: dict) -> dict:
    found = {
        "metric": text(event.get("metric"), "metric", 100),
        "value": number(event.get("value"), "value"),
        "period_start": day(event.get("period_start"), "period_start"),
        "period_end": day(event.get("period_end"), "period_end"),
        "mode": text(event.get("mode"), "mode", 10),
    }
    # Without a mode: a figure for a period replaces what that period reported, one without a period stands by itself.
    found["mode"] = found["mode"] or ("set" if found["period_start"] else "add")
    if not found["metric"]:
        raise MalformedEvent("metric", "the name of the metric, such as units_sold")
    if found["value"] is None:
        raise MalformedEvent("value", "a number such as 42")
    if found["mode"] not in {"set", "add"}:
        raise MalformedEvent("mode", "set or add", found["mode"])
    if found["mode"] == "set" and not found["period_start"]:
        raise MalformedEvent("period_start", "the first day of the period that this value replaces")
    if found["period_end"] and found["period_end"] < found["period_start"]:
        raise MalformedEvent("period_end", "a day not before period_start", found["period_end"])
    return found


def _kind(event: dict, internal: bool) -> str:
    kind = text(event.get("kind"), "kind", 40)
    if kind and kind not in KINDS and not (internal and kind in INTERNAL_KINDS):
        raise MalformedEvent("kind", "one of " + ", ".join(KINDS), kind)
    if not kind and not event.get("type") and not event.get("stage") and not event.get("state"):
        raise MalformedEvent("kind", "one of " + ", ".join(KINDS))
    return kind


def _state(event: dict) -> str:
    state = text(event.get("state"), "state", 20).lower()
    if state and state not in STATES:
        raise MalformedEvent("state", "open, won, lost or deleted", state)
    return state


def normalise(event: dict, *, require_time: bool = True, internal: bool = False) -> dict:
    """The canonical form of one event; absent members are left out.

    Raises MalformedEvent naming the field, what was found and what was expected. `require_time` False: a file row may
    have no moment (it is then the moment of receipt). `internal`: Laurel itself states it (INTERNAL_KINDS).
    """
    if not isinstance(event, dict):
        raise MalformedEvent("event", "a JSON object", type(event).__name__)
    event = _unflatten(event)
    external_id = text(event.get("external_id"), "external_id")
    if not external_id:
        raise MalformedEvent("external_id", "the id that you give this fact, the same on every repetition")
    kind, occurred_at = _kind(event, internal), moment(event.get("occurred_at"), "occurred_at")
    if require_time and not occurred_at:
        raise MalformedEvent("occurred_at", "a moment with its offset such as 2026-03-04T16:20:00+01:00")
    canonical = {
        "external_id": external_id,
        "kind": kind,
        "type": text(event.get("type"), "type"),
        "stage": text(event.get("stage"), "stage", 100),
        "state": _state(event),
        "occurred_at": occurred_at,
        "object": _object(event, kind, external_id),
        "participant": identity(event["participant"], "participant"),
        **_values(event, kind),
    }
    if kind == "claim.submitted" and event["object"].get("type") != "claim":
        canonical["attributes"].update({f"object_{k}": str(v)[:255] for k, v in event["object"].items()})
    if kind == "metric.reported":
        canonical.update(_metric(event))
    elif not kind:  # decided later by the connection's type map: kept, and checked then
        canonical.update({key: _attribute(event[key], key) for key in _METRIC if key in event})
    return _filled(canonical)


def _values(event: dict, kind: str) -> dict:
    return {
        "amount": number(event.get("amount"), "amount"),
        "currency": text(event.get("currency"), "currency", 8).upper(),
        "quantity": number(event.get("quantity"), "quantity"),
        "close_date": day(event.get("close_date"), "close_date"),
        "account": _texts(event.get("account"), "account"),
        "partner": _texts(event.get("partner"), "partner"),
        "region": text(event.get("region") or event.get("territory"), "region", 100),
        "lines": [_line(v, f"lines[{n}]") for n, v in enumerate(_list(event.get("lines"), "lines", MAX_LINES))],
        "splits": [_split(v, f"splits[{n}]") for n, v in enumerate(_list(event.get("splits"), "splits", MAX_SPLITS))],
        "attributes": _attributes(event, kind),
        "evidence": [text(v, "evidence", 500) for v in _list(event.get("evidence"), "evidence", 50)],
    }


def sortable_version(version: str) -> str:
    """A text that sorts as the version means: moments by time, whole numbers by value, the rest as text."""
    if version.isascii() and version.isdigit():
        return f"n:{int(version):030d}" if len(version) <= 30 else f"s:{version}"
    try:
        at = datetime.fromisoformat(version)
    except ValueError:
        return f"s:{version}"
    return "t:" + (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="microseconds")
