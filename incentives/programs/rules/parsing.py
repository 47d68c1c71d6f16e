"""From a document to a Definition, with errors that name the path, what was found and what is allowed."""

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

from incentives.core.errors import DomainError
from rewards.money import MINOR_DIGITS

from . import schema
from .conditions import FACT_FIELDS, tests
from .limits import HUGE, MAX_BYTES, MAX_DEPTH, MAX_PROBLEMS, MAX_VALUES, decimal_text, one_of, shown
from .schema import Bands, Definition, Milestone, Percent, Rank, Tiers


class Problem(NamedTuple):
    """One thing wrong with a document: `rewards[0].bands[2].from`, what stands there, what would be right."""

    path: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path or 'the document'}: found {self.found}, expected {self.expected}"


class DefinitionError(DomainError):
    """The document is no program definition. `problems` has every one of them (at most 50)."""

    code = "bad_definition"
    status = 422

    def __init__(self, problems: list[Problem]):
        self.problems = tuple(problems[:MAX_PROBLEMS])
        super().__init__("; ".join(str(problem) for problem in self.problems[:20]), problems=self.problems)


def parse_definition(document: dict | str | bytes) -> Definition:
    """The definition in `document` (JSON text or the parsed object). Raises DefinitionError, never anything else.

    Documents over 256 kB and hostile depth are refused before they are read in full.
    """
    data = _loaded(document) if isinstance(document, str | bytes | bytearray) else document
    if not isinstance(data, dict):
        raise DefinitionError([Problem("", shown(data), "one JSON object")])
    _check_size(data)
    currency = data.get("currency")
    digits = MINOR_DIGITS.get(currency) if isinstance(currency, str) else None
    try:
        definition = Definition.model_validate(data, context={"digits": digits, "currency": currency})
    except ValidationError as exc:
        raise DefinitionError(list(islice(_problems(exc), MAX_PROBLEMS))) from None
    if problems := list(_semantic_problems(definition)):
        raise DefinitionError(problems)
    return definition


def load_document(text: str | bytes) -> Any:
    """The JSON in `text`, numbers as Decimal, before anything is known about its keys. Raises DefinitionError."""
    return _loaded(text)


def canonical(definition: Definition) -> dict:
    """The whole document with every default written out; parsing it gives an equal definition."""
    return definition.model_dump(mode="json", by_alias=True, exclude_none=True)


