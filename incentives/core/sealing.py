"""Seal the rows of append-only tables into one hash chain beside them, and verify both.

A trigger (`core.seal_trigger`) notes each new row in `UnsealedRow`, in the transaction that writes it; the sweep seals what is
noted. So a row that commits late is not missed, whatever its number, and a row that is neither sealed nor noted was not
written by the application. docs/decisions/0007-sealed-books.md says what this finds and what it does not.
"""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from heapq import merge
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from django.db import models, transaction

from incentives.core.chains import BOOKS, GENESIS, end_problem, linked, locked_head, move_head
from incentives.core.models import SealedRow, UnsealedRow

BATCH = 2000
GONE = ""
"""The digest of a row that was not there any more when its turn came."""


@dataclass(frozen=True, slots=True)
class Table:
    """An append-only table that is sealed. `named`: the column that says to a person which row it is."""

    model: type[models.Model]
    named: str

    @property
    def label(self) -> str:
        return self.model._meta.label

    @property
    def columns(self) -> list[str]:
        return [field.attname for field in self.model._meta.concrete_fields]

    def rows(self) -> models.QuerySet:
        """(primary key, then every column) of all rows."""
        return self.model._base_manager.values_list("pk", *self.columns)


@dataclass(frozen=True, slots=True)
class Problem:
    """`what`: edited, removed, inserted, reordered, or end (of the chain). `row` is the primary key, None where no row is known."""

    table: str
    row: int | None
    what: str
    text: str

    def __str__(self):
        return self.text


_tables: dict[str, Table] = {}


def connect(model: type[models.Model], *, named: str) -> None:
    """Called by the app that owns the table when it starts. Its migrations carry `core.seal_trigger.seal_rows`."""
    _tables[model._meta.label] = Table(model, named)


def tables() -> list[Table]:
    return [_tables[label] for label in sorted(_tables)]


def plain(value):
    """A column's value in JSON: in seals and in the full export alike, so that one can be checked from the other."""
    if isinstance(value, date):  # a datetime, too
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    raise TypeError(f"{type(value).__name__} cannot be written")


def digest_of(label: str, columns: Iterable[str], values: Iterable) -> str:
    """Of a row's content. Empty (NULL) columns are left out, so that a column added later leaves older seals right."""
    content = {name: value for name, value in zip(columns, values, strict=True) if value is not None}
    text = json.dumps([label, content], sort_keys=True, separators=(",", ":"), default=plain, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _link(chain: str, number: int, table: str, row_id: int, digest: str) -> str:
    return linked(f"{chain} {number} {table} {row_id} {digest}")


# --- sealing --------------------------------------------------------------------------------------------------------------
def seal(limit: int = 20_000) -> int:
    """Seal up to `limit` of the rows that wait, in the order in which they were noted. Returns how many.

    Batches of 2,000, each in a transaction of its own under the lock of the chain's head: whatever ends it, rows are sealed
    once and the chain has no gap. Called by the sweep; a repeat does nothing.
    """
    done = 0
    while done < limit and UnsealedRow.objects.exists():
        sealed = _seal_batch(min(BATCH, limit - done))
        if not sealed:
            break
        done += sealed
    return done


@transaction.atomic
def _seal_batch(size: int) -> int:
    head = locked_head(BOOKS, SealedRow.objects.order_by("-pk").values_list("pk", "chain").first())
    waiting = list(UnsealedRow.objects.filter(table__in=_tables).order_by("pk")[:size])
    by_table = defaultdict(set)
    for row in waiting:
        by_table[row.table].add(row.row_id)
    rows = SealedRow.objects.filter(table__in=by_table, row_id__in=set().union(*by_table.values()))
    standing = set(rows.values_list("table", "row_id"))  # put in again under its number: the first seal stands
    digests = {
        (label, pk): digest_of(label, _tables[label].columns, values)
        for label, ids in by_table.items()
        for pk, *values in _tables[label].rows().filter(pk__in=ids)
    }
    number, chain, seals = head.number, head.chain, []
    for key in dict.fromkeys((row.table, row.row_id) for row in waiting):
        if key not in standing:
            number, digest = number + 1, digests.get(key, GONE)
            chain = _link(chain, number, *key, digest)
            seals.append(SealedRow(pk=number, table=key[0], row_id=key[1], digest=digest, chain=chain))
    SealedRow.objects.bulk_create(seals, batch_size=500)
    UnsealedRow.objects.filter(pk__in=[row.pk for row in waiting]).delete()
    if seals:
        move_head(head, number, chain)
    return len(waiting)


# --- verifying ------------------------------------------------------------------------------------------------------------
def verify() -> list[Problem]:
    """Every row that was edited, removed, put in, or sealed in another order. Empty when all is well.

    Reads every sealed table and all seals once, as a stream; call it inside `core.snapshot.snapshot` while others write.
    """
    return [*_verify_chain(), *(problem for table in tables() for problem in _verify_rows(table))]


def _verify_chain() -> Iterator[Problem]:
    expected, before, end = 0, GENESIS, GENESIS
    seals = SealedRow.objects.order_by("pk").values_list("pk", "table", "row_id", "digest", "chain")
    for number, table, row_id, digest, stored in seals.iterator(chunk_size=BATCH):
        expected += 1
        end = _link(before, number, table, row_id, digest)
        if number != expected:  # the link before is not known
            text = f"seal {expected} is missing: a seal before that of {table} row {row_id} (seal {number}) was removed"
            yield Problem("core.SealedRow", expected, "removed", text)
            expected, end = number, stored
        elif stored != end:
            text = f"{table} row {row_id}: seal {number} does not follow from the one before it: edited or reordered"
            yield Problem(table, row_id, "reordered", text)
        before = stored
    if text := end_problem(BOOKS, expected, end):
        yield Problem("core.SealedRow", None, "end", text)


def _verify_rows(table: Table) -> Iterator[Problem]:
    """A merge of the table, its seals and what waits, all by row number: memory does not grow with them."""
    label, columns = table.label, table.columns
    place = columns.index(table.named)
    seals = SealedRow.objects.filter(table=label).order_by("row_id").values_list("row_id", "pk", "digest")
    waits = UnsealedRow.objects.filter(table=label).order_by("row_id").values_list("row_id")
    streams = (
        ((pk, "row", values) for pk, *values in table.rows().order_by("pk").iterator(chunk_size=BATCH)),
        ((pk, "seal", seal) for pk, *seal in seals.iterator(chunk_size=BATCH)),
        ((pk, "waits", True) for (pk,) in waits.iterator(chunk_size=BATCH)),
    )
    for pk, parts in groupby(merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        found = {kind: value for _pk, kind, value in parts}
        values, (number, digest), waiting = found.get("row"), found.get("seal", (None, None)), "waits" in found
        if values is None:
            what, text = "removed", f"was removed after it was sealed (seal {number})"
            if number is None or digest == GONE:
                text = "was removed before it was sealed" + (f" (seal {number})" if number else "")
        elif number is None:
            if waiting:
                continue
            what, text = (
                "inserted",
                "has no seal and waits for none: put in past the application, or its seal was removed",
            )
        elif digest != digest_of(label, columns, values):
            what, text = "edited", f"was edited after it was sealed (seal {number})"
        else:
            continue
        name = "" if values is None else f" ({values[place]})"
        yield Problem(label, pk, what, f"{label} row {pk}{name} {text}")
