"""Making and revoking API tokens, and finding the one of a request."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from incentives.accounts.models import User
from incentives.accounts.services import create_machine
from incentives.api.errors import TokenInvalid
from incentives.api.models import ApiToken
from incentives.api.scopes import offered
from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.crm.models import Connection

PREFIX = "lrl_"
LONGEST_DAYS = 365
MOST_PER_USER = 50


@dataclass(frozen=True, slots=True)
class Made:
    """A token and its clear text, which is shown this once and stored nowhere."""

    token: ApiToken
    secret: str = field(repr=False)


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def create_token(
    *, actor: User, user: User, name: str, scopes, days: int, connection: Connection | None = None
) -> Made:
    """A token that acts as `user`: oneself, or a machine where the actor manages tokens. Nobody makes one for somebody else.

    `days` from now, at most a year. Raises: NotAllowed, TokenInvalid (nothing is made then).
    """
    machine = user.is_service
    if not actor.is_active or actor.is_service or not (actor.can("tokens.edit") if machine else user.pk == actor.pk):
        raise NotAllowed
    name, scopes = name.strip(), sorted(set(scopes))
    _check(user, name, scopes, days, connection)
    secret = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        token = ApiToken.objects.create(
            name=name,
            digest=digest_of(secret),
            user=user,
            scopes=scopes,
            connection=connection,
            created_by=actor,
            expires_at=timezone.now() + timedelta(days=days),
        )
        audit.record("token.created", token, actor=actor, after=_shown(token))
    return Made(token, secret)


def create_machine_token(*, actor: User, name: str, scopes, days: int, connection: Connection | None = None) -> Made:
    """A machine of that name with its first token. Raises as create_token."""
    with transaction.atomic():
        return create_token(
            actor=actor,
            user=create_machine(name=name, actor=actor),
            name=name,
            scopes=scopes,
            days=days,
            connection=connection,
        )


def revoke_token(*, token: ApiToken, actor: User) -> None:
    """It opens nothing from the next request on. One's own, or anybody's for who manages tokens. A repeat does nothing.

    Raises: NotAllowed.
    """
    if not (actor.can("tokens.edit") or (actor.is_active and token.user_id == actor.pk)):
        raise NotAllowed
    with transaction.atomic():
        live = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True)
        if live.update(revoked_at=timezone.now(), revoked_by=actor):
            audit.record("token.revoked", token, actor=actor)


def _check(user: User, name: str, scopes: list[str], days: int, connection: Connection | None) -> None:
    if not name or len(name) > 100 or "\x00" in name:
        raise TokenInvalid("name: expected 1 to 100 characters.", field="name")
    possible = {known for known, _scope in offered(user)}
    if not scopes or not set(scopes) <= possible:
        wrong = sorted(set(scopes) - possible)
        found = f"; not {', '.join(wrong)}" if wrong else ""
        raise TokenInvalid(f"scopes: expected some of {', '.join(sorted(possible)) or 'none'}{found}.", field="scopes")
    if not 1 <= days <= LONGEST_DAYS:
        raise TokenInvalid(f"expires: expected 1 to {LONGEST_DAYS} days.", field="days")
    if connection is not None and connection.is_own:
        raise TokenInvalid("connection: Laurel's own connections take nothing from outside.", field="connection")
    if ("activities:write" in scopes) != (connection is not None):
        raise TokenInvalid(
            "connection: expected one where the token sends activities, and none otherwise.", field="connection"
        )
    if (
        ApiToken.objects.filter(user=user, revoked_at__isnull=True, expires_at__gt=timezone.now()).count()
        >= MOST_PER_USER
    ):
        raise TokenInvalid(f"At most {MOST_PER_USER} tokens may be in use at a time. Revoke one first.")


def _shown(token: ApiToken) -> dict:
    return {
        "user": str(token.user.public_id),
        "kind": token.kind,
        "scopes": token.scopes,
        "connection": token.connection.name if token.connection else "",
        "expires_at": token.expires_at.isoformat(),
    }


def find(secret: str, now: datetime | None = None) -> ApiToken | None:
    """The token behind a clear text that is neither revoked nor expired, its user active. One query."""
    if not secret.startswith(PREFIX) or len(secret) > 200:
        return None
    now = now or timezone.now()
    live = ApiToken.objects.filter(revoked_at__isnull=True, expires_at__gt=now, user__is_active=True)
    return live.filter(digest=digest_of(secret)).select_related("user", "connection").first()
