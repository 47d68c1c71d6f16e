"""Who asks, and whether they may: token, rate, scope, permission, and what a body must be. Before anything is read or done.

Nothing here reads a cookie or a session. A failed attempt leaves nothing behind but the brake on its address.
"""

import time
from dataclasses import dataclass

from django.db.models import Case, F, Q, Value, When
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from incentives.accounts.models import User
from incentives.api import errors, tokens
from incentives.api.models import ApiToken
from incentives.api.scopes import SCOPES, permissions_of
from incentives.core.errors import NotAllowed
from incentives.crm import jsonio
from incentives.crm.errors import MalformedEvent
from incentives.crm.hooks import Bucket

MAX_BODY = 2 * 1024 * 1024
WINDOW = 60  # seconds
STRANGERS_PER_MINUTE = 120  # failed attempts of one address
strangers = Bucket()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request is from: `user` keeps only the permissions of the token's scopes."""

    token: ApiToken
    user: User


@dataclass(frozen=True, slots=True)
class Rate:
    """What the RateLimit fields say: `remaining` of `limit` in this window, which ends in `reset` seconds."""

    limit: int
    remaining: int
    reset: int


class Needs(HttpBearer):
    """The guard of an operation: `auth=Needs("payouts:read")`. Sets `request.caller`, `request.rate` and `request.document`."""

    def __init__(self, scope: str):
        super().__init__()
        self.scope = scope
        self.wanted = SCOPES[scope]

    def __call__(self, request: HttpRequest) -> Caller:
        caller = Caller(token := _token(request), token.user)
        request.rate = _count(token)
        if token.user.is_service and not self.wanted.machine:
            raise errors.PersonNeeded
        if self.scope not in token.scopes:
            raise errors.InsufficientScope(self.scope)
        token.user.limited_to = permissions_of(token.scopes)
        if not any(token.user.can(permission) for permission in self.wanted.opens):
            raise NotAllowed
        _check_text(request)
        request.document = _document(request)
        request.caller = caller
        return caller

    authenticate = __call__


def _token(request: HttpRequest) -> ApiToken:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    token = tokens.find(credentials.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        after = strangers.take(request.META.get("REMOTE_ADDR", ""), STRANGERS_PER_MINUTE)
        if after:
            raise errors.RateLimited(after=after)
        raise errors.Unauthenticated
    return token


def _count(token: ApiToken) -> Rate:
    """Count the request against its token's minute, one UPDATE for all processes together. Raises RateLimited."""
    now = time.time()
    window, reset = int(now) // WINDOW, WINDOW - int(now) % WINDOW
    room = ~Q(window=window) | Q(window_count__lt=token.rate_per_minute)
    count = Case(When(window=window, then=F("window_count") + 1), default=Value(1))
    counted = ApiToken.objects.filter(room, pk=token.pk).update(
        window=window, window_count=count, last_used_at=timezone.now()
    )
    if not counted:
        raise errors.RateLimited(after=reset, limit=token.rate_per_minute, reset=reset)
    used = token.window_count + 1 if token.window == window else 1
    return Rate(token.rate_per_minute, max(0, token.rate_per_minute - used), reset)


def _check_text(request: HttpRequest) -> None:
    for name, value in request.GET.items():
        jsonio.check_text(name + value, name[:80].replace("\x00", ""))


def _document(request: HttpRequest):
    """The body parsed strictly: decimals, no key twice, bounded depth. None without a body, which only few need.

    Raises: TooLarge, UnsupportedMediaType, MalformedEvent.
    """
    if request.method not in {"POST", "PATCH", "PUT"}:
        return None
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise MalformedEvent("Content-Length", "a number") from None
    if length > MAX_BODY:
        raise errors.TooLarge
    if not request.body:
        return None
    media, *parameters = (part.strip().lower() for part in request.headers.get("content-type", "").split(";"))
    charset = next((p.split("=", 1)[1].strip("\"' ") for p in parameters if p.startswith("charset=")), "utf-8")
    if media != "application/json" or charset not in {"utf-8", "utf8", "us-ascii"}:
        raise errors.UnsupportedMediaType
    return jsonio.loads(request.body)
