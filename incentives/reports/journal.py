"""Postings as lines of the customer's books: who they are about, and which accounts they go to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from uuid import UUID

from django.db import connection
from django.db.models import CharField, Count, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat, Substr
from django.urls import reverse

from incentives.earnings.models import Earning, Participation
from incentives.ledger.models import Account, Budget, Posting
from incentives.participants.models import Participant
from incentives.payouts.models import Payout
from incentives.programs.models import Program
from incentives.reports.journal_models import JournalAccount
from incentives.reports.journal_rules import Sides, role_name, sides

REAL = ~Q(source__book=Account.Book.BUDGET)
"""Postings that are bookings; the others are memo only."""
CHUNK = 1000


class Mapping:
    """The customer's accounts, read once: the account of a role, a program's before its budget's before the general one."""

    def __init__(self, accounts: Iterable[JournalAccount] | None = None):
        rows = JournalAccount.objects.select_related("program", "budget") if accounts is None else accounts
        self.rows = list(rows)
        self._by_key = {(row.role, row.program_id, row.budget_id): row for row in self.rows}

    def of(self, role: str, program_id: int | None, budget_id: int | None) -> JournalAccount | None:
        keys = [(role, program_id, None), (role, None, budget_id), (role, None, None)]
        return next((self._by_key[key] for key in keys if key in self._by_key), None)

    def snapshot(self) -> list[dict]:
        """As it is kept with an export."""
        return [
            {
                "role": row.role, "program": str(row.program or ""), "budget": str(row.budget or ""),
                "number": row.number, "name": row.name, "cost_centre": row.cost_centre,
            }
            for row in self.rows
        ]  # fmt: skip


@dataclass(slots=True)
class Line:
    """What a posting is in the books. `debit` and `credit` are None where it is memo only or nobody mapped the role."""

    sides: Sides | None
    debit: JournalAccount | None = None
    credit: JournalAccount | None = None
    program: Program | None = None
    participant: Participant | None = None
    budget: Budget | None = None
    url: str = ""

    @property
    def missing(self) -> list[str]:
        """Roles without an account."""
        if self.sides is None:
            return []
        pairs = ((self.sides.debit, self.debit), (self.sides.credit, self.credit))
        return [role for role, account in pairs if account is None]

    @property
    def missing_names(self) -> list[str]:
        return [role_name(role) for role in self.missing]

    def side(self, name: str) -> str:
        """`debit` or `credit` in words: the account, or what is missing."""
        if self.sides is None:
            return ""
        account = getattr(self, name)
        return f"{account.number} {account.name}".strip() if account else role_name(getattr(self.sides, name))


class Lines(QuerySet):
    """Postings that each carry `line`. A page costs the same few queries whatever its length."""

    @cached_property
    def mapping(self) -> Mapping:
        return Mapping()

    def _fetch_all(self):
        fresh = self._result_cache is None
        super()._fetch_all()
        if fresh and self._iterable_class.__name__ == "ModelIterable":
            attach(self._result_cache, self.mapping)

    def iterator(self, chunk_size: int | None = CHUNK) -> Iterator[Posting]:
        rows = super().iterator(chunk_size=chunk_size)
        while batch := list(islice(rows, CHUNK)):
            attach(batch, self.mapping)
            yield from batch


def lines() -> Lines:
    """Every posting with its line, bookings and memo."""
    return Lines(Posting).select_related("source", "destination", "actor")


def attach(postings: list[Posting], mapping: Mapping) -> None:
    """Set `line` on each. At most four queries."""
    about = _Causes(postings)
    for posting in postings:
        program, participant, budget, url = about.of(posting)
        pair = sides(posting.source.book, posting.kind, posting.source.bucket, posting.destination.bucket)
        line = Line(pair, None, None, program, participant, budget, url)
        if pair:
            key = (program.pk if program else None, budget.pk if budget else None)
            line.debit, line.credit = mapping.of(pair.debit, *key), mapping.of(pair.credit, *key)
        posting.line = line


class _Causes:
    """What postings happened for, by the cause they name: `earning:`, `payout:`, `participation:` or `budget:<public id>`."""

    READ = {
        "payout": (Payout, ("program", "participant", "budget")),
        "earning": (Earning, ("participation__program__budget", "participation__participant")),
        "participation": (Participation, ("program__budget", "participant")),
        "budget": (Budget, ()),
    }

    def __init__(self, postings: list[Posting]):
        wanted: dict[str, set[UUID]] = {}
        for posting in postings:
            kind, _colon, text = posting.cause.partition(":")
            if kind in self.READ and (public_id := _uuid(text)):
                wanted.setdefault(kind, set()).add(public_id)
        self.found = {kind: self._read(kind, ids) for kind, ids in wanted.items()}

    def _read(self, kind: str, ids: set[UUID]) -> dict[str, object]:
        model, related = self.READ[kind]
        rows = model.objects.filter(public_id__in=ids)
        if related:
            rows = rows.select_related(*related)
        return {str(row.public_id): row for row in rows}

    def of(self, posting: Posting) -> tuple:
        """(program, participant, budget, address of the page)."""
        kind, _colon, text = posting.cause.partition(":")
        thing = self.found.get(kind, {}).get(text)
        if thing is None:
            return None, None, None, ""
        if kind == "payout":
            return thing.program, thing.participant, thing.budget, thing.get_absolute_url()
        if kind == "budget":
            return None, None, thing, thing.get_absolute_url()
        part = thing.participation if kind == "earning" else thing
        url = thing.get_absolute_url() if kind == "earning" else reverse("payouts:recovery-one", args=[part.public_id])
        return part.program, part.participant, part.program.budget, url


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# --- filters ------------------------------------------------------------------------------------------------------------
def of_program(program: Program) -> Q:
    """Postings that belong to one program."""
    return (
        _caused("payout", Payout.objects.filter(program=program))
        | _caused("earning", Earning.objects.filter(participation__program=program))
        | _caused("participation", Participation.objects.filter(program=program))
    )


def of_budget(budget: Budget) -> Q:
    """Postings of a budget's buckets, of the payouts paid from it, and of what its programs earn."""
    return (
        Q(source__budget=budget)
        | Q(destination__budget=budget)
        | _caused("payout", Payout.objects.filter(budget=budget))
        | _caused("earning", Earning.objects.filter(participation__program__budget=budget))
        | _caused("participation", Participation.objects.filter(program__budget=budget))
    )


def _caused(prefix: str, rows: QuerySet) -> Q:
    named = rows.order_by().annotate(
        caused=Concat(Value(f"{prefix}:"), uuid_text("public_id"), output_field=CharField())
    )
    return Q(cause__in=named.values("caused"))


def uuid_text(field: str):
    """A public id as postings write it. SQLite keeps it without dashes."""
    if connection.vendor == "postgresql":
        return Cast(F(field), CharField())
    raw = Cast(F(field), CharField())
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    parts = [part for start, length in cuts for part in (Substr(raw, start, length), Value("-"))][:-1]
    return Concat(*parts, output_field=CharField())


def roles_in_use() -> dict[str, int]:
    """Role -> how many bookings there are on it, of the whole ledger. One query."""
    found: dict[str, int] = {}
    parts = ("source__book", "kind", "source__bucket", "destination__bucket")
    for *values, count in Posting.objects.filter(REAL).order_by().values_list(*parts).annotate(n=Count("pk")):
        for role in sides(*values) or ():
            found[role] = found.get(role, 0) + count
    return found
