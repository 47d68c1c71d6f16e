"""Which approval steps a payout must pass, and who made it."""

from datetime import date
from functools import reduce
from operator import or_

from django.db.models import Q
from django.utils import timezone

from incentives.accounts.models import User
from incentives.awards import selectors as awards
from incentives.claims import selectors as claims
from incentives.payouts.models import ApprovalPolicy, Delegation, Payout, ProductChoice, RiskRule

PERMISSION = {
    ApprovalPolicy.Step.MANAGER: "payouts.approve_as_manager",
    ApprovalPolicy.Step.FINANCE: "payouts.approve",
}
DEFAULT_STEPS = [ApprovalPolicy.Step.FINANCE.value]
"""Without a fitting policy one person of finance decides: never nobody."""


PEOPLE = "people"


def flat(steps: list) -> list[str]:
    """The steps of a policy as a payout keeps them, one per person: `finance`, `manager`, or `people:,12,15,` (user ids).

    A step is a role's name, or {"who": role or "people", "people": [user ids], "count": 1 to 3}.
    """
    found: list[str] = []
    for step in steps:
        if isinstance(step, str):
            found.append(step)
            continue
        named = step["who"] == PEOPLE
        text = f"{PEOPLE}:,{','.join(str(pk) for pk in sorted(step['people']))}," if named else str(step["who"])
        found += [text] * int(step.get("count") or 1)
    return found


def people_of(step: str) -> set[int]:
    """User ids of a step that names people; empty for a role."""
    return {int(pk) for pk in step.partition(":")[2].split(",") if pk} if step.startswith(f"{PEOPLE}:") else set()


def policy_for(
    policies,
    *,
    program_id: int,
    participant_type: str,
    amount_minor: int,
    currency: str,
    risks: frozenset = frozenset(),
):
    """The first policy in `policies` (active, in position order) that fits, or None. `risks`: of ApprovalPolicy.Risk."""
    for policy in policies:
        if policy.program_id not in (None, program_id) or policy.participant_type not in ("", participant_type):
            continue
        if policy.risk and not risks.intersection(policy.risk):
            continue
        if policy.up_to_minor is None or (policy.currency == currency and amount_minor <= policy.up_to_minor):
            return policy
    return None


def delegators_of(user, today: date | None = None) -> set[int]:
    """User ids of those whose deputy this person is today (UTC)."""
    today = today or timezone.now().date()
    rows = Delegation.objects.filter(deputy=user, revoked_at__isnull=True, starts_on__lte=today, ends_on__gte=today)
    return set(rows.values_list("delegator", flat=True))


def is_approver(user) -> bool:
    return any(user.can(permission) for permission in PERMISSION.values())


def may_decide(payout: Payout, number: int, actor, delegators: set[int]) -> tuple[bool, int | None]:
    """(whether the actor may take this step, the user id they act for where it is not their own right)."""
    step = payout.steps[number]
    if step in PERMISSION and actor.can(PERMISSION[step]):
        return True, None
    named = people_of(step)
    if not is_approver(actor):
        return False, None
    if actor.pk in named:
        return True, None
    opened = payout.escalated_step == number and payout.escalate_to in PERMISSION
    if opened and actor.can(PERMISSION[payout.escalate_to]):
        return True, None
    for pk in sorted(named & delegators):
        return True, pk
    return False, None


def active_policies() -> list[ApprovalPolicy]:
    return list(ApprovalPolicy.objects.filter(is_active=True).order_by("position", "pk"))


def unconfirmed_editors() -> list[int]:
    """Who changed a policy, a limit or a domain, an inactive one included, without a second person. Which one fits depends
    on all of them, so a change of any counts."""
    ids: set[int] = set()
    for model in (ApprovalPolicy, RiskRule):
        changed = model.objects.filter(edited_by__isnull=False, confirmed_by__isnull=True)
        ids.update(changed.order_by().values_list("edited_by", flat=True).distinct())
    return sorted(ids)


WROTE = ("created_by", "edited_by", "published_by", "writers")
"""Who had a hand in a program version: its writers, and who published it (a reviewer too)."""


def hands_of(user):
    """This person and the machines they are responsible for, as a subquery."""
    return User.objects.filter(Q(pk=user.pk) | Q(responsible=user)).values("pk")


def wrote_rules(user) -> Q:
    """Of a payout's lines: this person wrote or published the rules behind it."""
    return reduce(or_, (Q(**{f"earning__version__{role}__in": hands_of(user)}) for role in WROTE))


def makers_of(payout: Payout) -> set[int]:
    """User ids of everybody who created or changed what this payout pays: who submitted it, who wrote or published
    the rules its earnings came from, who gave or cancelled an award among them, who approved a claim it pays, who ever chose
    its card for the recipient, and who had changed an approval policy alone. Source: promise 6."""
    ids = {payout.submitted_by_id, *payout.policy_editors.values_list("pk", flat=True), *choosers_of(payout)}
    for row in payout.allocations.values_list(*(f"earning__version__{role}" for role in WROTE)).distinct():
        ids |= set(row)
    ids |= awards.givers_of(award_records(payout)) | approvers_of_claims(payout)
    return behind(ids - {None})


def behind(ids: set[int]) -> set[int]:
    """These people, and whoever is responsible for a machine among them: a machine is nobody's second person."""
    machines = User.objects.filter(pk__in=ids, is_service=True)
    return ids | set(machines.values_list("responsible", flat=True))


def choosers_of(payout: Payout) -> set[int]:
    """Who of the staff ever chose the card in the recipient's place."""
    return set(ProductChoice.staff.through.objects.filter(productchoice__payout=payout).values_list("user", flat=True))


def award_records(payout: Payout) -> set[str]:
    """Record ids of the awards that the payout pays or takes back; all that count for the recipient in the program where a
    line is worth a whole period."""
    rows = payout.allocations.values_list("earning__object__object_type", "earning__object__object_id")
    found = set(rows)
    if (None, None) in found:
        counted = payout.participation.credits.filter(object__object_type="award")
        found |= set(counted.values_list("object__object_type", "object__object_id"))
    return {record for kind, record in found if kind == "award"}


def approvers_of_claims(payout: Payout) -> set[int]:
    """Who approved the claims behind a payout: those its lines name, and all of the recipient's in the program, because a
    line may be worth a whole period."""
    paid = payout.allocations.filter(claims.claims_among("earning__object"))
    return claims.approvers(
        program_id=payout.program_id,
        participant_id=payout.participant_id,
        object_ids=list(paid.values_list("earning__object__object_id", flat=True).distinct()),
    )
