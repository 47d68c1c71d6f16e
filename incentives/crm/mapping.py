"""A column mapping: how one row of a file becomes one event (docs/connections/files.md has the format).

Every value has a source: `"column"`, or `{"column"}`, `{"columns": [first filled]}`, `{"value": constant}`; with
`aliases` (other spellings), `table` (a lookup) and `default` (what the lookup gives for the rest).
"""

import csv
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from incentives.core.tables import as_text
from incentives.crm import events
from incentives.crm.errors import BadMapping, MalformedEvent

_SINGLE = (
    "object_id", "version", "stage", "occurred_at", "opened_at", "close_date", "amount", "currency", "quantity",
    "region", "metric", "value", "period_start", "period_end", "mode", "external_id",
)  # fmt: skip
_GROUPS = ("participant", "account", "partner", "attributes")
_PLAIN = ("kind", "object_type", "stages", "date_format", "numbers", "lines")
_SOURCE = {"column", "columns", "value", "aliases", "table", "default"}
_IDENTITY = {"external_user_id", "email", "employee_number", "federation_id"}
_DATES = {"occurred_at", "opened_at", "close_date", "period_start", "period_end", "service_date"}
_NUMBERS = {"amount", "quantity", "value", "unit_price", "total"}
_SEPARATORS = {"1234.50": ("", "."), "1,234.50": (",", "."), "1.234,50": (".", ","), "1 234,50": (" ", ",")}


@dataclass
class RowError(Exception):
    """A row that cannot become an event; the other rows are not affected."""

    column: str
    found: str
    expected: str

    def __str__(self):
        return f"{self.column}: expected {self.expected}, found {self.found!r}."


@dataclass
class Source:
    """Where one value comes from."""

    columns: list[str] = field(default_factory=list)
    constant: str | None = None
    aliases: dict = field(default_factory=dict)
    table: dict | None = None
    default: str | None = None

    @property
    def name(self) -> str:
        return self.columns[0] if self.columns else "(constant)"

    def read(self, row: dict):
        """The value; empty when the cells are. Raises RowError when the lookup table does not have it."""
        found = self.constant if self.constant is not None else ""
        for column in self.columns:
            if row.get(column, "") != "":
                found = row[column]
                break
        if found == "" or (not self.aliases and self.table is None):
            return found
        found = self.aliases.get(as_text(found), found)
        if self.table is None:
            return found
        if as_text(found) in self.table:
            return self.table[as_text(found)]
        if self.default is None:
            raise RowError(self.name, as_text(found), "a value of the lookup table")
        return self.default


def _source(given, key: str) -> Source:
    if isinstance(given, str):
        given = {"column": given}
    if not isinstance(given, dict) or not given.keys() <= _SOURCE:
        raise BadMapping(f"{key}: expected a column name or an object of {', '.join(sorted(_SOURCE))}.")
    if ("column" in given) + ("columns" in given) + ("value" in given) != 1:
        raise BadMapping(f"{key}: expected exactly one of column, columns, value.")
    columns = given.get("columns", [given["column"]] if "column" in given else [])
    table, aliases = given.get("table"), given.get("aliases", {})
    if not isinstance(columns, list) or not all(isinstance(name, str) and name for name in columns):
        raise BadMapping(f"{key}: expected names of columns.")
    if not isinstance(aliases, dict) or not isinstance(table, (dict, type(None))):
        raise BadMapping(f"{key}: expected objects for aliases and table.")
    constant = None if "value" not in given else str(given["value"])
    return Source(columns, constant, aliases, table, given.get("default"))


