"""How much one person may fund alone, and changing that: one proposes, another confirms."""

from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.ledger.errors import BudgetInvalid, SameHands
from incentives.ledger.models import FundingLimit, Posting
from rewards.money import MINOR_DIGITS, Money

DEFAULT = Decimal(100_000)
"""In major units of any currency, where no limit is set."""
WINDOW = timedelta(hours=24)
"""What one person funded alone in this time counts together: a large sum does not pass as several small ones."""
ALONE = "budget:"
"""How the postings of one person alone name their cause; what a second person confirmed names its transfer."""


def limit_for(currency: str) -> Money:
    row = FundingLimit.objects.filter(currency=currency).first()
    return row.amount if row else Money.from_decimal(DEFAULT, currency)


def alone_lately(actor, currency: str) -> Money:
    """What this person funded without a second one in the last 24 hours, in all budgets of the currency."""
    rows = Posting.objects.filter(
        kind="allocate", actor=actor, currency=currency, cause__startswith=ALONE, posted_at__gt=timezone.now() - WINDOW
    )
    return Money(rows.aggregate(sum=Sum("amount_minor"))["sum"] or 0, currency)


def needs_second(actor, amount: Money) -> bool:
    return alone_lately(actor, amount.currency) + amount > limit_for(amount.currency)


def hold_still(actor) -> None:
    """Until the transaction ends this person funds nothing else: two requests at once would both fit below the limit."""
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)


# --- changing it ----------------------------------------------------------------------------------------------------------
def propose_limit(*, amount: Money, actor) -> FundingLimit:
    """Ask for another limit in the amount's currency; the present one holds until somebody else confirms. A proposal that
    waits is replaced. Raises NotAllowed, BudgetInvalid (below zero, or what holds already)."""
    _require(actor)
    if amount.currency not in MINOR_DIGITS or amount.minor < 0:
        raise BudgetInvalid("Expected a currency and an amount in it, zero or more.")
    with transaction.atomic():
        standard = {"amount_minor": limit_for(amount.currency).minor}
        FundingLimit.objects.get_or_create(currency=amount.currency, defaults=standard)
        row = FundingLimit.objects.select_for_update(no_key=True).get(currency=amount.currency)
        if row.amount_minor == amount.minor:
            raise BudgetInvalid(f"{amount} is the limit already.")
        row.proposed_minor, row.proposed_by, row.proposed_at = amount.minor, actor, timezone.now()
        row.save()
        audit.record(
            "funding_limit.proposed", row, actor=actor, before={"limit": str(row.amount)}, after={"limit": str(amount)}
        )
    return row


def confirm_limit(*, limit: FundingLimit, shown: Money, actor) -> FundingLimit:
    """The second person's word: what they were shown holds from now on. Raises NotAllowed, SameHands, BudgetInvalid (another
    figure waits now, or none)."""
    _require(actor)
    with transaction.atomic():
        row = FundingLimit.objects.select_for_update(no_key=True).get(pk=limit.pk)
        if row.proposed != shown:
            raise BudgetInvalid("This is another proposal than the one shown, or none. Reload the page and look again.")
        if row.proposed_by_id == actor.pk:
            raise SameHands("You proposed this limit; another person of finance must confirm it.")
        before = str(row.amount)
        changed = FundingLimit.objects.filter(
            pk=row.pk, proposed_minor=row.proposed_minor, proposed_by=row.proposed_by
        ).update(
            amount_minor=row.proposed_minor, set_by=row.proposed_by, confirmed_by=actor, confirmed_at=timezone.now(),
            proposed_minor=None, proposed_by=None, proposed_at=None,
        )  # fmt: skip
        if not changed:
            raise BudgetInvalid("Somebody changed this proposal in this moment. Reload the page and look again.")
        row.refresh_from_db()
        audit.record(
            "funding_limit.set", row, actor=actor, before={"limit": before},
            after={"limit": str(row.amount), "proposed_by": str(row.set_by)},
        )  # fmt: skip
    return row


def withdraw_limit(*, limit: FundingLimit, actor) -> None:
    """Take a proposal back, whoever made it. A repeat changes nothing. Raises NotAllowed."""
    _require(actor)
    with transaction.atomic():
        open_one = FundingLimit.objects.filter(pk=limit.pk, proposed_minor__isnull=False)
        if open_one.update(proposed_minor=None, proposed_by=None, proposed_at=None):
            audit.record("funding_limit.withdrawn", limit, actor=actor)


def _require(actor) -> None:
    if not actor.can("budgets.fund"):
        raise NotAllowed("Only finance may change how much one person funds alone.")
