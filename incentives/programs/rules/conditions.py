"""Conditions: trees of all, any and not over {field, op, value}.

How a comparison reads a field:
- a field that is missing, null or empty text makes every comparison false, `ne` and `not_in` included; only `exists`
  sees that it is missing (and `not` turns a false comparison into a true one, as everywhere);
- text that looks like a plain number is compared as a number ("10.0" equals 10), "true"/"false" as truth values, text
  that looks like a day or a moment is compared in time; numbers with leading zeros ("007") stay text;
- `contains` and `starts_with` ignore upper and lower case; `contains` on a list asks for a member;
- a path through a list (`lines.family`) reads every element: one that satisfies the comparison is enough, while `ne`
  and `not_in` need all of them to differ;
- a name that is no field of the activity is looked up in its attributes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from .facts import Fact
from .limits import MAX_CONDITION_DEPTH, MAX_CONDITION_NODES, decimal_text, is_blank, is_plain, one_of, shown

OPS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "starts_with", "exists")
WORDS = {
    "eq": "is", "ne": "is not", "gt": "is more than", "gte": "is at least", "lt": "is less than",
    "lte": "is at most", "in": "is one of", "not_in": "is none of", "contains": "contains",
    "starts_with": "starts with", "exists": "is given",
}  # fmt: skip
FACT_FIELDS = (
    "id", "external_id", "kind", "occurred_at", "close_date", "participant", "amount", "currency", "quantity",
    "account", "partner", "region", "attributes", "metric", "value", "received_at", "object", "object_type",
    "object_id", "version", "lines",
)  # fmt: skip
_FIELD = re.compile(r"^[A-Za-z0-9_\-]{1,60}(\.[A-Za-z0-9_\- ]{1,60}){0,5}$", re.ASCII)
_NUMBER = re.compile(r"^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,12})?$", re.ASCII)
_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?$", re.ASCII)
MAX_TEXT, MAX_LIST = 500, 1000


@dataclass(frozen=True, slots=True)
class Test:
    field: str
    op: str
    value: Any  # text, bool, int, or a tuple of them


@dataclass(frozen=True, slots=True)
class Group:
    """`all` or `any` of the items."""

    word: str
    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: "Condition"


Condition = Test | Group | Not
Found = tuple[tuple[Any, ...], Any, str]  # path inside the condition, what was found, what was expected


class Explained(NamedTuple):
    """One comparison in words, what the activity has there, and whether it passed."""

    text: str
    found: str
    passed: bool


# --- reading a condition from a document -------------------------------------------------------------------------


class _Reader:
    """Reads one tree and keeps every problem with its path. Stops at the limits, so hostile depth is harmless."""

    def __init__(self, *, line: bool):
        self.line = line
        self.nodes = 0
        self.problems: list[Found] = []

    def refuse(self, path: tuple, found: Any, expected: str) -> None:
        self.problems.append((path, shown(found), expected))

    def read(self, node: Any, path: tuple, depth: int) -> Condition | None:
        self.nodes += 1
        if depth > MAX_CONDITION_DEPTH:
            return self.refuse(path, node, f"at most {MAX_CONDITION_DEPTH} conditions inside each other")
        if self.nodes > MAX_CONDITION_NODES:
            if self.nodes == MAX_CONDITION_NODES + 1:
                self.refuse(path, node, f"at most {MAX_CONDITION_NODES} conditions in all")
            return None
        if not isinstance(node, dict):
            return self.refuse(path, node, 'an object such as {"field": "kind", "op": "eq", "value": "deal.won"}')
        groups = [key for key in ("all", "any", "not") if key in node]
        if not groups:
            return self.test(node, path)
        if len(node) > 1:
            return self.refuse(path, ", ".join(map(str, node))[:60], f"only {groups[0]} in this object")
        if groups[0] == "not":
            item = self.read(node["not"], (*path, "not"), depth + 1)
            return item and Not(item)
        return self.group(groups[0], node[groups[0]], path, depth)

    def group(self, word: str, nodes: Any, path: tuple, depth: int) -> Condition | None:
        if not isinstance(nodes, list | tuple) or not nodes:
            return self.refuse((*path, word), nodes, "a list with at least one condition")
        items = []
        for index, node in enumerate(nodes):
            items.append(self.read(node, (*path, word, index), depth + 1))
            if self.nodes > MAX_CONDITION_NODES:
                break
        return None if None in items else Group(word, tuple(items))

    def test(self, node: dict, path: tuple) -> Condition | None:
        before = len(self.problems)
        for key in node:
            if key not in ("field", "op", "value"):
                words = ("all", "any", "not", "field", "op", "value")
                self.refuse((*path, str(key)), "an unknown key", "field, op and value" + one_of(key, words))
        field, op = node.get("field"), node.get("op")
        if not isinstance(field, str) or not _FIELD.fullmatch(field):
            self.refuse((*path, "field"), field, "the name of a field, such as account.segment")
        elif field.startswith("line.") and not self.line:
            name = field.removeprefix("line.")
            self.refuse(
                (*path, "field"), field, f'line fields only in measure.lines; here "lines.{name}" asks any line'
            )
        if op not in OPS:
            self.refuse((*path, "op"), op, "one of " + ", ".join(OPS) + one_of(op, OPS))
        value = self.value(node, op, (*path, "value"))
        return Test(field, op, value) if len(self.problems) == before else None

    def value(self, node: dict, op: str, path: tuple) -> Any:
        if op == "exists":
            value = node.get("value", True)
            if not isinstance(value, bool):
                self.refuse(path, value, "true or false")
            return value
        if "value" not in node or node["value"] is None:
            return self.refuse(path, None, 'a value (to ask whether a field is missing, use op "exists")')
        value = node["value"]
        if op in ("in", "not_in"):
            if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_LIST:
                return self.refuse(path, value, f"a list of 1 to {MAX_LIST} values")
            return tuple(self.scalar(item, (*path, index)) for index, item in enumerate(value))
        value = self.scalar(value, path)
        if op in ("gt", "gte", "lt", "lte") and _comparable(value) is None and value is not None:
            self.refuse(path, value, "a number or a day to compare with")
        return value

    def scalar(self, value: Any, path: tuple) -> Any:
        if isinstance(value, float):
            value = Decimal(repr(value))
        if isinstance(value, Decimal) and value.is_finite() and -20 < value.adjusted() < 20:
            return decimal_text(value)
        small_number = isinstance(value, int) and abs(value) < 10**18  # true and false are whole numbers too
        if isinstance(value, str) and not is_plain(value):
            return self.refuse(path, value, "text on one line, without control characters")
        if small_number or (isinstance(value, str) and not is_blank(value) and len(value) <= MAX_TEXT):
            return value
        return self.refuse(path, value, f"text of at most {MAX_TEXT} characters, a number, true or false")


def parse_condition(node: Any, *, line: bool = False) -> tuple[Condition | None, list[Found]]:
    """The condition, or None and its problems. `line`: fields of one product line (`line.family`) are allowed too."""
    if isinstance(node, Test | Group | Not):
        return node, []
    reader = _Reader(line=line)
    condition = reader.read(node, (), 1)
    return (None if reader.problems else condition), reader.problems


def plain_condition(condition: Condition | None) -> Any:
    """Back to the document's form."""
    if condition is None:
        return None
    if isinstance(condition, Group):
        return {condition.word: [plain_condition(item) for item in condition.items]}
    if isinstance(condition, Not):
        return {"not": plain_condition(condition.item)}
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return {"field": condition.field, "op": condition.op, "value": value}


