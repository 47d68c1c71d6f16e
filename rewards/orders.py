"""Making and cancelling orders, and the one place that changes their state."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from rewards import channel as channels
from rewards import clock
from rewards.bodies import Delivery, Personalization, order_body, po_number
from rewards.catalogue import check_orderable, expected_cost
from rewards.errors import EvidenceNeeded, IllegalMove, InvalidOrder, ReferenceConflict
from rewards.failpoints import hit
from rewards.models import Branding, OrderEvent, RewardOrder
from rewards.money import Money
from rewards.nudges import nudge
from rewards.signals import order_changed

State = RewardOrder.State
NO_WAIT = timedelta(0)


class Fenced(Exception):
    """Somebody else took the order over; nothing was written."""


def create_order(
    *,
    reference: str,
    po_parts: Sequence[str],
    product_id: str,
    value: Money,
    delivery: Delivery,
    personalization: Personalization | None = None,
    approval_hash: str,
    webhook: bool | None = None,
    wait: timedelta = NO_WAIT,
) -> RewardOrder:
    """Make a draft order for one card, in the caller's transaction; a worker is told once that commits.

    The same reference with the same content gives the order that exists. `webhook`: None asks settings.E2R_WEBHOOKS.
    `wait`: it is not due before, so that `create_batch` may take it; nobody is told then.
    Raises: InvalidOrder or NotOrderable (which field, what was expected), ReferenceConflict (same reference or number,
    other content).
    """
    if not reference or len(reference) > 200:
        raise InvalidOrder("reference", "expected 1 to 200 characters.")
    if not approval_hash or len(approval_hash) > 200:
        raise InvalidOrder("approval_hash", "expected the hash of what was approved.")
    delivery.check()
    if personalization:
        personalization.check()
    number = po_number(po_parts)
    content = _content_hash(number, product_id, value, delivery, personalization, approval_hash)
    if existing := RewardOrder.objects.filter(reference=reference).first():
        return _same(existing, content)
    product = check_orderable(product_id, value, delivery.type)
    try:
        with transaction.atomic():
            order = _insert(
                reference, number, content, product, value, delivery, personalization, approval_hash, webhook, wait
            )
    except IntegrityError as exc:
        if existing := RewardOrder.objects.filter(reference=reference).first():
            return _same(existing, content)
        raise ReferenceConflict(f"PONumber {number} belongs to another order: the parts must differ.") from exc
    if not wait:
        nudge(order.pk)
    return order


def _content_hash(number, product_id, value, delivery, personalization, approval_hash) -> str:
    words = [number, product_id, value.minor, value.currency, str(delivery.type), astuple(delivery), approval_hash]
    words.append(astuple(personalization) if personalization else None)
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _same(order: RewardOrder, content: str) -> RewardOrder:
    if order.content_hash != content:
        raise ReferenceConflict(f"Reference {order.reference} already has an order with other content.")
    return order


def _insert(
    reference, number, content, product, value, delivery, personalization, approval_hash, webhook, wait
) -> RewardOrder:
    hook_url, hashed = new_hook(webhook)
    branding = personalization.branding_id if personalization else ""
    if branding and not Branding.objects.filter(provider_id=branding, listed=True).exists():
        branding = ""  # contract section 10: leave it out rather than fail
    body = order_body(
        po=number,
        product_id=product.product_id,
        value=value,
        delivery=delivery,
        personalization=personalization,
        branding=branding,
        hook_url=hook_url,
    )
    now = clock.now()
    return open_order(
        now,
        wait,
        channel=channels.current(),
        reference=reference,
        po_number=number,
        content_hash=content,
        approval_hash=approval_hash,
        product=product,
        delivery_type=delivery.type,
        recipient=delivery.recipient,
        amount_minor=value.minor,
        currency=value.currency,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
        hook_hash=hashed,
        expected_cost_minor=expected_cost(product, value).minor,
    )


def open_order(now: datetime, wait: timedelta = NO_WAIT, **fields) -> RewardOrder:
    """The row of a new draft, and the first line of its history."""
    order = RewardOrder.objects.create(next_attempt_at=now + wait, created_at=now, **fields)
    OrderEvent.objects.create(order=order, at=now, new=State.DRAFT)
    return order


def new_hook(webhook: bool | None) -> tuple[str, str | None]:
    """A secret address for the provider's webhook, and its hash, which alone is kept; nothing where webhooks are off."""
    if not (settings.E2R_WEBHOOKS if webhook is None else webhook):
        return "", None
    token = secrets.token_urlsafe(32)
    return f"{settings.BASE_URL}/hooks/rewards/{token}", hook_hash(token)


