"""Strict JSON: decimals instead of floats, no duplicate keys, no NaN, bounded depth, text every database can store.

Source: crm-connectors 1.6 and 12.
"""

import hashlib
import json
from decimal import Decimal

from incentives.crm.errors import MalformedEvent

MAX_DEPTH = 12


def _pairs(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        seen = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise MalformedEvent("body", "every key once per object", twice)
    return members


def _constant(name):
    raise MalformedEvent("body", "finite numbers", name)


_decoder = json.JSONDecoder(parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_pairs)


def _check(value, depth=0):
    if depth > MAX_DEPTH:
        raise MalformedEvent("body", f"at most {MAX_DEPTH} levels of nesting")
    if isinstance(value, str):
        check_text(value, "body")
    elif isinstance(value, dict):
        for key, member in value.items():
            check_text(key, "body")
            _check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth + 1)


def check_text(text: str, field: str) -> None:
    """Refuse what a database cannot keep: NUL and lone surrogates."""
    if "\x00" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        raise MalformedEvent(field, "text without NUL characters and in valid Unicode")


def loads(body: bytes | str):
    """Parse. Raises MalformedEvent with what is wrong."""
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedEvent("body", "UTF-8 text") from exc
    try:
        value = _decoder.decode(text.lstrip("\ufeff"))
    except MalformedEvent:
        raise
    except json.JSONDecodeError as exc:
        raise MalformedEvent("body", f"valid JSON ({exc.msg} at line {exc.lineno}, column {exc.colno})") from exc
    except RecursionError as exc:
        raise MalformedEvent("body", f"at most {MAX_DEPTH} levels of nesting") from exc
    except ValueError as exc:  # an integer of thousands of digits
        raise MalformedEvent("body", "numbers of reasonable length") from exc
    _check(value)
    return value


def _default(value):
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(type(value))


def plain(number: Decimal) -> str:
    """One text per value: 12500.00 and 12500 both give '12500'."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def dumps(value) -> str:
    """Canonical JSON: sorted keys, no spaces, decimals as plain text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_default)


def content_hash(event: dict) -> str:
    """SHA-256 of the normalised content."""
    return hashlib.sha256(dumps(event).encode()).hexdigest()
