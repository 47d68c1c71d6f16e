"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07; crm-connectors 3.5).

The key's row is committed first, as running; what the request does and the answer that is kept share one transaction, so
that a key that is done has happened exactly once, and a crash leaves a key that may be used again after its lease.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from functools import wraps

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from incentives.api import errors, problems
from incentives.api.models import IdempotencyKey
from incentives.core.errors import DomainError

KEPT = timedelta(days=7)
LEASE = timedelta(minutes=2)
REPLAYED = "Idempotent-Replayed"
S = IdempotencyKey.Status


class LostLease(Exception):
    """Somebody else took the key over: nothing of this request may stay."""


def key_of(request: HttpRequest) -> str | None:
    """The key as sent, a quoted string (as the draft has it) or bare; None without one. Raises KeyInvalid."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    key = given.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise errors.KeyInvalid
    return key


def once(*, required: bool = True, atomic: bool = True) -> Callable:
    """Decorates an operation that returns (status, Schema or dict): does it once per key, then repeats its answer.

    `atomic`: everything it does and the answer are one transaction. Without it the operation commits by steps of its own,
    must be harmless to repeat, and its answer is kept afterwards.
    """

    def decorate(operation: Callable) -> Callable:
        @wraps(operation)
        def answered(request: HttpRequest, *args, **kwargs) -> HttpResponse:
            key = key_of(request)
            if key is None:
                if required:
                    raise errors.KeyMissing
                return rendered(*operation(request, *args, **kwargs))
            row = _take(request, key)
            if row.status == S.DONE:
                return _replay(row)
            return _run(row, lambda: operation(request, *args, **kwargs), atomic)

        answered.idempotent = "required" if required else "optional"
        return answered

    return decorate


def rendered(status: int, body) -> HttpResponse:
    return _response(status, _text(body))


def _text(body) -> str:
    if hasattr(body, "model_dump"):
        body = body.model_dump(mode="json")
    return json.dumps(body, ensure_ascii=False)


def _response(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status, content_type=problems.MEDIA if status >= 400 else "application/json")


def _replay(row: IdempotencyKey) -> HttpResponse:
    answer = _response(row.answer_status, row.answer)
    answer[REPLAYED] = "true"
    return answer


def fingerprint_of(request: HttpRequest) -> str:
    head = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(head + request.body).hexdigest()


def _take(request: HttpRequest, key: str) -> IdempotencyKey:
    """The row, running and ours, or done. Committed at once. Raises KeyReused, KeyInUse."""
    now, print_ = timezone.now(), fingerprint_of(request)
    place = {"token": request.caller.token, "endpoint": f"{request.method} {request.path}"[:255], "key": key}
    try:
        with transaction.atomic():
            return IdempotencyKey.objects.create(**place, fingerprint=print_, lease_until=now + LEASE)
    except IntegrityError:
        row = IdempotencyKey.objects.filter(**place).first()
    if row is None:  # it failed just now and gave the key back
        raise errors.KeyInUse
    if row.fingerprint != print_:
        raise errors.KeyReused
    if row.status == S.DONE:
        return row
    ended = IdempotencyKey.objects.filter(pk=row.pk, status=S.RUNNING, lease_gen=row.lease_gen, lease_until__lt=now)
    if not ended.update(lease_until=now + LEASE, lease_gen=F("lease_gen") + 1):
        raise errors.KeyInUse
    row.lease_gen += 1
    return row


def _run(row: IdempotencyKey, operation: Callable, atomic: bool) -> HttpResponse:
    """Do it, keep the answer, also a refusal. A failure of ours is not kept: the key is free again."""
    try:
        if not atomic:
            status, text = _answer(*operation())
            _keep(row, status, text)
        else:
            with transaction.atomic():
                status, text = _answer(*operation())
                _keep(row, status, text)
    except LostLease:
        raise errors.KeyInUse from None
    except DomainError as exc:
        if exc.status >= 500 or exc.status == 429:
            _free(row)
            raise
        text = json.dumps(problems.content_of(exc), ensure_ascii=False)
        try:
            _keep(row, exc.status, text)
        except LostLease:
            raise errors.KeyInUse from None
        return _response(exc.status, text)
    except BaseException:
        _free(row)
        raise
    return _response(status, text)


def _answer(status: int, body) -> tuple[int, str]:
    return status, _text(body)


def _mine(row: IdempotencyKey):
    return IdempotencyKey.objects.filter(pk=row.pk, status=S.RUNNING, lease_gen=row.lease_gen)


def _keep(row: IdempotencyKey, status: int, text: str) -> None:
    if not _mine(row).update(status=S.DONE, answer_status=status, answer=text):
        raise LostLease


def _free(row: IdempotencyKey) -> None:
    _mine(row).delete()


def sweep_once(now=None) -> int:
    """Forget answers after seven days, and keys that a crash left running a day ago. Returns how many."""
    now = now or timezone.now()
    old = Q(created_at__lt=now - KEPT) | Q(status=S.RUNNING, lease_until__lt=now - timedelta(days=1))
    rows = list(IdempotencyKey.objects.filter(old).values_list("pk", flat=True)[:5000])
    return IdempotencyKey.objects.filter(pk__in=rows).delete()[0]
