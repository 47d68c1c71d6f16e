"""Record who changed what, in the same transaction as the change; seal the records into a hash chain; verify it."""

import hashlib
import json

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.utils import timezone

from incentives.core.chains import AUDIT, GENESIS, end_problem, linked, locked_head, move_head
from incentives.core.logs import request_id
from incentives.core.models import AuditEvent

SYSTEM = "Laurel"


def _digest(event: AuditEvent) -> str:
    content = [
        event.at.isoformat(),
        event.action,
        event.actor_id,
        event.actor_name,
        event.target_type,
        event.target_id,
        event.target_label,
        event.before,
        event.after,
        event.reason,
        event.request_id,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), cls=DjangoJSONEncoder, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(values: dict | None) -> dict:
    """What JSON gives back, so that the digest of the stored row equals the digest computed here."""
    return json.loads(json.dumps(values or {}, cls=DjangoJSONEncoder))


def build(action: str, target, *, actor=None, before=None, after=None, reason: str = "") -> AuditEvent:
    """An unsaved event, for callers that write many at once with `AuditEvent.objects.bulk_create`."""
    event = AuditEvent(
        at=timezone.now(),
        action=action,
        actor=actor,
        actor_name=str(actor)[:200] if actor else SYSTEM,
        target_type=target._meta.label_lower,
        target_id=str(getattr(target, "public_id", target.pk)),
        target_label=str(target)[:200],
        before=_plain(before),
        after=_plain(after),
        reason=reason,
        request_id="" if request_id.get() == "-" else request_id.get(),
    )
    event.digest = _digest(event)
    return event


def record(action: str, target, *, actor=None, before=None, after=None, reason: str = "") -> AuditEvent:
    """Add one event. Call it inside the transaction of the change. Values must be free of secrets, claim links, tax
    details and addresses; `actor` None means Laurel itself.

    Raises RuntimeError outside a transaction: a change without its record must not be possible.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("audit.record must share the transaction of the change")
    event = build(action, target, actor=actor, before=before, after=after, reason=reason)
    event.save(force_insert=True)
    return event


def seal(limit: int = 5000) -> int:
    """Number and chain the events committed since the last call, oldest first. Returns how many.

    One sealer at a time: the lock of the chain's head, and the unique `seq` behind it. Called by the sweep; a repeat does
    nothing.
    """
    sealed = AuditEvent.objects.filter(seq__isnull=False)
    with transaction.atomic():
        head = locked_head(AUDIT, sealed.order_by("-seq").values_list("seq", "chain").first())
        seq, chain = head.number, head.chain
        waiting = list(AuditEvent.objects.filter(seq__isnull=True).order_by("pk")[:limit])
        for event in waiting:
            seq += 1
            chain = linked(f"{chain}{seq}{event.digest}")
            event.seq, event.chain = seq, chain
        AuditEvent.objects.bulk_update(waiting, ["seq", "chain"], batch_size=500)
        if waiting:
            move_head(head, seq, chain)
    return len(waiting)


def verify() -> list[str]:
    """Every problem found in the trail, in words: edited, removed or reordered rows. Empty when all is well."""
    problems, expected, chain, end = [], 0, GENESIS, GENESIS
    for event in AuditEvent.objects.filter(seq__isnull=False).order_by("seq").iterator(chunk_size=2000):
        expected += 1
        if event.seq != expected:
            problems.append(f"number {expected} is missing: a row before {event.seq} was removed")
            expected = event.seq
        if event.digest != _digest(event):
            problems.append(f"number {event.seq} ({event.action} {event.target_label}) was edited")
        end = linked(f"{chain}{event.seq}{event.digest}")
        if event.chain != end:
            problems.append(f"number {event.seq} does not follow from the row before it: edited, removed or reordered")
        chain = event.chain
    if problem := end_problem(AUDIT, expected, end):
        problems.append(problem)
    for event in AuditEvent.objects.filter(seq__isnull=True).iterator(chunk_size=2000):
        if event.digest != _digest(event):
            problems.append(f"unsealed row {event.pk} ({event.action} {event.target_label}) was edited")
    return problems
