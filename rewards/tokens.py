"""The bearer token all workers share: kept encrypted in the database, minted by one at a time."""

import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from rewards import clock, conf, vault
from rewards.errors import Unreadable
from rewards.failpoints import hit
from rewards.models import Channel, ProviderToken
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import NotSent

EARLY_SECONDS = 300
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class BearerToken:
    value: str = field(repr=False)
    generation: int = 0


def fingerprint() -> str:
    """Of the account a token belongs to: another address or other credentials need another token."""
    parts = (settings.E2R_BASE_URL, settings.E2R_EMAIL, settings.E2R_ACCESS_TOKEN)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def current(channel: Channel, client: ProviderClient, deadline: Deadline) -> BearerToken:
    """A token with enough life left, minted now if need be; the others wait for whoever mints.

    Raises NotSent when nobody has minted one in time, and what minting raises.
    """
    while True:
        row, _ = ProviderToken.objects.select_related("channel").get_or_create(channel=channel)
        now = clock.now()
        if (value := _usable(row, now)) is not None:
            return BearerToken(value, row.generation)
        if _win_mint(row, now):
            return _mint(row, client, deadline)
        if deadline.left <= POLL_SECONDS:
            raise NotSent("Another worker is fetching a token")
        time.sleep(POLL_SECONDS)


def _usable(row: ProviderToken, now: datetime) -> str | None:
    """The stored token, unless it is old, another account's, or under a key that is gone."""
    if not (row.sealed and row.fingerprint == fingerprint() and row.refresh_at and row.refresh_at > now):
        return None
    try:
        return vault.unseal(_label(row.channel), row.sealed)["value"]
    except Unreadable:
        return None


def invalidate(channel: Channel, generation: int) -> None:
    """The provider refused this token. A newer one is left alone."""
    ProviderToken.objects.filter(channel=channel, generation=generation).update(refresh_at=None)


def _label(channel: Channel) -> str:
    return f"token:{channel.pk}"


def _win_mint(row: ProviderToken, now) -> bool:
    free = Q(mint_lease_until=None) | Q(mint_lease_until__lt=now)
    until = now + timedelta(seconds=conf.MINT_SECONDS + 5)
    return bool(ProviderToken.objects.filter(free, pk=row.pk, generation=row.generation).update(mint_lease_until=until))


def _mint(row: ProviderToken, client: ProviderClient, deadline: Deadline) -> BearerToken:
    mine = ProviderToken.objects.filter(pk=row.pk, generation=row.generation)
    try:
        token = client.mint_token(deadline=Deadline(min(conf.MINT_SECONDS, deadline.left)))
    except Exception:
        mine.update(mint_lease_until=None)
        raise
    hit("CP15")
    early = min(EARLY_SECONDS, token.expires_in * 0.1)
    mine.update(
        sealed=vault.seal(_label(row.channel), {"value": token.value}),
        fingerprint=fingerprint(),
        generation=row.generation + 1,
        refresh_at=clock.now() + timedelta(seconds=token.expires_in - early),
        mint_lease_until=None,
    )
    return BearerToken(token.value, row.generation + 1)