class Mapping:
    """A checked mapping. Raises BadMapping naming the key and what was expected."""

    def __init__(self, given: dict):
        if not isinstance(given, dict):
            raise BadMapping("mapping: expected a JSON object.")
        for key in given:
            if key not in (*_SINGLE, *_GROUPS, *_PLAIN):
                raise BadMapping(
                    f"{key}: not a key of a mapping; expected one of {', '.join((*_SINGLE, *_GROUPS, *_PLAIN))}."
                )
        self.given = given
        self.kind = given.get("kind", "deal")
        self.object_type = str(given.get("object_type", "deal"))[:64]
        self.date_format = given.get("date_format", "")
        self.single = {key: _source(given[key], key) for key in _SINGLE if key in given}
        self.groups = {key: self._group(key) for key in _GROUPS if key in given}
        self.lines = self._lines()
        self.stages = self._stages()
        self._check_kind()
        if given.get("numbers", "1234.50") not in _SEPARATORS:
            raise BadMapping(f"numbers: expected one of {', '.join(_SEPARATORS)}.")
        self.separators = _SEPARATORS[given.get("numbers", "1234.50")]

    def _group(self, key: str) -> dict[str, Source]:
        members = self.given[key]
        if not isinstance(members, dict):
            raise BadMapping(f"{key}: expected an object of names and sources.")
        if key == "participant" and (not members or not members.keys() <= _IDENTITY):
            raise BadMapping(f"participant: expected at least one of {', '.join(sorted(_IDENTITY))}.")
        return {name: _source(source, f"{key}.{name}") for name, source in members.items()}

    def _lines(self) -> list[dict[str, Source]]:
        lines = self.given.get("lines", [])
        if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
            raise BadMapping("lines: expected a list of objects of names and sources.")
        return [{n: _source(s, f"lines[{i}].{n}") for n, s in line.items()} for i, line in enumerate(lines)]

    def _stages(self) -> dict[str, str]:
        stages = self.given.get("stages", {})
        if not isinstance(stages, dict):
            raise BadMapping('stages: expected an object such as {"Won": "won", "Lost": "lost", "*": "open"}.')
        for label, state in stages.items():
            if state not in events.STATES:
                raise BadMapping(f"stages: expected one of {', '.join(events.STATES)} for {label!r}, found {state!r}.")
        return stages

    def _check_kind(self) -> None:
        if self.kind not in ("deal", "metric.reported", "claim.submitted"):
            raise BadMapping(f"kind: expected deal, metric.reported or claim.submitted, found {self.kind!r}.")
        needed = {
            "deal": ("object_id", "stage"),
            "metric.reported": ("metric", "value"),
            "claim.submitted": ("external_id",),
        }
        for key in needed[self.kind]:
            if key not in self.single:
                raise BadMapping(f"{key}: expected a source, the mapping has none.")
        if "participant" not in self.groups:
            raise BadMapping("participant: expected a source of an id or e-mail address, the mapping has none.")

    def check_columns(self, columns: list[str]) -> None:
        """Raises BadMapping when the file lacks a column the mapping reads."""
        sources = [*self.single.values(), *(s for g in self.groups.values() for s in g.values())]
        sources += [source for line in self.lines for source in line.values()]
        for name in (name for source in sources for name in source.columns):
            if name not in columns:
                raise BadMapping(f"The file has no column {name!r}. It has: {', '.join(filter(None, columns))}.")

    def event(self, row: dict, zone: ZoneInfo) -> dict:
        """The row as a canonical event. Raises RowError with column, what was found and what was expected."""
        state = self._state(row)
        raw = {"kind": self._event_kind(state), "state": state if self.kind == "deal" else ""}
        for key in ("amount", "quantity", "close_date", "period_start", "period_end", "value"):
            raw[key] = self._value(key, row, zone)
        for key in ("currency", "region", "stage", "metric", "mode", "external_id"):
            raw[key] = as_text(self.single[key].read(row)) if key in self.single else ""
        raw["occurred_at"] = self._value("opened_at" if state == "open" else "occurred_at", row, zone)
        if state in ("won", "lost") and "occurred_at" in self.single and not raw["occurred_at"]:
            raise RowError(self.single["occurred_at"].name, "", f"the day it was {state}")
        for key, members in self.groups.items():
            raw[key] = {name: as_text(source.read(row)) for name, source in members.items()}
        raw["lines"] = [self._line(line, row, zone) for line in self.lines]
        raw["object"] = self._object(row, raw)
        raw["external_id"] = raw["external_id"] or f"{raw['object']['type']}:{raw['object']['id']}"[:255]
        return self._normalised(raw)

    def _normalised(self, raw: dict) -> dict:
        try:
            return events.normalise(raw, require_time=False)
        except MalformedEvent as exc:
            field_name = exc.details["field"]
            raise RowError(self._column_of(field_name), exc.details["found"], exc.details["expected"]) from exc

    def _column_of(self, field_name: str) -> str:
        key, _, member = field_name.partition(".")
        source = self.single.get(key) or self.groups.get(key, {}).get(member)
        return source.name if source else field_name

    def _event_kind(self, state: str) -> str:
        return (
            {"won": "deal.won", "lost": "deal.lost", "deleted": "deal.deleted"}.get(state, "deal.updated")
            if (self.kind == "deal")
            else self.kind
        )

    def _state(self, row: dict) -> str:
        if self.kind != "deal":
            return ""
        label = as_text(self.single["stage"].read(row))
        state = self.stages.get(label) or self.stages.get("*")
        if state is None and label.lower() in events.STATES:
            state = label.lower()
        if state is None:
            raise RowError(self.single["stage"].name, label, "a stage of the mapping: " + ", ".join(self.stages))
        return state

    def _object(self, row: dict, raw: dict) -> dict:
        if self.kind == "metric.reported" and "object_id" not in self.single:
            parts = [*raw["participant"].values(), raw["metric"], raw["period_start"], raw["period_end"]]
            return {"type": "metric", "id": "|".join(str(part) for part in parts)[:255]}
        if "object_id" not in self.single:
            return {"type": "claim", "id": raw["external_id"]}
        object_id = as_text(self.single["object_id"].read(row))
        if not object_id or len(object_id) > 255:
            raise RowError(self.single["object_id"].name, object_id[:80], "the record's id, at most 255 characters")
        version = as_text(self.single["version"].read(row)) if "version" in self.single else ""
        return {"type": self.object_type, "id": object_id, "version": version}

    def _line(self, line: dict[str, Source], row: dict, zone: ZoneInfo) -> dict:
        return {name: self._convert(name, source, row, zone) for name, source in line.items()}

    def _value(self, key: str, row: dict, zone: ZoneInfo):
        return self._convert(key, self.single[key], row, zone) if key in self.single else ""

    def _convert(self, key: str, source: Source, row: dict, zone: ZoneInfo):
        found = source.read(row)
        if found == "":
            return ""
        if key in _DATES:
            return self._date(found, source.name, zone, moment=key in ("occurred_at", "opened_at"))
        return self._number(found, source.name) if key in _NUMBERS else as_text(found)

    def _number(self, found, column: str):
        if isinstance(found, (int, Decimal)) and not isinstance(found, bool):
            return found
        thousands, point = self.separators
        text = as_text(found).strip().replace("\u00a0", " ")
        shape = (
            rf"[+-]?\d+(\{point}\d*)?"
            if not thousands
            else rf"[+-]?(\d+|\d{{1,3}}(\{thousands}\d{{3}})+)(\{point}\d*)?"
        )
        if not re.fullmatch(shape, text, re.ASCII):
            raise RowError(column, as_text(found)[:80], f"a number written like {self.given.get('numbers', '1234.50')}")
        return text.replace(thousands, "").replace(point, ".") if thousands else text

    def _date(self, found, column: str, zone: ZoneInfo, *, moment: bool) -> str:
        """A date as ISO text; as a moment, the beginning of that day (or the wall time) in the connection's zone."""
        value = found if isinstance(found, (date, datetime)) else self._parse_date(as_text(found), column)
        if not moment:
            return (value.date() if isinstance(value, datetime) else value).isoformat()
        at = value if isinstance(value, datetime) else datetime.combine(value, time.min)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).isoformat()

    def _parse_date(self, text: str, column: str):
        try:
            if self.date_format:
                return datetime.strptime(text, self.date_format)  # noqa: DTZ007 (the zone is the connection's)
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError as exc:
            expected = f"a date written like {self.date_format or '2026-03-04'}"
            raise RowError(column, text[:80], expected) from exc


def load_tables(given, folder: Path):
    """Replace `{"file", "key", "value"}` lookups by their contents, read from beside the mapping file (command line)."""
    if isinstance(given, list):
        return [load_tables(item, folder) for item in given]
    if not isinstance(given, dict):
        return given
    if given.keys() == {"file", "key", "value"}:
        with (folder / given["file"]).open(encoding="utf-8-sig", newline="") as file:
            return {row[given["key"]]: row[given["value"]] for row in csv.DictReader(file)}
    return {key: load_tables(member, folder) for key, member in given.items()}