def tests(condition: Condition | None) -> Iterator[Test]:
    """Every comparison of the tree, in the order of the document."""
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, Not):
        yield from tests(condition.item)
    elif condition is not None:
        for item in condition.items:
            yield from tests(item)


# --- comparing ---------------------------------------------------------------------------------------------------


def _moment(value: Any) -> tuple | None:
    """A day or a moment in a form that compares: (day, moment or None). Moments without offset count as UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).date(), value
    if isinstance(value, date):
        return value, None
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return None
    try:
        if len(value) == 10:
            return date.fromisoformat(value), None
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).date(), moment


def _comparable(value: Any) -> Any:
    """A Decimal, a truth value or a moment where `value` is or looks like one; None for other text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return Decimal(text)
        lower = text.lower()
        if lower in ("true", "false"):
            return lower == "true"
        return _moment(text)
    return _moment(value)


def _order(found: Any, wanted: Any) -> int | None:
    """-1, 0 or 1; None when the two cannot be compared (a number with a day, text with a number)."""
    if isinstance(found, tuple) and isinstance(wanted, tuple):
        both = found[1] is not None and wanted[1] is not None  # a day and a moment compare as days (in UTC)
        left, right = (found[1], wanted[1]) if both else (found[0], wanted[0])
    elif isinstance(found, Decimal) and isinstance(wanted, Decimal):
        left, right = found, wanted
    else:
        return None
    return (left > right) - (left < right)