def digest(definition: Definition) -> str:
    """SHA-256 over the canonical document: equal for documents that mean the same."""
    text = json.dumps(canonical(definition), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- before the models look at it --------------------------------------------------------------------------------


def _loaded(document: str | bytes | bytearray) -> Any:
    size = len(document.encode("utf-8", "surrogatepass")) if isinstance(document, str) else len(document)
    if size > MAX_BYTES:
        raise DefinitionError([Problem("", f"{size:,} bytes", f"at most {MAX_BYTES:,} bytes")])
    try:
        text = document if isinstance(document, str) else bytes(document).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DefinitionError([Problem("", f"a byte that is not UTF-8 at {exc.start}", "JSON in UTF-8")]) from None
    if _text_depth(text) > MAX_DEPTH:
        raise DefinitionError([_TOO_DEEP])
    doubled: list[_Doubled] = []
    try:
        data = json.loads(
            text,
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=lambda pairs: _object(pairs, doubled),
        )
    except json.JSONDecodeError as exc:
        where = f"{exc.msg} in line {exc.lineno}, column {exc.colno}"
        raise DefinitionError([Problem("", where, "valid JSON")]) from None
    except (ValueError, ArithmeticError, RecursionError):  # more digits, or a larger exponent, than Python reads
        raise DefinitionError([Problem("", "a number that is far too long", "valid JSON")]) from None
    if doubled:
        raise DefinitionError([found for path, value in _walk(data) for found in _key_twice(path, value)])
    return data


_TOO_DEEP = Problem("", f"more than {MAX_DEPTH} levels", f"at most {MAX_DEPTH} objects or lists inside each other")


_TOO_LARGE = Problem("", "a very large document", f"at most {MAX_BYTES:,} bytes and {MAX_VALUES:,} values")


def _text_depth(text: str) -> int:
    depth = deepest = 0
    inside = escaped = False
    for char in text:
        if inside:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                inside = False
        elif char == '"':
            inside = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> None:
    raise DefinitionError([Problem("", name, "ordinary numbers")])


class _Doubled(dict):
    """An object whose text has a key twice."""

    twice = ""


def _object(pairs: list[tuple[str, Any]], doubled: list[_Doubled]) -> dict:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    doubled.append(found := _Doubled(result))
    found.twice = next(key for key, _ in pairs if key in seen or seen.add(key))
    return found


def _key_twice(path: tuple, value: Any) -> Iterator[Problem]:
    if isinstance(value, _Doubled):
        yield Problem(path_text((*path, value.twice)), "the key twice", "each key once")


def _check_size(data: dict) -> None:
    """Depth, number and size of the values, for documents that came as objects."""
    size = 0
    for count, (path, value) in enumerate(_walk(data), start=1):
        if isinstance(value, dict):
            size += sum(len(key) if isinstance(key, str) else 0 for key in value)
            if odd := [key for key in value if not isinstance(key, str)]:
                raise DefinitionError([Problem(path_text(path), f"the key {shown(odd[0])}", "keys that are text")])
        elif isinstance(value, str):
            size += len(value)
        elif isinstance(value, int) and abs(value) >= HUGE:
            raise DefinitionError([Problem(path_text(path), "a number that is far too long", "at most 18 digits")])
        if count > MAX_VALUES or size > MAX_BYTES:
            raise DefinitionError([_TOO_LARGE])


def _walk(data: Any) -> Iterator[tuple[tuple, Any]]:
    """(path, value) of everything in the document, level by level and without recursion. Raises DefinitionError where one
    level is too large, or it goes on below MAX_DEPTH levels: in a list that contains itself, for ever."""
    level: list[tuple[tuple, Any]] = [((), data)]
    for _ in range(MAX_DEPTH + 1):
        following: list[tuple[tuple, Any]] = []
        for path, value in level:
            yield path, value
            if isinstance(value, dict | list | tuple) and len(following) + len(value) > MAX_VALUES:
                raise DefinitionError([_TOO_LARGE])
            if isinstance(value, dict):
                following.extend(((*path, key), item) for key, item in value.items())
            elif isinstance(value, list | tuple):
                following.extend(((*path, index), item) for index, item in enumerate(value))
        if not following:
            return
        level = following
    raise DefinitionError([_TOO_DEEP])


# --- the models' errors in our words -----------------------------------------------------------------------------


def path_text(path: tuple) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + shown(str(part))[1:-1]
    return text


def _problems(error: ValidationError) -> Iterator[Problem]:
    for item in error.errors(include_url=False):
        context = item.get("ctx") or {}
        path = _plain_path(item["loc"])
        kind = item["type"]
        if kind == "too_short" and item["input"] and not isinstance(item["input"], str):
            continue  # only counts items that were refused already
        if kind.startswith("union_tag") and isinstance(item["input"], dict):
            path += ("type",)
        if kind == "problems":
            for inner, found, expected in context["problems"]:
                yield Problem(path_text(path + inner), found, expected)
        elif kind == "at":
            yield Problem(path_text(path + context["at"]), context["found"], context["expected"])
        elif kind == "refused":
            yield Problem(path_text(path), context["found"], context["expected"])
        else:
            yield Problem(path_text(path), *_translated(kind, item, context, path))


def _plain_path(location: tuple) -> tuple:
    """Without what pydantic adds: the reward's type after its index, and a mark where a key itself is wrong."""
    if location and location[-1] == "[key]":
        location = location[:-1]
    if len(location) > 2 and location[0] == "rewards" and location[2] in _REWARD_TYPES:
        location = (*location[:2], *location[3:])
    return location


def _translated(kind: str, item: dict, context: dict, path: tuple) -> tuple[str, str]:
    found = shown(item["input"])
    if kind in ("too_long", "too_short") and isinstance(item["input"], str):
        kind = f"string_{kind}"
    if kind == "missing":
        return "nothing", "this key (it is required)"
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1], item)
        return "an unknown key", "one of " + ", ".join(known) + one_of(path[-1], known)
    if kind in ("literal_error", "union_tag_invalid"):
        allowed = context.get("expected") or context.get("expected_tags", "")
        words = [word.strip(" '\"") for word in allowed.replace(" or ", ", ").split(",")]
        found = shown(context["tag"]) if kind == "union_tag_invalid" else found
        return found, "one of " + ", ".join(words) + one_of(context.get("tag", item["input"]), words)
    if kind == "union_tag_not_found":
        return found, "an object with a type: one of " + ", ".join(_REWARD_TYPES)
    return found, _EXPECTED.get(kind, lambda c: item["msg"].lower())(context)


_EXPECTED = {
    "model_type": lambda c: "an object",
    "model_attributes_type": lambda c: "an object",
    "dict_type": lambda c: "an object",
    "tuple_type": lambda c: "a list",
    "string_type": lambda c: "text",
    "int_type": lambda c: "a whole number",
    "bool_type": lambda c: "true or false",
    "string_too_short": lambda c: "text that is not empty",
    "string_too_long": lambda c: f"at most {c['max_length']} characters",
    "too_long": lambda c: f"at most {c['max_length']} of them",
    "too_short": lambda c: f"at least {c['min_length']} of them",
    "greater_than_equal": lambda c: f"a whole number from {c['ge']} on",
    "less_than_equal": lambda c: f"a whole number of at most {c['le']}",
    "string_pattern_mismatch": lambda c: _PATTERNS.get(c["pattern"][:12], "another form"),
}
_PATTERNS = {
    "^(amount|qua": "amount, quantity, deals, value or attributes.<name>",
    "^[1-9][0-9]{": 'ranks such as "1" or "2-5"',
}


