"""Importing partner organisations from CSV or XLSX: add new ones, change known ones, say what is wrong with the rest."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.db import transaction

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.core.tables import as_text, open_table
from incentives.participants import services
from incentives.participants.errors import InvalidPerson
from incentives.participants.imports import (
    ADDED,
    CHANGED,
    REJECTED,
    SAME,
    BadColumns,
    Report,
    guess_names,
    truth,
)
from incentives.participants.models import Partner

COLUMNS = ("code", "name", "tier", "region", "country", "active")


@dataclass
class PartnerRow:
    """What became (or would become) of one row; `changes` says what differs from what is known."""

    number: int
    values: dict
    status: str = REJECTED
    column: str = ""
    message: str = ""
    changes: list[str] = field(default_factory=list)


@dataclass
class PartnerReport(Report):
    rows: list[PartnerRow] = field(default_factory=list)

    @property
    def shown(self) -> list[PartnerRow]:
        """The first rows that do something, for the preview."""
        return list(islice((row for row in self.rows if row.status in (ADDED, CHANGED)), 50))


def import_partners(path: Path | str, *, actor=None, dry_run: bool = False) -> PartnerReport:
    """Read the file; rows that do not fit stop none of the others. A row is the partner with its code.

    A column that is not there, and an empty cell, leave what is known. `dry_run` tells what would happen and stores nothing.
    Raises BadFile, BadColumns, NotAllowed before anything is stored.
    """
    if actor is not None and not actor.can("participants.edit"):
        raise NotAllowed
    with open_table(path) as table, transaction.atomic():
        mapping = guess_names(table.columns, COLUMNS)
        if "code" not in mapping:
            raise BadColumns("Expected a column named code: it tells partners apart.")
        report = PartnerReport()
        for number, cells in table.rows:
            values = {name: cells.get(column, "") for name, column in mapping.items()}
            report.rows.append(_import_row(PartnerRow(number, values), actor))
        if dry_run:
            transaction.set_rollback(True)
        elif actor is not None:
            audit.record("partners.imported", actor, actor=actor, after={"file": Path(path).name, **report.counts})
    return report


def _import_row(row: PartnerRow, actor) -> PartnerRow:
    try:
        with transaction.atomic():
            values = {name: as_text(value) for name, value in row.values.items() if as_text(value) != ""}
            if "active" in values:
                values["active"] = truth(values["active"])
            known = Partner.objects.filter(code=values.get("code", "")).first()
            before = services._group_shown(known) if known else {}
            if known is None:
                now, row.status = services.create_partner(actor=actor, **values), ADDED
            else:
                now = services.update_partner(known, actor=actor, reason="file import", **values)
                row.status = SAME if services._group_shown(now) == before else CHANGED
            row.changes = _changes(before, services._group_shown(now))
    except InvalidPerson as exc:
        row.status, row.column, row.message = REJECTED, exc.details["field"], exc.user_message
    return row


def _changes(before: dict, after: dict) -> list[str]:
    if not before:
        return [f"{name}: {value}" for name, value in after.items() if value]
    return [f"{name}: {before[name] or '–'} → {value or '–'}" for name, value in after.items() if before[name] != value]