def hook_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def change_state(
    order: RewardOrder,
    new: str,
    *,
    now: datetime,
    code: str = "",
    reason: str = "",
    actor_name: str = "",
    evidence: dict | None = None,
    **fields,
) -> None:
    """The only code that moves RewardOrder.state; call it in a transaction. `fields` change with it, `order` follows.

    Fenced: writes only while `order.gen` is still the row's. Raises IllegalMove, Fenced, and what a receiver of
    `order_changed` raises (which undoes everything).
    """
    old = order.state
    if new not in RewardOrder.NEXT.get(old, ()):
        raise IllegalMove(f"Order {order.po_number} is {order.get_state_display().lower()} and cannot become {new}.")
    if new in RewardOrder.FINAL:
        fields |= {"finished_at": now, "next_attempt_at": None}
    write(order, state=new, **fields)
    note(order, new, now=now, old=old, code=code, reason=reason, actor_name=actor_name, evidence=evidence)
    order_changed.send(sender=RewardOrder, order=order, old=old, new=new)


def note(order: RewardOrder, new: str, *, now: datetime, old: str | None = None, code: str = "", reason: str = "",
         actor_name: str = "", evidence: dict | None = None) -> None:  # fmt: skip
    """A line of the order's history. `old` None: it stays what it is."""
    OrderEvent.objects.create(
        order=order, at=now, old=new if old is None else old, new=new, code=code, reason=reason[:2000],
        actor_name=actor_name[:200], evidence=evidence or {},
    )  # fmt: skip


def write(order: RewardOrder, **fields) -> None:
    """Fenced update of one order and of the object in hand. Raises Fenced."""
    old = order.state
    if not RewardOrder.objects.filter(pk=order.pk, gen=order.gen, state=old).update(**fields):
        raise Fenced(order.pk)
    for name, value in fields.items():
        setattr(order, name, value)


def cancel_order(order_id: int, *, actor_name: str, reason: str) -> RewardOrder:
    """Cancel a draft that was never sent. Repeating it on a cancelled order returns it unchanged.

    The line of a batch that was never sent can be cancelled too: the batch is given up and the other lines go by themselves.
    Raises IllegalMove when a first attempt exists: then only the provider's answer or a person's review ends it.
    """
    if not actor_name.strip() or not reason.strip():
        raise EvidenceNeeded("Say who cancels and why.")
    with transaction.atomic():
        locked = RewardOrder.objects.select_for_update(of=("self",), no_key=True)
        batch_id = RewardOrder.objects.values_list("batch", flat=True).get(pk=order_id)
        batch = locked.get(pk=batch_id) if batch_id else None  # a batch is locked before its lines
        order = locked.get(pk=order_id)
        if order.state == State.CANCELLED:
            return order
        if order.is_batch:
            raise IllegalMove(f"{order.po_number} is a batch: cancel the payouts in it.")
        if order.state == State.BATCHED:
            _dissolve(batch, order, actor_name, reason)
        change_state(order, State.CANCELLED, now=clock.now(), actor_name=actor_name, reason=reason, gen=order.gen + 1)
        hit("CP17")
    return order


def _dissolve(batch: RewardOrder | None, line: RewardOrder, actor_name: str, reason: str) -> None:
    """Give up a batch that was never sent, so that `line` can be cancelled: the others become orders of their own, due now."""
    if batch is None or batch.state != State.DRAFT:
        why = "was put into a batch just now; try again" if batch is None else f"left in the batch {batch.po_number}"
        raise IllegalMove(f"Order {line.po_number} {why}.")
    now = clock.now()
    told = {"now": now, "actor_name": actor_name, "reason": reason}
    change_state(batch, State.CANCELLED, gen=batch.gen + 1, **told)
    others = batch.lines.select_for_update(of=("self",), no_key=True).filter(state=State.BATCHED).exclude(pk=line.pk)
    for other in others.order_by("pk"):
        change_state(other, State.DRAFT, now=now, reason=f"The batch {batch.po_number} was given up.", gen=other.gen + 1,
                     next_attempt_at=now)  # fmt: skip
        nudge(other.pk)
