"""What was earned and is not paid, and what was paid too much, by month: from the postings alone.

    closing = opening + earned + corrected - paid + set aside as paid too much
    recoverable at the end = recoverable at the beginning + set aside - written off

"Set aside" is what was paid too much in the month, less what came back of it: a debt of the participant's does not make what
others are owed smaller. Both closings are the balances of the accounts `liability` and `recoverable` of the journal.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.db.models import BooleanField, Case, CharField, F, Sum, Value, When

from incentives.earnings.models import Participation
from incentives.ledger.models import Account, Posting
from incentives.payouts.services.months import month_after
from incentives.reports.journal_rules import PARTICIPANT, sides
from rewards.money import Money

FIGURES = (
    "opening", "earned", "corrected", "paid", "aside", "closing", "owed_before", "written_off", "owed",
)  # fmt: skip


@dataclass(slots=True)
class Accrual:
    """One participation's or program's month in minor units. `corrected` and `paid` are what they take away, shown negative;
    `owed` is recoverable from participants."""

    currency: str
    opening: int = 0
    earned: int = 0
    corrected: int = 0
    paid: int = 0
    aside: int = 0
    closing: int = 0
    owed_before: int = 0
    written_off: int = 0
    owed: int = 0
    people: int = 0

    def book(self, kind: str, minor: int, before: bool) -> None:
        """Count `minor` of a kind of posting of the participant book, from before the month or in it."""
        pair = sides(PARTICIPANT, kind, "", "")
        liability = minor * ((pair.credit == "liability") - (pair.debit == "liability"))
        owed = minor * ((pair.debit == "recoverable") - (pair.credit == "recoverable"))
        self.closing += liability
        self.owed += owed
        if before:
            self.opening += liability
            self.owed_before += owed
        elif "recoverable" in pair and "liability" in pair:
            self.aside += liability
        elif "write_off" in pair:
            self.written_off += owed
        elif kind == "paid":
            self.paid += liability
        elif liability > 0:
            self.earned += liability
        else:
            self.corrected += liability

    def add(self, other: "Accrual") -> None:
        for name in (*FIGURES, "people"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def money(self, name: str) -> Money:
        return Money(getattr(self, name), self.currency)

    @property
    def anything(self) -> bool:
        return any(getattr(self, name) for name in FIGURES)


def by_participation(month: date) -> dict[UUID, Accrual]:
    """Participation (public id) -> its month. One query over the participant book, grouped."""
    own = Case(When(destination__tracked=True, then=F("destination__code")), default=F("source__code"), output_field=CharField())  # fmt: skip
    before = Case(When(booked_on__lt=month, then=Value(True)), default=Value(False), output_field=BooleanField())
    rows = Posting.objects.filter(source__book=Account.Book.PARTICIPANT, booked_on__lt=month_after(month))
    grouped = rows.order_by().annotate(own=own, before=before).values_list("own", "kind", "currency", "before")
    found: dict[UUID, Accrual] = {}
    for code, kind, currency, early, minor in grouped.annotate(total=Sum("amount_minor")):
        public_id = UUID(code.split(":")[1])
        found.setdefault(public_id, Accrual(currency)).book(kind, minor, early)
    for figures in found.values():
        figures.people = 1 if figures.closing or figures.owed else 0
    return {public_id: figures for public_id, figures in found.items() if figures.anything}


def by_program(month: date) -> dict[int, Accrual]:
    """Program id -> its month."""
    people = by_participation(month)
    found: dict[int, Accrual] = {}
    for public_id, program_id in Participation.objects.values_list("public_id", "program_id"):
        if public_id in people:
            figures = people[public_id]
            found.setdefault(program_id, Accrual(figures.currency)).add(figures)
    return found


def totals(rows: Iterable[Accrual]) -> list[Accrual]:
    """One sum per currency."""
    found: dict[str, Accrual] = defaultdict(lambda: Accrual(""))
    for row in rows:
        found[row.currency].currency = row.currency
        found[row.currency].add(row)
    return [found[currency] for currency in sorted(found)]
