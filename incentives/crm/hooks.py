"""The generic endpoint: `POST /hooks/<token>/events` (crm-connectors 3). Reads no cookie and no session.

Limit, authenticate over the raw bytes, parse, store, answer. The answer is always a JSON object.
"""

import logging
import time

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from incentives.core.errors import DomainError
from incentives.crm import credentials, envelopes, intake
from incentives.crm.credentials import Known
from incentives.crm.errors import (
    Conflict,
    MalformedEvent,
    NotAuthentic,
    NotStored,
    TooLarge,
    TooMany,
    UnknownConnection,
)

log = logging.getLogger(__name__)
MAX_SINGLE, MAX_BATCH_BYTES = 256 * 1024, 1024 * 1024
STRANGERS_PER_MINUTE = 120  # failed attempts of one address
_KEPT_HEADERS = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "idempotency-key")


class Bucket:
    """A token bucket per key, of this process alone: a brake on floods, not an account of anything."""

    def __init__(self, keep: int = 10_000):
        self._levels: dict = {}
        self._keep = keep

    def take(self, key, per_minute: int, count: int = 1) -> float:
        """Take `count`; 0.0 when there was room, else the seconds until there is."""
        now, count = time.monotonic(), min(count, per_minute)
        level, at = self._levels.get(key, (float(per_minute), now))
        level = min(float(per_minute), level + (now - at) * per_minute / 60)
        if level < count:
            return (count - level) * 60 / max(per_minute, 1)
        if len(self._levels) >= self._keep:
            self._levels.clear()
        self._levels[key] = (level - count, now)
        return 0.0


connections_bucket, strangers_bucket = Bucket(), Bucket()


@csrf_exempt
def receive_events(request: HttpRequest, token: str) -> HttpResponse:
    try:
        if request.method == "OPTIONS":
            return _handshake(request, token)
        if request.method != "POST":
            return _answer({"error": {"code": "method_not_allowed", "message": "Expected POST."}}, 405, Allow="POST")
        return _receive(request, token)
    except DomainError as exc:
        return _refusal(exc)
    except DatabaseError:
        log.exception("could not store an event")
        return _refusal(NotStored())


def _answer(body: dict, status: int, **headers) -> JsonResponse:
    response = JsonResponse(body, status=status)
    for name, value in headers.items():
        response[name.replace("_", "-")] = value
    return response


def _refusal(exc: DomainError) -> JsonResponse:
    problem = {"code": exc.code, "message": exc.user_message}
    if isinstance(exc, MalformedEvent):
        problem["field"] = exc.details["field"]
    response = _answer({"error": problem}, exc.status)
    if isinstance(exc, (TooMany, NotStored)):
        response["Retry-After"] = str(max(1, int(exc.details.get("after", 1) + 0.999)))
    return response


def _receive(request: HttpRequest, token: str) -> HttpResponse:
    body = _read(request)
    known = _known(request, token)
    try:
        credentials.authenticate(known, request.headers, body)
    except NotAuthentic:
        _brake_stranger(request)
        credentials.count_refusal(known.connection)
        raise
    media = envelopes.media_type(request.headers.get("content-type", ""))
    events, is_batch = envelopes.parse(media, request.headers, body)
    if (not is_batch and len(body) > MAX_SINGLE) or len(events) > envelopes.MAX_BATCH:
        raise TooLarge
    after = connections_bucket.take(known.connection.pk, known.connection.rate_per_minute, max(1, len(events)))
    if after:
        raise TooMany(after=after)
    return _batch(request, known, events) if is_batch else _single(request, known, events[0], body)


def _read(request: HttpRequest) -> bytes:
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > MAX_BATCH_BYTES:
        raise TooLarge
    try:
        body = request.read(MAX_BATCH_BYTES + 1)
    except UnreadablePostError as exc:  # the sender hung up
        raise MalformedEvent("body", "the whole body") from exc
    if len(body) > MAX_BATCH_BYTES:
        raise TooLarge
    return body


def _known(request: HttpRequest, token: str) -> Known:
    known = credentials.find(token)
    if known is None:
        _brake_stranger(request)
        raise UnknownConnection
    return known


def _brake_stranger(request: HttpRequest) -> None:
    after = strangers_bucket.take(request.META.get("REMOTE_ADDR", ""), STRANGERS_PER_MINUTE)
    if after:
        raise TooMany(after=after)


def _key(request: HttpRequest) -> str:
    """The delivery key the headers give: webhook-id before Idempotency-Key (crm-connectors 3.5)."""
    message_id = request.headers.get("webhook-id") or request.headers.get("svix-id")
    if message_id:
        return f"wh:{_printable(message_id, 'webhook-id')}"
    key = request.headers.get("idempotency-key")
    if key is None:
        return ""
    key = key.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    return f"ik:{_printable(key, 'Idempotency-Key')}"


def _printable(value: str, name: str) -> str:
    if not (1 <= len(value) <= 255 and value.isascii() and value.isprintable()):
        raise MalformedEvent(name, "1 to 255 printable characters", value)
    return value


def _kept(request: HttpRequest) -> dict:
    """Headers worth keeping; none of them is a credential."""
    found = {name: request.headers[name][:255] for name in _KEPT_HEADERS if name in request.headers}
    found.update({k.lower(): v[:255] for k, v in request.headers.items() if k.lower().startswith("ce-")})
    return found


def _single(request: HttpRequest, known: Known, event: dict, body: bytes) -> HttpResponse:
    key = _key(request)
    incoming = intake.prepare(event, key=key, raw=body.decode("utf-8"), headers=_kept(request))
    result = intake.receive_one(known.connection, incoming)
    response = _answer(result.as_json(), 202 if result.status == intake.ACCEPTED else 200)
    if key.startswith("ik:") and result.status == intake.DUPLICATE:
        response["Idempotent-Replayed"] = "true"
    return response


def _batch(request: HttpRequest, known: Known, events: list) -> HttpResponse:
    headers, items = _kept(request), []
    for event in events:
        try:
            items.append(intake.prepare(event, headers=headers))
        except MalformedEvent as exc:
            name = event.get("external_id", "") if isinstance(event, dict) else ""
            items.append(intake.Result(str(name)[:255], intake.REJECTED, exc))
    results = intake.receive_many(known.connection, items)
    return _answer({"results": [result.as_json() for result in results]}, _batch_status(results))


def _batch_status(results: list[intake.Result]) -> int:
    """202 when anything was stored, 200 when nothing was new; when every item was refused, as a single one would be."""
    statuses = {result.status for result in results}
    if statuses == {intake.REJECTED}:
        return 422 if all(isinstance(result.error, Conflict) for result in results) else 400
    return 202 if intake.ACCEPTED in statuses else 200


def _handshake(request: HttpRequest, token: str) -> HttpResponse:
    """The CloudEvents webhook handshake, granted only to origins configured on the connection."""
    known, origin = _known(request, token), request.headers.get("webhook-request-origin", "")
    response = _answer({}, 200, Allow="POST")
    if origin and origin in known.connection.allowed_origins:
        response["WebHook-Allowed-Origin"] = origin
        response["WebHook-Allowed-Rate"] = str(known.connection.rate_per_minute)
    return response
