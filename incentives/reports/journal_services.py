"""What finance does with the journal: the mapping of accounts, and the final journal of a closed month."""

import gzip
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date
from decimal import Decimal
from itertools import zip_longest

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from incentives.core import audit, exports
from incentives.core.errors import NotAllowed
from incentives.ledger.models import Budget, PeriodClose, Posting
from incentives.payouts import month_selectors
from incentives.payouts.services.months import month_after
from incentives.programs.models import Program
from incentives.reports.journal import CHUNK, REAL, Mapping, lines
from incentives.reports.journal_errors import AccountInvalid, JournalRefused
from incentives.reports.journal_models import JournalAccount, JournalExport
from incentives.reports.journal_rules import PROPOSAL, ROLES, kind_name, role_name
from rewards.money import Money

HEADER = (
    "Line", "Booked on", "Account", "Account name", "Cost centre", "Debit", "Credit", "Currency", "Text", "Program",
    "Participant", "Budget", "Posted at (UTC)", "By", "Month", "Kind", "Posting", "Cause", "Page",
)  # fmt: skip
"""In English whoever makes it: the file is the same to the byte."""
POSTING, MONEY = HEADER.index("Posting"), (HEADER.index("Debit"), HEADER.index("Credit"))


# --- the mapping --------------------------------------------------------------------------------------------------------
def set_account(
    *, role: str, number: str, actor, name: str = "", cost_centre: str = "", budget: Budget | None = None,
    program: Program | None = None, account: JournalAccount | None = None,
) -> JournalAccount:  # fmt: skip
    """Say where a role's bookings go: in general, or for one budget or program. `account`: the one to change.

    Raises NotAllowed, AccountInvalid (no number, both a budget and a program, taken already). A repeat changes nothing.
    """
    _require(actor)
    values = {"number": number.strip(), "name": name.strip(), "cost_centre": cost_centre.strip()}
    if not values["number"]:
        raise AccountInvalid("Give the number of the account in your general ledger.")
    if budget is not None and program is not None:
        raise AccountInvalid("Choose a budget or a program, not both: a program's account goes first anyway.")
    where = {"role": role, "budget": budget, "program": program}
    with transaction.atomic():
        row = JournalAccount.objects.select_for_update(no_key=True).filter(pk=account.pk).first() if account else None
        before = _shown(row) if row else {}
        row = row or JournalAccount()
        for field, value in {**where, **values}.items():
            setattr(row, field, value)
        row.edited_by = actor
        if before == _shown(row):
            return row
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError as exc:
            raise AccountInvalid(
                f"{role_name(role)} has an account for {row.applies_to} already. Change that one."
            ) from exc
        audit.record("journal_account.set", row, actor=actor, before=before, after=_shown(row))
    return row


def remove_account(*, account: JournalAccount, actor) -> None:
    """Take an account out of the mapping; what it was for goes to the general one, or is unmapped. A repeat does nothing."""
    _require(actor)
    with transaction.atomic():
        row = JournalAccount.objects.select_for_update(no_key=True).filter(pk=account.pk).first()
        if row is not None:
            audit.record("journal_account.removed", row, actor=actor, before=_shown(row))
            row.delete()


def use_proposal(*, actor) -> list[JournalAccount]:
    """Give every role without a general account the usual number. Returns the new ones; a repeat adds none."""
    _require(actor)
    with transaction.atomic():
        general = JournalAccount.objects.filter(budget=None, program=None)
        taken = set(general.values_list("role", flat=True))
        return [
            set_account(role=role, number=number, name=name, actor=actor)
            for role, (number, name) in PROPOSAL.items()
            if role not in taken
        ]


def roles_without_account() -> list[str]:
    """Roles in words that have no general account."""
    taken = set(JournalAccount.objects.filter(budget=None, program=None).values_list("role", flat=True))
    return [str(name) for role, name in ROLES.items() if role not in taken]


def _shown(row: JournalAccount) -> dict:
    return {
        "role": row.role, "for": row.applies_to, "number": row.number, "name": row.name, "cost_centre": row.cost_centre,
    }  # fmt: skip


def _require(actor) -> None:
    if not actor.can("accounting.edit"):
        raise NotAllowed("Only finance may change the books.")


# --- the final journal of a month -----------------------------------------------------------------------------------------
def make_journal(*, month: date, actor) -> JournalExport:
    """The final journal of a closed month. The month's closing has one: a repeat returns it, whatever was renamed since.

    Raises NotAllowed, JournalRefused (the month is open, bookings without an account, or the sums differ from the list of
    months, which is a fault to look into).
    """
    _require(actor)
    with transaction.atomic():
        close = (
            PeriodClose.objects.select_for_update(of=("self",), no_key=True)
            .filter(month=month, reopened_at=None)
            .first()
        )
        if close is None:
            raise JournalRefused(f"{month:%B %Y} is open. Close it first: the journal of an open month is not final.")
        standing = JournalExport.objects.filter(close=close).first()
        if standing is not None:
            return standing
        made = _Journal(month)
        content = made.content()
        made.check()
        last = JournalExport.objects.filter(month=month).aggregate(n=Max("number"))["n"] or 0
        export = JournalExport(
            month=month, number=last + 1, close=close, line_count=made.count, totals=dict(made.totals),
            accounts=made.mapping.snapshot(), sha256=made.sha256, content=content, created_by=actor,
        )  # fmt: skip
        try:
            with transaction.atomic():
                export.save(force_insert=True)
        except IntegrityError:  # somebody made it in the same moment
            return JournalExport.objects.get(close=close)
        audit.record(
            "journal.made", export, actor=actor,
            after={"lines": made.count, "totals": dict(made.totals), "sha256": made.sha256},
        )  # fmt: skip
    return export


