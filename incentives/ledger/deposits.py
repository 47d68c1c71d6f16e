"""The deposit account at the provider: what people entered, and what we believe stands there.

    balance = deposits - cost of cards issued (as reported, else expected) - cost expected of orders in flight

It is advice only: the provider documents no balance endpoint, and whether it takes an order is the sole authority
(engage2reward-api.md, section 3). Orders that wait for funds have drawn nothing and stand apart.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.core.templatetags.laurel import money_text
from incentives.ledger import accounts
from incentives.ledger.errors import DepositInvalid
from incentives.ledger.models import Account, DepositCheck, DepositEntry, DepositLimit, Posting
from incentives.ledger.posting import post
from incentives.ledger.services import MOST
from rewards.models import RewardOrder
from rewards.money import MINOR_DIGITS, Money

State = RewardOrder.State
IN_FLIGHT = (State.DRAFT, State.SUBMITTING, State.PENDING, State.REVIEW)
PACE_DAYS = 28
"""The present pace is the mean of so many days."""
Kind = DepositEntry.Kind


@dataclass(frozen=True, slots=True)
class Estimate:
    """The account in one currency, by the formula above. All in minor units of it."""

    currency: str
    deposits: Money
    cost: Money
    in_flight: Money
    waiting: Money
    waiting_count: int
    recent: Money
    """The cost of the last PACE_DAYS days."""
    low: Money | None

    @property
    def balance(self) -> Money:
        return self.deposits - self.cost - self.in_flight

    @property
    def is_low(self) -> bool:
        return self.low is not None and self.balance < self.low

    @property
    def days(self) -> int | None:
        """For how many whole days the balance lasts at the present pace; None while nothing is spent."""
        if self.recent.minor <= 0:
            return None
        return max(0, self.balance.minor) * PACE_DAYS // self.recent.minor

    @property
    def missing(self) -> Money:
        """What must be paid in before everything that waits can be sent."""
        return Money(max(0, self.waiting.minor - max(0, self.balance.minor)), self.currency)


# --- reading ------------------------------------------------------------------------------------------------------------
def visible_entries(user):
    return DepositEntry.objects.all() if user.can("deposits.view") else DepositEntry.objects.none()


def estimates(*, only_limited: bool = False) -> list[Estimate]:
    """One per currency in which anything was entered, limited or ordered; four queries for any number."""
    limits = dict(DepositLimit.objects.values_list("currency", "low_minor"))
    if only_limited and not limits:
        return []
    moved, orders = _moved(), _orders()
    currencies = set(limits) if only_limited else {settings.E2R_CURRENCY, *limits, *moved, *orders}
    return [_estimate(c, limits.get(c), moved.get(c, {}), orders.get(c, {})) for c in sorted(currencies)]


def estimate(currency: str) -> Estimate:
    limits = dict(DepositLimit.objects.filter(currency=currency).values_list("currency", "low_minor"))
    return _estimate(currency, limits.get(currency), _moved().get(currency, {}), _orders().get(currency, {}))


def _estimate(currency: str, low: int | None, moved: dict, orders: dict) -> Estimate:
    def money(value) -> Money:
        return Money(value or 0, currency)

    return Estimate(
        currency,
        deposits=money(moved.get("deposits")),
        cost=money(moved.get("cost")),
        in_flight=money(orders.get("flight")),
        waiting=money(orders.get("waiting")),
        waiting_count=orders.get("count") or 0,
        recent=money(moved.get("recent")),
        low=None if low is None else money(low),
    )


def _moved() -> dict[str, dict[str, int]]:
    """Deposits, cost and recent cost by currency, from the cash book's postings of the deposit account."""
    since = timezone.now() - timedelta(days=PACE_DAYS)
    found: dict[str, dict[str, int]] = {}
    for end, other, sign in (("destination", "source", 1), ("source", "destination", -1)):
        rows = Posting.objects.filter(**{f"{end}__book": Account.Book.CASH, f"{end}__bucket": accounts.DEPOSIT})
        rows = rows.order_by().values_list("currency", f"{other}__bucket")
        recent = Sum("amount_minor", filter=Q(posted_at__gte=since), default=0)
        for currency, bucket, total, lately in rows.annotate(total=Sum("amount_minor"), recent=recent):
            sums = found.setdefault(currency, {"deposits": 0, "cost": 0, "recent": 0})
            if bucket == accounts.BANK:
                sums["deposits"] += sign * total
            else:
                sums["cost"] -= sign * total
                sums["recent"] -= sign * lately
    return found


