"""Making and changing approval policies. Finance does it; a second person of finance confirms, so that nobody loosens a
rule and then approves by it alone."""

from django.db import transaction

from incentives.accounts.models import User
from incentives.payouts.errors import PolicyInvalid
from incentives.payouts.models import ApprovalPolicy
from incentives.payouts.policies import PEOPLE, flat, is_approver
from incentives.payouts.services.confirmed import confirm_change, require, write_change
from rewards.services import MOST_LINES

FIELDS = (
    "name",
    "position",
    "program",
    "participant_type",
    "currency",
    "up_to_minor",
    "risk",
    "steps",
    "batch_lines",
    "escalate_after_hours",
    "escalate_to",
    "is_active",
)
MOST_STEPS = 5


def save_policy(*, actor, policy: ApprovalPolicy | None = None, **values) -> ApprovalPolicy:
    """Make a policy, or change the given one; `values` are those of FIELDS. A change without a difference writes nothing.

    Until `confirm_policy`, payouts built from now on are not the editor's to approve (promise 6).
    Raises NotAllowed, PolicyInvalid.
    """
    require(actor, "change approval policies")
    _check(values, policy)
    with transaction.atomic():
        if policy is not None:
            policy = ApprovalPolicy.objects.select_for_update(of=("self",), no_key=True).get(pk=policy.pk)
        before = _shown(policy) if policy else {}
        row = policy or ApprovalPolicy()
        for name in FIELDS:
            if name in values:
                setattr(row, name, values[name])
        return write_change(row, actor=actor, before=before, shown=_shown, kind="policy")


def confirm_policy(*, policy: ApprovalPolicy, actor) -> ApprovalPolicy:
    """As confirm_change. Raises NotAllowed, PolicyInvalid (there is nothing to confirm, or it changed in between)."""
    require(actor, "confirm approval policies")
    changed = PolicyInvalid("This policy was changed in between, or never by a person. Reload and look again.")
    return confirm_change(policy, actor=actor, shown=_shown, kind="policy", changed=changed)


def _check_step(step) -> bool:
    if isinstance(step, str):
        return step in ApprovalPolicy.Step.values
    if not isinstance(step, dict) or set(step) - {"who", "people", "count"}:
        return False
    count = step.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= 3:
        return False
    if step.get("who") != PEOPLE:
        return step.get("who") in ApprovalPolicy.Step.values
    people = User.objects.filter(pk__in=step.get("people") or [], is_active=True)
    return people.count() == len(set(step["people"])) >= count and all(is_approver(person) for person in people)


def _check(values: dict, policy: ApprovalPolicy | None) -> None:
    steps = values.get("steps", policy.steps if policy else [])
    if not all(_check_step(step) for step in steps):
        raise PolicyInvalid(
            f"steps: expected at most {MOST_STEPS}, each of {', '.join(ApprovalPolicy.Step.values)}, or naming people who "
            "may approve and how many of them, one to three."
        )
    if len(flat(steps)) > MOST_STEPS:
        raise PolicyInvalid(f"steps: expected at most {MOST_STEPS} people, one after the other.")
    if set(values.get("risk", ())) - set(ApprovalPolicy.Risk.values):
        raise PolicyInvalid(f"risk: expected some of {', '.join(ApprovalPolicy.Risk.values)}.")
    hours, to = values.get("escalate_after_hours"), values.get("escalate_to", "")
    if hours is not None and not (1 <= hours <= 24 * 30 and to):
        raise PolicyInvalid("escalation: expected 1 to 720 hours and the role it goes to.")
    together = values.get("batch_lines")
    if together is not None and not 2 <= together <= MOST_LINES:
        raise PolicyInvalid(f"batches: expected 2 to {MOST_LINES} payouts in one order, or nothing.")
    limit = values.get("up_to_minor", policy.up_to_minor if policy else None)
    if limit is not None and limit <= 0:
        raise PolicyInvalid("up to: expected an amount above zero, or nothing for any amount.")
    if not steps and limit is None:
        raise PolicyInvalid("Without any step a policy approves by itself, so it needs a limit: fill in “up to”.")
    others = ApprovalPolicy.objects.exclude(pk=policy.pk) if policy else ApprovalPolicy.objects.all()
    if others.filter(name=values.get("name", "")).exists():
        raise PolicyInvalid("name: another policy has this name already.")


def _shown(policy: ApprovalPolicy) -> dict:
    return {
        "name": policy.name,
        "position": policy.position,
        "program": str(policy.program or ""),
        "participant_type": policy.participant_type,
        "currency": policy.currency,
        "up_to_minor": policy.up_to_minor,
        "risk": list(policy.risk),
        "steps": list(policy.steps),
        "batch_lines": policy.batch_lines,
        "escalate_after_hours": policy.escalate_after_hours,
        "escalate_to": policy.escalate_to,
        "is_active": policy.is_active,
    }