class _Journal:
    """One month's bookings as CSV, two lines each: first the debit, then the credit."""

    def __init__(self, month: date):
        self.month, self.mapping = month, Mapping()
        self.count = 0
        self.totals: dict[str, int] = defaultdict(int)
        self.kinds: dict[tuple[str, str], int] = defaultdict(int)
        self.missing: dict[str, int] = defaultdict(int)
        self.sha256 = ""

    def content(self) -> bytes:
        """The gzipped CSV; sets the sums."""
        digest, out = hashlib.sha256(), io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed:
            for piece in exports.csv_chunks(HEADER, self._chunks()):
                digest.update(piece)
                packed.write(piece)
        self.sha256 = digest.hexdigest()
        return out.getvalue()

    def _chunks(self) -> Iterator[list[list]]:
        rows = lines().filter(REAL, booked_on__gte=self.month, booked_on__lt=month_after(self.month))
        batch: list[list] = []
        for posting in rows.order_by("currency", "booked_on", "pk").iterator():
            batch += self._pair(posting)
            if len(batch) >= CHUNK:
                yield batch
                batch = []
        yield batch

    def _pair(self, posting: Posting) -> list[list]:
        for role in posting.line.missing:
            self.missing[role_name(role)] += 1
        self.totals[posting.currency] += posting.amount_minor
        self.kinds[posting.kind, posting.currency] += posting.amount_minor
        amount = posting.amount.decimal
        self.count += 2
        return [
            _row(self.count - 1, posting, posting.line.debit, amount, None),
            _row(self.count, posting, posting.line.credit, None, amount),
        ]

    def check(self) -> None:
        """Raises JournalRefused with everything that is missing, or what differs from the list of months."""
        if self.missing:
            what = ", ".join(f"{role} ({count})" for role, count in sorted(self.missing.items()))
            raise JournalRefused(
                f"Bookings of {self.month:%B %Y} have no account: {what}. Give each an account, then make the journal."
            )
        wanted: dict[tuple[str, str], int] = defaultdict(int)
        for row in month_selectors.by_program(self.month):
            wanted["earned", row.program.currency] += row.earned
            wanted["paid", row.program.currency] += row.paid
        for currency in {currency for _name, currency in [*wanted, *self.kinds]}:
            earned = self.kinds["earn", currency] - self.kinds["unearn", currency]
            for name, minor in (("earned", earned), ("paid", self.kinds["paid", currency])):
                if minor != wanted[name, currency]:
                    raise JournalRefused(
                        f"The journal has {Money(minor, currency)} {name} in {self.month:%B %Y}, the list of months "
                        f"{Money(wanted[name, currency], currency)}. Run manage.py check_ledger before you go on."
                    )


def _row(number: int, posting: Posting, account: JournalAccount | None, debit, credit) -> list:
    line, who = posting.line, posting.line.participant
    text = " · ".join(str(part) for part in (_kind(posting.kind), line.program) if part)
    return [
        number, posting.booked_on, account.number if account else "", account.name if account else "",
        account.cost_centre if account else "", debit, credit, posting.currency, text, str(line.program or ""),
        (who.external_user_id or str(who.public_id)) if who else "", str(line.budget or ""),
        posting.posted_at.astimezone(UTC).replace(tzinfo=None), str(posting.actor or ""), f"{posting.booked_on:%Y-%m}",
        posting.kind, posting.key, posting.cause, f"{settings.BASE_URL}{line.url}" if line.url else "",
    ]  # fmt: skip


def _kind(kind: str) -> str:
    from django.utils import translation

    with translation.override("en"):
        return kind_name(kind)


# --- reading one again ------------------------------------------------------------------------------------------------------
def csv_of(export: JournalExport) -> bytes:
    """The file as it was made. Raises JournalRefused when it no longer is."""
    content = gzip.decompress(bytes(export.content))
    if hashlib.sha256(content).hexdigest() != export.sha256:
        raise JournalRefused("This journal is not what it was when it was made. Tell whoever runs Laurel.")
    return content


def rows_of(export: JournalExport) -> list[list[str]]:
    """The lines without the header, as texts."""
    import csv

    return list(csv.reader(io.StringIO(csv_of(export).decode("utf-8-sig"))))[1:]


def typed_rows(export: JournalExport) -> list[list]:
    """The lines with numbers as numbers. Raises JournalRefused when there are more than a spreadsheet is for."""
    if export.line_count > exports.XLSX_ROWS:
        raise JournalRefused(f"An Excel file holds at most {exports.XLSX_ROWS:,} lines here. Take the CSV.")
    kinds = [int, date.fromisoformat, *[str] * 3, Decimal, Decimal]
    return [
        [kind(text) if text else None for kind, text in zip_longest(kinds, row, fillvalue=str)]
        for row in rows_of(export)
    ]


def differences(export: JournalExport) -> dict | None:
    """What this journal has that the one before it of the same month had not: None for the first.

    `added`, `gone`: lines by posting and side; `changed`: pairs (before, now) whose account or words differ.
    """
    before = JournalExport.objects.filter(month=export.month, number=export.number - 1).first()
    if before is None:
        return None
    old, new = _by_side(before), _by_side(export)
    return {
        "before": before,
        "added": [new[key] for key in new if key not in old],
        "gone": [old[key] for key in old if key not in new],
        "changed": [(old[key], new[key]) for key in new if key in old and old[key][1:] != new[key][1:]],
    }


def _by_side(export: JournalExport) -> dict[tuple[str, bool], list[str]]:
    return {(row[POSTING], bool(row[MONEY[0]])): row for row in rows_of(export)}


def record_fetch(export: JournalExport, *, kind: str, actor) -> None:
    with transaction.atomic():
        audit.record("journal.fetched", export, actor=actor, after={"format": kind})
