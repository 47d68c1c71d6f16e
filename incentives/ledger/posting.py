"""The only code that moves money between accounts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date

from django.db import IntegrityError, connection, transaction
from django.db.models import Case, F, Value, When
from django.utils import timezone

from incentives.ledger.errors import InsufficientFunds, KeyReused, MonthClosed
from incentives.ledger.models import Account, Posting
from incentives.ledger.periods import closed_months, keep_months_open
from rewards.money import Money


@dataclass(frozen=True, slots=True)
class Move:
    """One posting to be made. `key` is unique for ever; `cause` names what it happened for. `booked_on`: the accounting
    day, where it is not today (UTC)."""

    key: str
    amount: Money
    source: Account
    destination: Account
    kind: str
    cause: str
    memo: str = ""
    booked_on: date | None = None


def post(key: str, amount: Money, source: Account, destination: Account, *, kind: str, cause: str, actor=None, memo=""):
    """Make one posting; see `post_all`."""
    return post_all([Move(key, amount, source, destination, kind, cause, memo)], actor=actor)[0]


def post_all(moves: Sequence[Move], *, actor=None) -> list[Posting]:
    """Make all of `moves` or none, in the caller's transaction. Amounts are positive whole minor units.

    A repeat (same key, same values) returns the posting that stands and changes nothing. Balances of tracked accounts
    change with it, locked in the order of their ids.
    Raises: KeyReused (same key, other values), InsufficientFunds (a tracked account would go below zero), MonthClosed
    (it is to be booked into a closed month), ValueError (an amount that is not positive or whose currency differs from
    an account's). After an error nothing of it remains.
    Source: docs/architecture.md, promises 4 and 5.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("postings must share the transaction of what they record")
    for move in moves:
        _check(move)
    standing = {p.key: p for p in Posting.objects.filter(key__in=[m.key for m in moves])} if moves else {}
    new = [move for move in moves if move.key not in standing]
    for move in moves:
        if move.key in standing:
            _same_or_raise(standing[move.key], move)
    if new:
        today = timezone.now().astimezone(UTC).date()
        _check_months(new, today)
        try:
            with transaction.atomic():  # a savepoint: an error leaves nothing of this call in the caller's transaction
                _apply(_net(new))
                rows = Posting.objects.bulk_create([_row(move, actor, today) for move in new], batch_size=500)
        except IntegrityError as exc:
            raise _explain(exc, new) from exc
        standing |= {row.key: row for row in rows}
    return [standing[move.key] for move in moves]


def _check(move: Move) -> None:
    if move.amount.minor <= 0:
        raise ValueError(f"{move.key}: a posting moves a positive amount, not {move.amount}")
    if not move.amount.currency == move.source.currency == move.destination.currency:
        raise ValueError(f"{move.key}: {move.amount} does not fit {move.source} and {move.destination}")


def _same_or_raise(posting: Posting, move: Move) -> None:
    stands = (posting.amount_minor, posting.currency, posting.source_id, posting.destination_id)
    if stands != (move.amount.minor, move.amount.currency, move.source.pk, move.destination.pk):
        raise KeyReused(move.key)


def _row(move: Move, actor, today: date) -> Posting:
    return Posting(
        key=move.key,
        source=move.source,
        destination=move.destination,
        amount_minor=move.amount.minor,
        currency=move.amount.currency,
        kind=move.kind,
        cause=move.cause,
        memo=move.memo[:200],
        actor=actor,
        booked_on=move.booked_on or today,
    )


def _check_months(moves: Sequence[Move], today: date) -> None:
    """Refuse what would be booked into a closed month. A month is closed after it has ended, so what is booked on a day of
    this one needs no look. A trigger on the table stands behind it (`ledger.guards`)."""
    past = {move.booked_on.replace(day=1): move for move in moves if move.booked_on}
    past = {month: move for month, move in past.items() if month < today.replace(day=1)}
    if not past:
        return
    keep_months_open()
    for month in closed_months() & past.keys():
        raise MonthClosed(month, past[month].key)


def _net(moves: Iterable[Move]) -> dict[int, int]:
    """Change in minor units per tracked account."""
    net: dict[int, int] = defaultdict(int)
    for move in moves:
        if move.source.tracked:
            net[move.source.pk] -= move.amount.minor
        if move.destination.tracked:
            net[move.destination.pk] += move.amount.minor
    return {pk: delta for pk, delta in net.items() if delta}


def _apply(net: dict[int, int]) -> None:
    """Lock in id order (no deadlock), refuse what would go below zero, then change all balances in one statement.

    The statement adds to the row as it is now, and the CHECK constraint stands behind it: right on SQLite as well,
    which ignores row locks.
    """
    if not net:
        return
    locked = (
        Account.objects.filter(pk__in=net)
        .select_related(None)
        .select_for_update(of=("self",), no_key=True)
        .order_by("pk")
    )
    for account in locked:
        if account.balance_minor + net[account.pk] < 0:
            raise InsufficientFunds(account, Money(-net[account.pk], account.currency), account.balance)
    change = Case(*(When(pk=pk, then=Value(delta)) for pk, delta in net.items()), default=Value(0))
    if Account.objects.filter(pk__in=net).update(balance_minor=F("balance_minor") + change) != len(net):
        raise RuntimeError("an account vanished while money moved")


def _explain(exc: IntegrityError, moves: Sequence[Move]) -> Exception:
    if "account_not_below_zero" in str(exc):
        return InsufficientFunds(moves[0].source, moves[0].amount)
    if "closed month" in str(exc):
        return MonthClosed(None, moves[0].key)
    taken = Posting.objects.filter(key__in=[m.key for m in moves]).values_list("key", flat=True)
    return KeyReused(taken[0]) if taken else exc