def _models() -> dict[str, type[BaseModel]]:
    return {model.model_fields["type"].annotation.__args__[0]: model for model in get_args(get_args(schema.AnyReward)[0])}  # fmt: skip


_REWARD_TYPES = tuple(_models())


@lru_cache(maxsize=64)
def _keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


_PARTS = {
    (): schema.Definition, ("eligible",): schema.Eligible, ("credit",): schema.CreditRule,
    ("credit", "overlays"): schema.Overlay, ("measure",): schema.Measure, ("caps",): schema.Caps,
    ("stacking",): schema.Stacking, ("payout",): schema.PayoutRule, ("delivery",): schema.Delivery,
    ("personalization",): schema.Personalization, ("rewards", "bands"): schema.Band, ("rewards", "tiers"): schema.Tier,
    ("rewards", "prizes"): schema.RankPrize, ("rewards", "at"): schema.MilestoneStep,
}  # fmt: skip


def _known_keys(parent: tuple, item: dict) -> tuple[str, ...]:
    names = tuple(part for part in parent if isinstance(part, str))
    if names == ("rewards",):
        return _keys_of(_models()[item["loc"][2]])
    return _keys_of(_PARTS[names])


# --- what the models cannot see ----------------------------------------------------------------------------------


def _semantic_problems(definition: Definition) -> Iterator[Problem]:
    for index, reward in enumerate(definition.rewards):
        base = f"rewards[{index}]"
        if isinstance(reward, Bands):
            yield from _rising(base + ".bands", "from", [band.from_ for band in reward.bands])
        elif isinstance(reward, Tiers):
            yield from _rising(base + ".tiers", "at", [tier.at for tier in reward.tiers])
        elif isinstance(reward, Milestone):
            yield from _rising(base + ".at", "count", [Decimal(step.count) for step in reward.at])
        elif isinstance(reward, Rank):
            yield from _ranks(base + ".prizes", reward)
    for name in ("teams", "partners", "partner_tiers", "regions", "types"):
        values = getattr(definition.eligible, name)
        for index, value in enumerate(values):
            if value in values[:index]:
                yield Problem(f"eligible.{name}[{index}]", shown(value), "each of them once")


def _rising(path: str, key: str, values: list[Decimal]) -> Iterator[Problem]:
    for index in range(1, len(values)):
        if values[index] <= values[index - 1]:
            yield Problem(f"{path}[{index}].{key}", f'"{decimal_text(values[index])}"',
                          f"more than the {decimal_text(values[index - 1])} before it")  # fmt: skip


def _ranks(path: str, reward: Rank) -> Iterator[Problem]:
    after = 0
    for index, prize in enumerate(reward.prizes):
        first, last = prize.bounds
        if first <= after or last < first:
            yield Problem(f"{path}[{index}].ranks", f'"{prize.ranks}"', f"ranks from {after + 1} on, in rising order")
        elif last > 10_000:
            yield Problem(f"{path}[{index}].ranks", f'"{prize.ranks}"', "ranks up to 10000")
        after = max(after, last)


def warnings(definition: Definition) -> list[Problem]:
    """What is allowed but probably not meant, or still missing before the program can be launched."""
    return list(_warnings(definition))


def _warnings(definition: Definition) -> Iterator[Problem]:
    if definition.delivery is None:
        yield Problem("delivery", "nothing", "how rewards are delivered; needed before the program can be launched")
    elif definition.delivery.type == "DigitalDelivery" and definition.delivery.channel is None:
        yield Problem("delivery.channel", "nothing", "email or sms; without it e-mail is used")
    for index, reward in enumerate(definition.rewards):
        yield from _reward_warnings(f"rewards[{index}]", reward)
    if definition.stop_when_spent and any(isinstance(reward, Rank) for reward in definition.rewards):
        yield Problem("stop_when_spent", "true", "false in a contest: its prizes are known in advance")
    for test in tests(definition.qualifies):
        first = test.field.split(".")[0]
        if first not in (*FACT_FIELDS, "territory"):
            yield Problem("qualifies", f'the field "{test.field}"',
                          "a field of the activity; this one is looked up in its attributes" + one_of(first, FACT_FIELDS))  # fmt: skip


def _reward_warnings(path: str, reward: Any) -> Iterator[Problem]:
    if getattr(reward, "of", "") == "target":
        yield Problem(f"{path}.of", '"target"', "a target for every participant; without one they earn nothing from it")
    small = [(f"{path}.rate", reward.rate)] if isinstance(reward, Percent) else []
    if isinstance(reward, Bands):
        small += [(f"{path}.bands[{index}].rate", band.rate) for index, band in enumerate(reward.bands)]
    for where, rate in small:
        if rate is not None and 0 < rate < Decimal("0.1"):
            yield Problem(where, f'"{decimal_text(rate)}"',
                          f"per cent: this is {decimal_text(rate)} %; write {decimal_text(rate * 100)} for {decimal_text(rate * 100)} %")  # fmt: skip
