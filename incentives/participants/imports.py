"""Importing participants from CSV or XLSX: add new ones, change known ones, say what is wrong with the rest."""

from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path

from django.db import transaction
from django.utils.text import slugify

from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed
from incentives.core.tables import as_text, open_table
from incentives.participants import services
from incentives.participants.errors import InvalidPerson
from incentives.participants.models import Participant, Partner, Team

TEXTS = (
    "external_user_id", "employee_number", "federation_id", "email", "name", "type", "region", "country", "phone",
    "language", "time_zone",
)  # fmt: skip
COLUMNS = (*TEXTS, "team", "partner", "partner_tier", "manager", "active", "started_on", "ended_on")
KEYS = ("external_user_id", "employee_number", "federation_id", "email")
ADDED, CHANGED, SAME, REJECTED = "added", "changed", "unchanged", "rejected"


class BadColumns(DomainError):
    """The file's columns or the mapping do not fit."""

    code = "bad_mapping"


@dataclass
class Row:
    """What became (or would become) of one row."""

    number: int
    values: dict
    status: str = REJECTED
    column: str = ""
    message: str = ""
    person: Participant | None = None


@dataclass
class Report:
    rows: list[Row] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.rows:
            found[row.status] = found.get(row.status, 0) + 1
        return found

    @property
    def problems(self) -> list[Row]:
        return [row for row in self.rows if row.message]


def guess_mapping(columns: list[str]) -> dict[str, str]:
    """Field -> column, for columns named like the fields in any casing, with spaces or underscores."""
    return guess_names(columns, COLUMNS)


def guess_names(columns: list[str], names: tuple[str, ...]) -> dict[str, str]:
    known = {slugify(name).replace("-", "_"): name for name in columns if name}
    known |= {
        alias: known[name] for name, alias in (("e_mail", "email"), ("employee_id", "employee_number")) if name in known
    }
    return {name: known[name] for name in names if name in known}


def import_participants(
    path: Path | str,
    *,
    mapping: dict[str, str] | None = None,
    actor=None,
    dry_run: bool = False,
    limit: int | None = None,
) -> Report:
    """Read the file; rows that do not fit stop none of the others. A row is somebody known by any of KEYS, in that order.

    Columns that are not mapped leave what is known; an empty cell does too. Teams and partners that are new are added.
    `dry_run` tells what would happen and stores nothing; `limit` reads that many rows (the preview).
    Raises BadFile, BadColumns, NotAllowed before anything is stored.
    """
    if actor is not None and not actor.can("participants.edit"):
        raise NotAllowed
    with open_table(path) as table, transaction.atomic():
        mapping = guess_mapping(table.columns) if mapping is None else mapping
        _check(mapping, table.columns)
        report = Report(columns=table.columns)
        for number, cells in islice(table.rows, limit):
            values = {name: cells.get(column, "") for name, column in mapping.items()}
            report.rows.append(_import_row(Row(number, values), actor))
        for row in report.rows:
            _set_manager(row, actor)
        if dry_run:
            transaction.set_rollback(True)
        elif actor is not None:
            audit.record("participants.imported", actor, actor=actor, after={"file": Path(path).name, **report.counts})
    return report


def _check(mapping: dict[str, str], columns: list[str]) -> None:
    for name, column in mapping.items():
        if name not in COLUMNS:
            raise BadColumns(f"{name}: expected one of {', '.join(COLUMNS)}.")
        if column not in columns:
            raise BadColumns(f"The file has no column {column!r}. It has: {', '.join(filter(None, columns))}.")
    if not set(mapping) & set(KEYS):
        raise BadColumns(f"Expected a column that tells people apart: one of {', '.join(KEYS)}.")


def _import_row(row: Row, actor) -> Row:
    try:
        with transaction.atomic():
            values = _values(row.values, actor)
            person = _known(values)
            if person is None:
                row.person, row.status = services.create_participant(actor=actor, **values), ADDED
            else:
                before = services.values_of(person)
                row.person = services.update_participant(person, actor=actor, reason="file import", **values)
                row.status = SAME if services.values_of(row.person) == before else CHANGED
    except InvalidPerson as exc:
        row.status, row.column, row.message = REJECTED, exc.details["field"], exc.user_message
    return row


def _values(cells: dict, actor) -> dict:
    values = {name: as_text(cells[name]) for name in TEXTS if cells.get(name, "") != ""}
    if "type" in values:
        values["type"] = values["type"].lower()
    for name in ("started_on", "ended_on"):
        if cells.get(name, "") != "":
            values[name] = _day(name, cells[name])
    if cells.get("active", "") != "":
        values["active"] = truth(cells["active"])
    if cells.get("team", "") != "":
        values["team"] = _group(Team, "team", as_text(cells["team"]), {}, actor)
    if cells.get("partner", "") != "":
        tier = {"tier": as_text(cells["partner_tier"])} if cells.get("partner_tier", "") != "" else {}
        values["partner"] = _group(Partner, "partner", as_text(cells["partner"]), tier, actor)
        values.setdefault("type", Participant.Type.PARTNER)
    if not any(values.get(name) for name in KEYS):
        raise InvalidPerson("external_user_id", f"expected at least one of {', '.join(KEYS)}.")
    return values


def _day(name: str, value) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(as_text(value))
    except ValueError:
        raise InvalidPerson(name, f"expected a date such as 2026-03-04, found {as_text(value)!r}.") from None


def truth(value) -> bool:
    text = as_text(value).lower()
    if text not in {"true", "yes", "1", "active", "false", "no", "0", "inactive"}:
        raise InvalidPerson("active", f"expected yes or no, found {as_text(value)!r}.")
    return text in {"true", "yes", "1", "active"}


def _group(kind, name: str, given: str, more: dict, actor):
    """By code, else by name, else a new one whose code is made from the name."""
    found = kind.objects.filter(code=given).first() or kind.objects.filter(name=given).first()
    if found is None:
        code = slugify(given)[:64]
        found = kind.objects.filter(code=code).first() if code else None
        if not code:
            raise InvalidPerson(name, f"expected a code or name, found {given!r}.")
    if found is None:
        write = services.create_team if kind is Team else services.create_partner
        return write(actor=actor, code=code, name=given[:150], **more)
    return services.update_partner(found, actor=actor, **more) if more else found


def _known(values: dict) -> Participant | None:
    for name in KEYS:
        value = values.get(name, "")
        found = (
            Participant.objects.filter(**{name: value.lower() if name == "email" else value}).first() if value else None
        )
        if found is not None:
            return found
    return None


def _set_manager(row: Row, actor) -> None:
    """After all rows, so that a manager may stand below their people in the file."""
    given = as_text(row.values.get("manager", ""))
    if row.person is None or not given:
        return
    keys = {"external_user_id": given, "email": given, "employee_number": given}
    manager = _known(keys)
    try:
        if manager is None:
            raise InvalidPerson("manager", f"nobody has the id or address {given!r}.")
        with transaction.atomic():
            if row.person.manager_id != manager.pk:
                row.person = services.update_participant(row.person, actor=actor, reason="file import", manager=manager)
                row.status = CHANGED if row.status == SAME else row.status
    except InvalidPerson as exc:
        row.column, row.message = "manager", exc.user_message
