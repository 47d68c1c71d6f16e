"""From which budget on a second manager must confirm what is published.

What is compared is the total allocation of the linked budget: all the program could be paid from, and the one figure its
author cannot choose. Without a row for a currency 10,000.00 holds.
"""

from decimal import Decimal

from django.db import transaction

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.ledger.models import Budget
from incentives.ledger.selectors import budget_figures
from incentives.programs.errors import ProgramInvalid
from incentives.programs.models import ReviewLimit
from rewards.money import MINOR_DIGITS, Money

DEFAULT = Decimal(10_000)
"""In major units of any currency."""


def limit_for(currency: str, actor=None) -> Money:
    """The limit in force. One that `actor` set does not count for them: nobody loosens a rule and then passes by it."""
    row = ReviewLimit.objects.filter(currency=currency).first()
    standard = Money.from_decimal(DEFAULT, currency)
    if row is None:
        return standard
    own = actor is not None and row.edited_by_id == actor.pk
    return min(row.amount, standard) if own else row.amount


def asks(budget: Budget | None, actor=None) -> bool:
    """Whether what is paid from `budget` needs a second manager."""
    return budget is not None and allocation(budget) > limit_for(budget.currency, actor)


def allocation(budget: Budget) -> Money:
    """What finance has put into the budget in all, used or not."""
    return budget_figures([budget])[budget.pk].allocated


def save_limit(*, currency: str, amount: Money, actor) -> ReviewLimit:
    """Set the limit of a currency. A repeat writes nothing. Raises NotAllowed, ProgramInvalid."""
    if not actor.can("review_limits.edit"):
        raise NotAllowed("Only finance or an administrator may change review limits.")
    if currency not in MINOR_DIGITS or amount.currency != currency or amount.minor < 0:
        raise ProgramInvalid("Expected a currency and an amount in it, zero or more.")
    with transaction.atomic():
        row = ReviewLimit.objects.select_for_update(no_key=True).filter(currency=currency).first()
        if row is not None and row.amount_minor == amount.minor:
            return row
        before = str(limit_for(currency))
        row = row or ReviewLimit(currency=currency)
        row.amount_minor, row.edited_by = amount.minor, actor
        row.save()
        audit.record("review_limit.set", row, actor=actor, before={"limit": before}, after={"limit": str(amount)})
    return row
