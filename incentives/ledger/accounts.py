"""Which accounts there are. Names are made here and nowhere else."""

from collections.abc import Iterable

from incentives.ledger.models import Account, Budget

AVAILABLE, RESERVED, COMMITTED, SPENT = "available", "reserved", "committed", "spent"
BUCKETS = (AVAILABLE, RESERVED, COMMITTED, SPENT)
EARNED, PAID, RECOVERABLE = "earned", "paid", "recoverable"
PARTICIPANT_BUCKETS = (EARNED, PAID, RECOVERABLE)
BANK, DEPOSIT, CARDS, FEES, DISCOUNT, SHIPPING = "bank", "deposit", "cards", "fees", "discount", "shipping"


def create_budget_accounts(budget: Budget) -> None:
    """The four buckets of a new budget. A repeat changes nothing."""
    Account.objects.bulk_create(
        [
            Account(
                code=f"budget:{budget.public_id}:{bucket}",
                book=Account.Book.BUDGET,
                bucket=bucket,
                currency=budget.currency,
                budget=budget,
            )
            for bucket in BUCKETS
        ],
        ignore_conflicts=True,
    )


def budget_accounts(budget: Budget) -> dict[str, Account]:
    """The buckets by name: available, reserved, committed, spent."""
    return {account.bucket: account for account in Account.objects.filter(budget=budget).select_related("budget")}


def world(purpose: str, currency: str, *, book: str) -> Account:
    """The outside of a book, untracked: where money comes from and goes to. `purpose` is for example funding, accrual."""
    return _get(f"world:{book}:{purpose}:{currency}", book, purpose, currency, tracked=False)


def cash(bucket: str, currency: str) -> Account:
    """An account of the cash book. Untracked: deposits are entered by people, the provider's own balance is the truth."""
    return _get(f"cash:{bucket}:{currency}", Account.Book.CASH, bucket, currency, tracked=False)


def _get(code: str, book: str, bucket: str, currency: str, *, tracked: bool) -> Account:
    account = Account.objects.filter(code=code).first()
    if account is None:
        values = {"book": book, "bucket": bucket, "currency": currency, "tracked": tracked}
        account, _ = Account.objects.get_or_create(code=code, defaults=values)
    return account


def participant_accounts(owners: Iterable[tuple[str, str]]) -> dict[str, dict[str, Account]]:
    """Accounts of (owner, currency) pairs, made where missing: owner -> bucket -> account.

    `owner` is the public id of a participation (one participant in one program). `earned` is everything earned so far,
    net of corrections; `paid` what cards were issued for; `recoverable` what was paid and is no longer earned.
    """
    owners = list(owners)
    codes = [
        (owner, currency, bucket, f"participant:{owner}:{bucket}")
        for owner, currency in owners
        for bucket in PARTICIPANT_BUCKETS
    ]
    known = _by_code(code for *_, code in codes)
    missing = [
        Account(code=code, book=Account.Book.PARTICIPANT, bucket=bucket, currency=currency)
        for _, currency, bucket, code in codes
        if code not in known
    ]
    if missing:
        Account.objects.bulk_create(missing, ignore_conflicts=True, batch_size=500)
        known = _by_code(code for *_, code in codes)
    result: dict[str, dict[str, Account]] = {owner: {} for owner, _ in owners}
    for owner, _, bucket, code in codes:
        result[owner][bucket] = known[code]
    return result


def _by_code(codes: Iterable[str]) -> dict[str, Account]:
    codes, found = list(codes), {}
    for start in range(0, len(codes), 900):
        found |= {a.code: a for a in Account.objects.filter(code__in=codes[start : start + 900])}
    return found
