"""The provider's webhook: a sign to look now, nothing more. Its body is undocumented and unsigned, so it changes nothing.

The unguessable address only keeps noise away. Truth comes from GET, with our token, by the id we stored.
"""

import hmac

from django.db import transaction
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from rewards import clock, conf
from rewards.models import LookNow, RewardOrder
from rewards.nudges import POLL, nudge
from rewards.orders import hook_hash

MAX_BODY = 64 * 1024
State = RewardOrder.State


@csrf_exempt
@require_http_methods(["POST", "GET", "HEAD"])
def receive(request: HttpRequest, token: str) -> HttpResponse:
    """204 for a known address (GET and HEAD without effect), 404 for an unknown one, 413 for a body above 64 kB."""
    digest = hook_hash(token)
    order = RewardOrder.objects.filter(hook_hash=digest).only("pk", "hook_hash", "state").first()
    known = hmac.compare_digest(order.hook_hash if order else "0" * 64, digest)
    if not known:
        return HttpResponseNotFound()
    if request.method == "POST":
        if not _small(request):
            return HttpResponse(status=413)
        record_hint(order)
    return HttpResponse(status=204)


def _small(request: HttpRequest) -> bool:
    """The body is read at most up to the limit and thrown away."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return length.isdigit() and int(length) <= MAX_BODY and len(request.read(MAX_BODY + 1)) <= MAX_BODY


def record_hint(order: RewardOrder) -> None:
    """Remember that this order is worth a look; however often it comes, there is one row."""
    if order.state in RewardOrder.FINAL:
        return
    with transaction.atomic():
        hint, new = LookNow.objects.get_or_create(order=order, defaults={"received_at": clock.now()})
        if new:
            nudge(order.pk, POLL)
        else:
            LookNow.objects.filter(pk=hint.pk).update(times=F("times") + 1, received_at=clock.now())


def look_now(order_id: int | None = None, limit: int = 200) -> int:
    """Make hinted orders due, each at most once in HINT_PAUSE_SECONDS; returns how many became due."""
    now = clock.now()
    hints = LookNow.objects.select_related("order").order_by("received_at")
    hints = hints.filter(order_id=order_id) if order_id else hints
    return sum(_apply(hint, now) for hint in hints[:limit])


def _apply(hint: LookNow, now) -> bool:
    order = hint.order
    if order.state not in {State.PENDING, State.SUBMITTING}:
        hint.delete()
        return False
    last = order.polled_at if order.state == State.PENDING else _last_attempt(order)
    if last and (now - last).total_seconds() < conf.HINT_PAUSE_SECONDS:
        return False
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    due = RewardOrder.objects.filter(free, pk=order.pk, state=order.state).update(next_attempt_at=now)
    if due and order.state == State.SUBMITTING:
        hint.delete()  # the answer we wait for tells as much; a poll later has its own schedule
    return bool(due)


def _last_attempt(order: RewardOrder):
    return order.attempts.order_by("-number").values_list("started_at", flat=True).first()
