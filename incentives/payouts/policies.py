"""Which approval steps a payout must pass, and who made it."""

from functools import reduce
from operator import or_

from django.db.models import Q

from incentives.claims import selectors as claims
from incentives.payouts.models import ApprovalPolicy, Payout

PERMISSION = {
    ApprovalPolicy.Step.MANAGER: "payouts.approve_as_manager",
    ApprovalPolicy.Step.FINANCE: "payouts.approve",
}
DEFAULT_STEPS = [ApprovalPolicy.Step.FINANCE.value]
"""Without a fitting policy one person of finance decides: never nobody."""


def policy_for(policies, *, program_id: int, participant_type: str, amount_minor: int, currency: str):
    """The first policy in `policies` (active, in position order) that fits, or None."""
    for policy in policies:
        if policy.program_id not in (None, program_id) or policy.participant_type not in ("", participant_type):
            continue
        if policy.up_to_minor is None or (policy.currency == currency and amount_minor <= policy.up_to_minor):
            return policy
    return None


def active_policies() -> list[ApprovalPolicy]:
    return list(ApprovalPolicy.objects.filter(is_active=True).order_by("position", "pk"))


def unconfirmed_editors() -> list[int]:
    """Who changed a policy, an inactive one included, without a second person. Which policy fits depends on all of them,
    so a change of any counts."""
    changed = ApprovalPolicy.objects.filter(edited_by__isnull=False, confirmed_by__isnull=True)
    return list(changed.order_by().values_list("edited_by", flat=True).distinct())


WROTE = ("created_by", "edited_by", "published_by", "writers")
"""Who had a hand in a program version: its writers, and who published it (a reviewer too)."""


def wrote_rules(user) -> Q:
    """Of a payout's lines: this person wrote or published the rules behind it."""
    return reduce(or_, (Q(**{f"earning__version__{role}": user}) for role in WROTE))


def makers_of(payout: Payout) -> set[int]:
    """User ids of everybody who created or changed what this payout pays: who submitted it, who wrote or published
    the rules its earnings came from, who had changed an approval policy alone, and who approved a claim it pays. Source:
    promise 6."""
    ids = {payout.submitted_by_id, *payout.policy_editors.values_list("pk", flat=True)}
    for row in payout.allocations.values_list(*(f"earning__version__{role}" for role in WROTE)).distinct():
        ids |= set(row)
    return (ids | approvers_of_claims(payout)) - {None}


def approvers_of_claims(payout: Payout) -> set[int]:
    """Who approved the claims behind a payout: those its lines name, and all of the recipient's in the program, because a
    line may be worth a whole period."""
    paid = payout.allocations.filter(claims.claims_among("earning__object"))
    return claims.approvers(
        program_id=payout.program_id,
        participant_id=payout.participant_id,
        object_ids=list(paid.values_list("earning__object__object_id", flat=True).distinct()),
    )
