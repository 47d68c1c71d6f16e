"""What a budget had available over time, from its postings alone."""

from datetime import UTC, date, timedelta

from django.db.models import Sum
from django.db.models.functions import TruncDate

from incentives.ledger.accounts import AVAILABLE
from incentives.ledger.models import Account, Budget, Posting

WEEKS = 26


def available_by_day(budget: Budget) -> dict[date, int]:
    """The change of what is available on each UTC day with postings, in minor units, by day in rising order."""
    account = Account.objects.get(budget=budget, bucket=AVAILABLE)
    changes: dict[date, int] = {}
    for end, sign in (("destination", 1), ("source", -1)):
        rows = Posting.objects.filter(**{end: account}).order_by()
        days = rows.annotate(day=TruncDate("posted_at", tzinfo=UTC)).values_list("day")
        for day, total in days.annotate(total=Sum("amount_minor")):
            changes[day] = changes.get(day, 0) + sign * total
    return dict(sorted(changes.items()))


def series(budget: Budget, today: date) -> list[tuple[date, int]]:
    """(day, available at its end): today and every seventh day before it, back to the week before the first posting and at
    most 26 weeks. Empty when nothing was posted."""
    changes = available_by_day(budget)
    if not changes:
        return []
    weeks = min(WEEKS, max(1, -((min(changes) - today).days // 7)))
    days = [today - timedelta(days=7 * n) for n in range(weeks, -1, -1)]
    return [(day, sum(change for at, change in changes.items() if at <= day)) for day in days]
