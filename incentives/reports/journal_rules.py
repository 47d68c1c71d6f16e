"""Which ledger postings are bookings of the customer's own books, and between which of their accounts.

The rule, told with a worked example in docs/finance.md, "The books":

- the *budget* book (available, reserved, committed, spent) is control of what may be promised: memo only, never booked;
- the *participant* book is what the customer owes and is owed: each kind has one pair of accounts below;
- the *cash* book is the money at the provider: what a posting moves from one account to another is a credit of the one and a
  debit of the other.

Pure: no database.
"""

from typing import NamedTuple

from django.utils.translation import gettext_lazy as _

BUDGET, PARTICIPANT, CASH = "budget", "participant", "cash"

ROLES = {
    "expense": _("Incentive expense"),
    "liability": _("Incentives earned, not paid"),
    "cards": _("Cards issued, clearing"),
    "recoverable": _("Recoverable from participants"),
    "write_off": _("Incentives written off"),
    "deposit": _("Deposit at the provider"),
    "bank": _("Bank"),
    "fees": _("Provider fees"),
    "shipping": _("Shipping of cards"),
    "discount": _("Provider discounts"),
}
"""What an account of the customer's books is for."""

PROPOSAL = {
    "expense": ("6150", "Sales incentives"),
    "liability": ("2150", "Accrued sales incentives"),
    "cards": ("1195", "Gift cards issued, clearing"),
    "recoverable": ("1290", "Due from incentive recipients"),
    "write_off": ("6155", "Sales incentives written off"),
    "deposit": ("1190", "Prepaid rewards at the provider"),
    "bank": ("1000", "Bank"),
    "fees": ("6160", "Reward provider fees"),
    "shipping": ("6165", "Reward shipping"),
    "discount": ("4190", "Reward provider discounts"),
}
"""Numbers of a usual chart of accounts (1 assets, 2 liabilities, 4 income, 6 expenses), to begin with."""

KINDS = {
    "earn": _("Earned"),
    "unearn": _("Earning corrected"),
    "paid": _("Card paid what was earned"),
    "recoverable": _("Paid too much"),
    "recovered": _("Recovered from a payout"),
    "earned_again": _("Earned again"),
    "written_off": _("Written off"),
    "write_off_undone": _("Write-off taken back"),
    "card": _("Card bought"),
    "fee": _("Provider fee"),
    "discount": _("Provider discount"),
    "allocate": _("Budget funded"),
    "return": _("Budget withdrawn"),
    "reserve": _("Reserved"),
    "unreserve": _("Reservation released"),
    "commit": _("Committed"),
    "settle": _("Spent"),
    "release": _("Released"),
}

_PARTICIPANT = {  # kind -> (debit, credit)
    "earn": ("expense", "liability"),
    "unearn": ("liability", "expense"),
    "paid": ("liability", "cards"),
    "recoverable": ("recoverable", "liability"),
    "recovered": ("liability", "recoverable"),
    "earned_again": ("liability", "recoverable"),
    "written_off": ("write_off", "recoverable"),
    "write_off_undone": ("recoverable", "write_off"),
}


class Sides(NamedTuple):
    """The roles that a posting's amount is debited and credited to."""

    debit: str
    credit: str


def sides(book: str, kind: str, source: str, destination: str) -> Sides | None:
    """The pair of a posting in `book` between two buckets; None for memo only.

    A bucket of the cash book that no role is named after is a role of its own, a kind nobody gave a rule is
    `no_rule:<kind>`: both are unmapped until somebody decides, and no final export leaves them out in silence.
    """
    if book == BUDGET:
        return None
    if book == CASH:
        return Sides(destination, source)
    return Sides(*_PARTICIPANT[kind]) if kind in _PARTICIPANT else Sides(f"no_rule:{kind}", f"no_rule:{kind}")


def role_name(role: str) -> str:
    return str(ROLES.get(role, role.replace("_", " ").capitalize()))


def kind_name(kind: str) -> str:
    return str(KINDS.get(kind, kind.replace("_", " ").capitalize()))
