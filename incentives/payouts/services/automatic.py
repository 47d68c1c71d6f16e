"""Payouts that a policy approves by itself, and that waited for something that ends by itself: funding, or terms."""

from django.db import transaction

from incentives.core import audit
from incentives.core.errors import DomainError
from incentives.payouts.models import Payout
from incentives.payouts.policies import DEFAULT_STEPS, active_policies, policy_for
from incentives.payouts.services.approve import approve_automatically, locked
from incentives.payouts.services.batches import send_together
from incentives.payouts.services.holds import missing_terms, open_holds
from incentives.payouts.services.options import missing_choice


def retry_automatic(limit: int = 200) -> int:
    """Approve what waits for nothing any more; returns how many. The sweep calls it; a repeat changes nothing."""
    waiting = Payout.objects.filter(status=Payout.Status.SUBMITTED, steps=[])
    approved = []
    for pk in list(waiting.order_by("pk").values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            payout = locked(pk)
            approved += [payout] if approve_by_policy(payout) else []
    send_together(approved)
    return len(approved)


def approve_by_policy(payout: Payout) -> bool:
    """Approve a payout whose policy asks nobody, if nothing holds it and the budget has room. Call it with the row locked.

    Where the policies changed meanwhile so that somebody must decide, one person of finance does. What stands in the way
    (no room, no card in the catalogue) leaves it waiting and raises nothing.
    """
    if payout.status != Payout.Status.SUBMITTED or payout.steps:
        return False
    if open_holds(payout, but_funding=True) or missing_terms(payout) or missing_choice(payout):
        return False
    policy = policy_for(
        active_policies(),
        program_id=payout.program_id,
        participant_type=payout.participant.type,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
    )
    if policy is None or policy.steps:
        Payout.objects.filter(pk=payout.pk, steps=[]).update(steps=DEFAULT_STEPS)
        audit.record("payout.needs_approval", payout, after={"steps": DEFAULT_STEPS}, reason="The policies changed.")
        return False
    try:
        with transaction.atomic():
            approve_automatically(payout, policy.name)
    except DomainError:
        return False
    return True