def _matcher(wanted: Any) -> Callable[[Any], bool]:
    """Equality with one value, prepared."""
    text, value = str(wanted).strip(), _comparable(wanted)

    def same(found: Any) -> bool:
        if isinstance(found, str) and found.strip() == text:
            return True
        if value is None:
            return False
        other = _comparable(found)
        if isinstance(value, bool) or isinstance(other, bool):
            return value is other
        return other is not None and _order(other, value) == 0

    return same


_ORDERED = {
    "gt": lambda order: order > 0,
    "gte": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "lte": lambda order: order <= 0,
}


def _check(test: Test) -> Callable[[Any], bool]:
    """The comparison as a function of one value that is present and no list."""
    op, value = test.op, test.value
    if op in ("eq", "ne"):
        return _matcher(value)
    if op in ("in", "not_in"):
        texts = frozenset(item.strip() for item in value if isinstance(item, str))
        others = [_matcher(item) for item in value if _comparable(item) is not None]
        return lambda found: (isinstance(found, str) and found.strip() in texts) or any(same(found) for same in others)
    if op in _ORDERED:
        wanted, passes = _comparable(value), _ORDERED[op]

        def ordered(found: Any) -> bool:
            order = _order(_comparable(found), wanted)
            return order is not None and passes(order)

        return ordered
    needle = str(value).strip().casefold()
    if op == "starts_with":
        return lambda found: _as_text(found).casefold().startswith(needle)
    return lambda found: needle in _as_text(found).casefold()


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return decimal_text(value) if isinstance(value, Decimal) else str(value)


def _present(value: Any) -> bool:
    return value is not None and value != "" and not (isinstance(value, str) and not value.strip())


def _compile_test(test: Test) -> Callable[[Fact, Any], bool]:
    get, op = getter(test.field), test.op
    if op == "exists":
        wanted = test.value
        return lambda fact, line: (_present(found := get(fact, line)) and found != [] and found != {}) is wanted
    check, negative = _check(test), op in ("ne", "not_in")
    member = _matcher(test.value) if op == "contains" else None

    def passes(fact: Fact, line: Any) -> bool:
        found = get(fact, line)
        if isinstance(found, list | tuple):
            found = [item for item in found if _present(item)]
            if negative:
                return bool(found) and not any(check(item) for item in found)
            return any((member or check)(item) for item in found) or (
                member is not None and any(isinstance(item, str) and item.casefold() == str(test.value).casefold() for item in found)
            )  # fmt: skip
        if not _present(found) or isinstance(found, Mapping):
            return False
        return check(found) is not negative

    return passes


# --- reading fields ----------------------------------------------------------------------------------------------