def _orders() -> dict[str, dict[str, int]]:
    """Card by card: a line that is not issued yet stands where its batch does, and the batch itself is not counted."""
    cost = Coalesce("expected_cost_minor", "amount_minor")
    waits = Q(state=State.UNFUNDED) | Q(state=State.BATCHED, batch__state=State.UNFUNDED)
    cards = RewardOrder.objects.filter(line_count=None)
    open_ones = cards.filter(state__in=(*IN_FLIGHT, State.BATCHED, State.UNFUNDED)).order_by()
    rows = open_ones.values("currency").annotate(
        flight=Sum(cost, filter=~waits), waiting=Sum(cost, filter=waits), count=Count("pk", filter=waits)
    )
    return {row["currency"]: row for row in rows}


def low_ones() -> list[Estimate]:
    return [found for found in estimates(only_limited=True) if found.is_low]


# --- entering -----------------------------------------------------------------------------------------------------------
def enter(*, amount: Money, on: date, reference: str, actor, note: str = "", kind: str = Kind.DEPOSIT) -> DepositEntry:
    """Note a deposit (above zero) or a correction (either sign, with a note) with the document behind it. The same entry
    again returns the one that stands: the key is currency and reference.

    Raises NotAllowed, DepositInvalid (zero, absurd, a day to come, no reference, a reference used for something else).
    """
    _require(actor)
    reference, note = " ".join(reference.split()), note.strip()[:200]
    _check(amount, on, reference, note, kind)
    key = f"{amount.currency}:{reference.lower()}"
    with transaction.atomic():
        standing = DepositEntry.objects.filter(key=key).first()
        if standing is not None:
            return _same_or_raise(standing, amount, on, kind)
        entry = _add(key=key, kind=kind, amount=amount, on=on, reference=reference, note=note, actor=actor)
        audit.record(f"deposit.{kind}", entry, actor=actor, reason=note, after=_told(entry))
    return entry


def reverse_entry(*, entry: DepositEntry, reason: str, actor) -> DepositEntry:
    """Undo an entry by a row of the opposite sign, today. A repeat returns the row that stands.

    Raises NotAllowed, DepositInvalid (no reason, the entry is a reversal itself).
    """
    _require(actor)
    if not reason.strip():
        raise DepositInvalid("Say why the entry is wrong; it stays visible with its reversal.")
    if entry.kind == Kind.REVERSAL:
        raise DepositInvalid("A reversal is not reversed. Enter the right amount under a reference of its own.")
    with transaction.atomic():
        standing = DepositEntry.objects.filter(reverses=entry).first()
        if standing is not None:
            return standing
        made = _add(
            key=f"reverse:{entry.public_id}", kind=Kind.REVERSAL, amount=-entry.amount, on=timezone.now().date(),
            reference=entry.reference, note=reason.strip()[:200], reverses=entry, actor=actor,
        )  # fmt: skip
        audit.record("deposit.reversed", made, actor=actor, reason=reason, after=_told(made))
    return made


def _add(*, amount: Money, actor, **values) -> DepositEntry:
    """The row and its posting. The unique keys of both refuse a second one that was entered at the same moment."""
    try:
        with transaction.atomic():
            entry = DepositEntry.objects.create(
                amount_minor=amount.minor, currency=amount.currency, entered_by=actor, **values
            )
    except IntegrityError as exc:
        raise DepositInvalid("Somebody entered this in this moment. Reload the page and look at the list.") from exc
    bank, deposit = (accounts.cash(name, amount.currency) for name in (accounts.BANK, accounts.DEPOSIT))
    ends = (bank, deposit) if amount.minor > 0 else (deposit, bank)
    post(
        f"deposit:{entry.public_id}",
        Money(abs(amount.minor), amount.currency),
        *ends,
        kind="deposit",
        cause=f"deposit:{entry.public_id}",
        memo=entry.reference,
        actor=actor,
    )
    return entry


def set_low(*, currency: str, low: Money | None, actor) -> None:
    """Warn below this estimated balance; None: never. A repeat changes nothing. Raises NotAllowed, DepositInvalid."""
    _require(actor)
    if currency not in MINOR_DIGITS or (low is not None and (low.currency != currency or low.minor < 0)):
        raise DepositInvalid("Expected a currency and an amount in it, zero or more.")
    with transaction.atomic():
        row = DepositLimit.objects.select_for_update(no_key=True).filter(currency=currency).first()
        before = Money(row.low_minor, currency) if row else None
        if before == low:
            return
        if low is not None:
            values = {"low_minor": low.minor, "set_by": actor}
            row, _new = DepositLimit.objects.update_or_create(currency=currency, defaults=values)
        before, after = ({"low": None if money is None else str(money)} for money in (before, low))
        audit.record("deposit.limit_set", row, actor=actor, before=before, after=after)
        if low is None:
            row.delete()


