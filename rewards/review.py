"""What a person decides about an order nobody can be sure of, with the evidence kept (docs/provider.md)."""

from django.db import transaction

from rewards import channel as channels
from rewards import clock
from rewards.batches import end_lines
from rewards.dispatch import provider_session
from rewards.errors import AdoptionRefused, EvidenceNeeded, IllegalMove
from rewards.matching import differences, is_proof
from rewards.models import RewardOrder
from rewards.nudges import nudge
from rewards.orders import change_state
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import ProviderError
from rewards.provider.reading import identifier
from rewards.provider.types import Progress, ProviderOrder
from rewards.settle import take_provider_order, to_review

State = RewardOrder.State
DECISIONS = ("adopt", "retry", "fail", "complete")


def resolve_review(
    order_id: int,
    *,
    decision: str,
    actor_name: str,
    reason: str,
    provider_order_id: str = "",
    evidence: str = "",
    client: ProviderClient | None = None,
) -> RewardOrder:
    """Decide an order in review. Name, reason and evidence are stored with the change.

    `adopt`: bind `provider_order_id` after reading it from the provider and comparing it with ours.
    `retry`: send the same number and bytes again (never another number).
    `fail`: no card exists and none will; needs `evidence`. The money goes back to the budget.
    Of a batch, `fail` and `complete` are about the lines that are still open; one of which some line was issued ends as issued.
    `complete`: the card was issued; needs `evidence` and the `provider_order_id` read from the provider's portal.
    Raises EvidenceNeeded, IllegalMove (not in review), AdoptionRefused, NotConfigured.
    """
    if decision not in DECISIONS:
        raise EvidenceNeeded(f"decision: expected one of {', '.join(DECISIONS)}.")
    if not actor_name.strip() or not reason.strip():
        raise EvidenceNeeded("Say who decides and why.")
    if decision in {"fail", "complete"} and not evidence.strip():
        raise EvidenceNeeded("evidence: say what proves it, for example what the provider's support answered and when.")
    provider_order_id = provider_order_id.strip()
    if decision in {"adopt", "complete"} and not identifier(provider_order_id):
        raise EvidenceNeeded("provider_order_id: expected the id of the provider's order.")
    order = _in_review(RewardOrder.objects.get(pk=order_id))
    found = _read(order, provider_order_id, client) if decision == "adopt" else None
    with transaction.atomic():
        order = _in_review(RewardOrder.objects.select_for_update(of=("self",), no_key=True).get(pk=order_id))
        told = {"now": clock.now(), "actor_name": actor_name, "reason": reason}
        _decide(order, decision, found, provider_order_id, evidence, told)
    if order.state in {State.SUBMITTING, State.PENDING}:
        nudge(order.pk)
    return order


def _in_review(order: RewardOrder) -> RewardOrder:
    if order.state != State.REVIEW:
        raise IllegalMove(f"Order {order.po_number} is {order.get_state_display().lower()}, not in review.")
    return order


def _read(order: RewardOrder, provider_order_id: str, client: ProviderClient | None) -> ProviderOrder:
    """GET and compare, outside any transaction."""
    try:
        with provider_session(channels.current(), client) as (session, token):
            found = session.get_order(provider_order_id, token=token.value, deadline=Deadline(30))
    except ProviderError as error:
        raise AdoptionRefused(f"The provider's order could not be read: {error}") from error
    if problems := differences(order, found):
        raise AdoptionRefused(f"That is not this order: {'; '.join(problems)}.")
    if not is_proof(found):
        raise AdoptionRefused("The provider's answer names neither number nor product and value: nothing to compare.")
    partly = order.is_batch and found.partly_issued  # the lines that were issued can be bound
    if found.progress == Progress.FAILURE and not partly:
        raise AdoptionRefused(f"The provider reports that order as {found.status}; decide 'fail' with that evidence.")
    return found


def _decide(order: RewardOrder, decision: str, found, provider_order_id: str, evidence: str, told: dict) -> None:
    now, cleared = told["now"], {"review_code": "", "lease_until": None}
    kept = {"decision": decision, "evidence": evidence[:5000], "provider_order": provider_order_id}
    order.gen += 1  # whoever still works on it has nothing to say any more
    RewardOrder.objects.filter(pk=order.pk).update(gen=order.gen, review_code="", empty_polls=0)
    order.review_code, order.empty_polls = "", 0
    if decision == "adopt":
        take_provider_order(order, found, now, how="adopted", actor_name=told["actor_name"], reason=told["reason"])
    elif decision == "fail":
        partly = order.is_batch and end_lines(order, State.FAILED, {**told, "evidence": kept})
        change_state(order, State.COMPLETED if partly else State.FAILED, evidence=kept, **told, **cleared)
    elif decision == "complete":
        if RewardOrder.objects.filter(provider_order_id=provider_order_id).exclude(pk=order.pk).exists():
            raise AdoptionRefused("That provider order belongs to another order of ours.")
        if order.is_batch:
            end_lines(order, State.COMPLETED, {**told, "evidence": kept}, provider_order_id)
        change_state(
            order, State.COMPLETED, evidence=kept, provider_order_id=provider_order_id,
            known_since=order.known_since or now, **told, **cleared,
        )  # fmt: skip
    elif order.provider_order_id:  # the provider has it: look again rather than send again
        change_state(
            order, State.PENDING, evidence=kept, next_attempt_at=now, known_since=now, poll_count=0, **told, **cleared
        )
    else:
        change_state(
            order,
            State.SUBMITTING,
            evidence=kept,
            next_attempt_at=now,
            window_from=now,
            window_attempts=0,
            **told,
            **cleared,
        )


def send_to_review(order_id: int, *, actor_name: str, reason: str) -> RewardOrder:
    """Take an unfunded or pending order, or one nobody is working on, out of the automatic path so that a person decides.

    Raises EvidenceNeeded, IllegalMove (final, a draft, or a call is in flight at this moment).
    """
    if not actor_name.strip() or not reason.strip():
        raise EvidenceNeeded("Say who asks for the review and why.")
    with transaction.atomic():
        order = RewardOrder.objects.select_for_update(of=("self",), no_key=True).get(pk=order_id)
        now = clock.now()
        busy = order.lease_until is not None and order.lease_until > now
        if busy or order.state not in {State.UNFUNDED, State.PENDING, State.SUBMITTING}:
            raise IllegalMove(
                f"Order {order.po_number} is {order.get_state_display().lower()}; it cannot go to review now."
            )
        order.gen += 1
        RewardOrder.objects.filter(pk=order.pk).update(gen=order.gen)
        to_review(order, "asked_for", reason, now, actor_name=actor_name)
    return order


def resume_unfunded(*, actor_name: str, reason: str = "The deposit account was funded.") -> int:
    """The account has money again: open a channel that waits for funding and send what was parked; returns how many.

    A channel stopped for another reason stays stopped.
    """
    channel = channels.current()
    if channel.state == channel.State.PAUSED:
        channels.open_channel(actor_name=actor_name, reason=reason)
    parked = RewardOrder.objects.filter(channel=channel, state=State.UNFUNDED)
    ids = list(parked.values_list("pk", flat=True))
    parked.update(next_attempt_at=clock.now())
    for pk in ids[:20]:
        nudge(pk)
    return len(ids)