def _dig(value: Any, keys: tuple[str, ...]) -> Any:
    for index, key in enumerate(keys):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list | tuple):
            found = [_dig(item, keys[index:]) for item in value]
            return [item for item in found if item is not None]
        else:
            return None
    return value


def getter(path: str) -> Callable[[Fact, Any], Any]:
    """A function that reads the dotted `path` from a fact (or, for `line.*`, from one of its product lines)."""
    first, *rest = path.split(".")
    keys = tuple(rest)
    if first == "line" and keys:
        return lambda fact, line: _dig(line, keys)
    if first == "object" and len(keys) == 1:
        name = {"type": "object_type", "id": "object_id", "version": "version"}.get(keys[0])
        return lambda fact, line: getattr(fact, name) if name else None
    if first == "participant" and keys in (("external_user_id",), ("id",)):
        keys = ()
    if first == "territory":
        first = "region"
    if first not in FACT_FIELDS or first == "object":
        whole = (first, *keys)
        return lambda fact, line: _dig(fact.attributes, whole)
    if not keys:
        return lambda fact, line: getattr(fact, first)
    return lambda fact, line: _dig(getattr(fact, first), keys)


# --- evaluating --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _compiled(condition: Condition, identity: str) -> Callable[[Fact, Any], bool]:
    return _compile(condition)


def _compile(condition: Condition) -> Callable[[Fact, Any], bool]:
    if isinstance(condition, Test):
        return _compile_test(condition)
    if isinstance(condition, Not):
        inner = _compile(condition.item)
        return lambda fact, line: not inner(fact, line)
    parts = tuple(_compile(item) for item in condition.items)
    if condition.word == "all":
        return lambda fact, line: all(part(fact, line) for part in parts)
    return lambda fact, line: any(part(fact, line) for part in parts)


def compiled(condition: Condition) -> Callable[[Fact, Any], bool]:
    """`condition` as a function of (fact, product line or None); compiled once."""
    return _compiled(condition, repr(condition))  # repr: True and 1 are equal as values but not the same condition


def holds(condition: Condition | None, fact: Fact, line: Mapping[str, Any] | None = None) -> bool:
    return condition is None or compiled(condition)(fact, line)


def explain(condition: Condition | None, fact: Fact, line: Mapping[str, Any] | None = None) -> list[Explained]:
    """Every comparison in words with what was found, for "why did this earn, or not". Empty without a condition.

    A comparison under `not` is told the other way round, so that `passed` always means "speaks for earning".
    """
    return list(_explained(condition, fact, line, False, ""))


def _explained(condition, fact, line, negated: bool, prefix: str) -> Iterator[Explained]:
    if condition is None:
        return
    if isinstance(condition, Not):
        yield from _explained(condition.item, fact, line, not negated, prefix)
    elif isinstance(condition, Group):
        either = (condition.word == "any") is not negated and len(condition.items) > 1
        for index, item in enumerate(condition.items):
            yield from _explained(item, fact, line, negated, "or " if either and index else prefix)
    else:
        found = getter(condition.field)(fact, line)
        passed = holds(condition, fact, line) is not negated
        yield Explained(prefix + sentence(condition, negated=negated), _found_text(found), passed)


def sentence(test: Test, *, negated: bool = False) -> str:
    """One comparison in words: `amount is at least 10000`."""
    name = test.field.removeprefix("attributes.").replace("_", " ").replace(".", " ")
    if test.op == "exists":
        return f"{name} is given" if test.value is not negated else f"{name} is missing"
    values = test.value if isinstance(test.value, tuple) else (test.value,)
    text = f"{name} {WORDS[test.op]} {', '.join(_as_text(value) for value in values)}"
    return f"not ({text})" if negated else text


def _found_text(found: Any) -> str:
    if isinstance(found, list | tuple):
        return ", ".join(_as_text(item) for item in found[:20]) or "missing"
    if isinstance(found, datetime):
        return found.isoformat()
    return _as_text(found) if _present(found) else "missing"
