"""The side of payouts that tax asks (tax.sources.Amounts): what was delivered, what may still be, what waits.

A payout counts in the year of the UTC date on which its order was completed: the moment its card was proven issued, set in the
transaction that writes its `paid:` posting. What a correction takes back later is recovered from the next payout, which is
smaller by it: so the next delivery counts less, and a delivery that happened is never unsaid.
"""

from collections.abc import Collection
from datetime import UTC, date, timedelta

from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from incentives.core.days import utc_midnight
from incentives.payouts.models import Hold, Payout
from incentives.tax.sources import Amount, Held
from rewards.money import Money

S = Payout.Status
IN_FLIGHT = (S.SUBMITTED, S.APPROVED, S.ORDERED)
KINDS = (Hold.Kind.TAX, Hold.Kind.TAX_REVIEW)


def delivered(first: date, last: date, participants: Collection[int] | None = None) -> list[Amount]:
    """Sums of delivered payouts by person, UTC day and currency. One query."""
    rows = _of(participants).filter(
        status=S.FULFILLED,
        order__finished_at__gte=utc_midnight(first),
        order__finished_at__lt=utc_midnight(last + timedelta(days=1)),
    )
    days = rows.order_by().annotate(day=TruncDate("order__finished_at", tzinfo=UTC))
    sums = days.values_list("participant_id", "day", "currency").annotate(n=Sum("amount_minor"))
    return [Amount(who, day, Money(minor, currency)) for who, day, currency, minor in sums]


def in_flight(participants: Collection[int] | None = None, *, but: Collection[int] = (), today: date) -> list[Amount]:
    """Sums of payouts that may still be delivered, by person and currency, dated `today`. One query."""
    rows = _of(participants).filter(status__in=IN_FLIGHT).exclude(pk__in=but)
    sums = rows.order_by().values_list("participant_id", "currency").annotate(n=Sum("amount_minor"))
    return [Amount(who, today, Money(minor, currency)) for who, currency, minor in sums]


def held(participants: Collection[int] | None = None) -> dict[int, Held]:
    """What awaits approval and waits for a tax reason. One query."""
    waiting = Hold.objects.filter(kind__in=KINDS, lifted_at__isnull=True).values("payout")
    rows = _of(participants).filter(status=S.SUBMITTED, pk__in=waiting)
    found: dict[int, Held] = {}
    sums = rows.order_by("currency").values_list("participant_id", "currency")
    for who, currency, count, minor in sums.annotate(count=Count("pk"), n=Sum("amount_minor")):
        before = found.get(who, Held(0, ()))
        found[who] = Held(before.count + count, (*before.sums, Money(minor, currency)))
    return found


def waits_of(participant) -> set[str]:
    """Which tax reasons (Hold.Kind) hold this person's payouts now. One query."""
    waiting = Hold.objects.filter(kind__in=KINDS, lifted_at__isnull=True, payout__status=S.SUBMITTED)
    return set(waiting.filter(payout__participant=participant).order_by().values_list("kind", flat=True).distinct())


def _of(participants: Collection[int] | None):
    return Payout.objects.all() if participants is None else Payout.objects.filter(participant__in=participants)
