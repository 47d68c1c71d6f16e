"""How large a definition may be, and how a value is refused."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from pydantic_core import PydanticCustomError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64  # of the JSON document; conditions have their own, lower limit
MAX_VALUES = 20_000
MAX_CONDITION_DEPTH = 20
MAX_CONDITION_NODES = 500
MAX_DAYS = 20 * 366
MAX_MAJOR = Decimal(1_000_000_000)
MAX_LEVEL = Decimal(10_000_000_000_000)
MAX_PERCENT = Decimal(1000)
MAX_PROBLEMS = 50
HUGE = 10**18  # a whole number that nothing in a definition reaches
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
TEXT_DECIMAL = re.compile(r"^-?[0-9]{1,15}(\.[0-9]{1,12})?$", re.ASCII)


def decimal_text(value: Decimal) -> str:
    """Plain digits without trailing zeros: 100, 2.5, never 1E+2."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def is_plain(text: str, *, lines: bool = False) -> bool:
    """No control character, half a surrogate pair or mark that turns the direction of writing; `lines`: may have several.

    Names end up in e-mails, exports, logs and other people's terminals; half a pair is no UTF-8.
    """
    if text.isascii() and text.isprintable():
        return True
    allowed = "\n\t" if lines else ""
    return not any(
        char in _TURNING or (unicodedata.category(char) in ("Cc", "Cs") and char not in allowed) for char in text
    )


def is_blank(text: str) -> bool:
    """Nothing but spaces and characters that take no room."""
    return all(unicodedata.category(char)[0] in "CZ" for char in text)


def one_of(found: Any, allowed: Iterable[str]) -> str:
    """' (did you mean "USD"?)' where something allowed is close, else nothing."""
    close = difflib.get_close_matches(found[:60], list(allowed), n=1, cutoff=0.6) if isinstance(found, str) else []
    return f' (did you mean "{close[0]}"?)' if close else ""


def refuse(found: Any, expected: str, hint: str = "") -> PydanticCustomError:
    return PydanticCustomError("refused", "refused", {"found": shown(found), "expected": expected + hint})


def shown(value: Any, limit: int = 60) -> str:
    """A value as the error message shows it: short, on one line, no hostile characters."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)[: limit + 1]
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    text = text[:limit] + "..." if len(text) > limit else text
    return f'"{text}"' if isinstance(value, str) else text