# --- comparing ------------------------------------------------------------------------------------------------------------
def compare(*, shown: Money, actor, note: str = "") -> DepositCheck:
    """Keep the balance the provider's portal shows beside our estimate of this moment. Raises NotAllowed, DepositInvalid."""
    _require(actor)
    if shown.currency not in MINOR_DIGITS or abs(shown.decimal) > MOST:
        raise DepositInvalid("Expected the balance the provider shows, in the account's currency.")
    with transaction.atomic():
        now = estimate(shown.currency)
        guessed = RewardOrder.objects.filter(
            state=State.COMPLETED, currency=shown.currency, cost_minor__isnull=True, line_count=None
        ).count()
        check = DepositCheck.objects.create(
            currency=shown.currency, shown_minor=shown.minor, deposits_minor=now.deposits.minor,
            cost_minor=now.cost.minor, in_flight_minor=now.in_flight.minor, guessed=guessed,
            note=note.strip()[:200], entered_by=actor,
        )  # fmt: skip
        after = {"shown": str(shown), "estimated": str(check.estimated), "difference": str(check.difference)}
        audit.record("deposit.compared", check, actor=actor, reason=note, after=after)
    return check


def latest_checks() -> list[DepositCheck]:
    """The newest of each currency."""
    newest = DepositCheck.objects.order_by().values("currency").annotate(last=Max("pk")).values("last")
    return list(DepositCheck.objects.filter(pk__in=newest).select_related("entered_by").order_by("currency"))


def explain(check: DepositCheck) -> list[str]:
    """What may explain the difference, in words; empty when there is none."""
    difference, flight = check.difference.minor, Money(check.in_flight_minor, check.currency)
    if not difference:
        return []
    found = []
    if difference == flight.minor:
        found.append(gettext("It is exactly the orders in flight: the provider has not charged them yet."))
    elif difference > 0 and flight:
        text = gettext("Up to %(amount)s of it may be orders in flight that are not charged yet.")
        found.append(text % {"amount": money_text(flight)})
    if difference < 0:
        found.append(gettext("A deposit may still be pending at the provider: only the available part can be spent."))
    if check.guessed:
        text = ngettext(
            "The cost of %(n)s card was not reported and is taken from the catalogue.",
            "The cost of %(n)s cards was not reported and is taken from the catalogue.",
            check.guessed,
        )
        found.append(text % {"n": check.guessed})
    if difference != flight.minor:
        found.append(
            gettext("What is left when that is ruled out, settle with the provider and enter it as a correction.")
        )
    return found


# --- guards -------------------------------------------------------------------------------------------------------------
def _require(actor) -> None:
    if not actor.can("deposits.edit"):
        raise NotAllowed("Only finance keeps the deposit account.")


def _check(amount: Money, on: date, reference: str, note: str, kind: str) -> None:
    if kind not in {Kind.DEPOSIT, Kind.CORRECTION}:
        raise DepositInvalid("Expected a deposit or a correction.")
    if amount.currency not in MINOR_DIGITS or amount.minor == 0 or (kind == Kind.DEPOSIT and amount.minor < 0):
        raise DepositInvalid("Give an amount above zero; only a correction may be negative.")
    if abs(amount.decimal) > MOST:
        raise DepositInvalid(f"{amount} is more than one entry may carry ({MOST:,}). Check the number.")
    if on > timezone.now().date() + timedelta(days=1):
        raise DepositInvalid("The day is still to come. Enter a deposit once it was paid.")
    if not reference or len(reference) > 70:
        raise DepositInvalid("Give the reference of the payment, up to 70 characters; it makes a repeat harmless.")
    if kind == Kind.CORRECTION and not note:
        raise DepositInvalid("Say in the note what is corrected and why.")


def _same_or_raise(standing: DepositEntry, amount: Money, on: date, kind: str) -> DepositEntry:
    if (standing.amount, standing.on, standing.kind) != (amount, on, kind):
        raise DepositInvalid(
            f"{standing.reference} was entered already: {standing.amount} on {standing.on}. Nothing was changed; reverse "
            "that entry if it is wrong, and enter the right one under a reference of its own."
        )
    return standing


def _told(entry: DepositEntry) -> dict:
    return {"amount": str(entry.amount), "on": entry.on.isoformat(), "reference": entry.reference}
