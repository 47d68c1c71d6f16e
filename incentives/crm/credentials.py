"""Address tokens and secrets of connections: made, kept (hashed or encrypted), checked in constant time.

Looking up a connection is cached in the process for a few seconds, so that a burst of posts costs one query; services
that change a connection drop the entry here, other processes notice within CACHE_SECONDS.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from incentives.crm import signing
from incentives.crm.errors import NotAuthentic
from incentives.crm.models import Connection, ConnectionSecret

CACHE_SECONDS = 5
MAX_CACHED = 1000


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()


def new_token() -> str:
    """192 random bits, safe in an address."""
    return secrets.token_urlsafe(24)


def new_signing_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])


def seal(secret: str) -> str:
    return _fernet().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    return _fernet().decrypt(sealed.encode()).decode()


@dataclass
class Secret:
    """One active credential, ready to compare."""

    id: int
    kind: str
    digest: str
    key: bytes
    expires_at: datetime | None
    used_at: float = 0.0


@dataclass
class Known:
    """A connection with its active credentials, as cached."""

    connection: Connection
    secrets: list[Secret]
    until: float
    refused: int = field(default=0)


_cache: dict[str, Known] = {}
_lock = threading.Lock()


def forget(connection: Connection | None = None) -> None:
    """Drop what this process has cached about a connection, or about all of them."""
    with _lock:
        if connection is None:
            _cache.clear()
        else:
            _cache.pop(connection.token_hash, None)


def find(token: str) -> Known | None:
    """The connection at this address token, or None. One query at most every CACHE_SECONDS per token."""
    token_hash = sha256(token)
    known = _cache.get(token_hash)
    if known is not None and known.until > time.monotonic():
        return known
    connection = Connection.objects.filter(token_hash=token_hash).exclude(kind__in=Connection.OWN).first()
    if connection is None:
        return None
    known = Known(connection, _active_secrets(connection), time.monotonic() + CACHE_SECONDS)
    with _lock:
        if len(_cache) >= MAX_CACHED:
            _cache.clear()
        _cache[token_hash] = known
    return known


def _active_secrets(connection: Connection) -> list[Secret]:
    found = []
    for row in ConnectionSecret.objects.filter(connection=connection):
        key = signing.decode_secret(unseal(row.sealed)) if row.kind == ConnectionSecret.Kind.SIGNING else b""
        found.append(Secret(row.pk, row.kind, row.digest, key, row.expires_at))
    return found


def authenticate(known: Known, headers, body: bytes) -> None:
    """Check the request over its raw bytes. Raises NotAuthentic, which never says what was wrong.

    A signed request must verify; otherwise a bearer key, the connection's key header, or Basic may. A connection
    without any active secret accepts nothing: the address alone is never enough.
    """
    now = timezone.now()
    active = [s for s in known.secrets if s.expires_at is None or s.expires_at > now]
    matched = _signed(active, headers, body) or _keyed(known.connection, active, headers)
    if matched is None:
        raise NotAuthentic
    _note_use(matched)


def _signed(active: list[Secret], headers, body: bytes) -> Secret | None:
    signers = [s for s in active if s.kind == ConnectionSecret.Kind.SIGNING]
    if not signers:
        return None
    try:
        found = signing.read_headers(headers)
    except ValueError as exc:
        raise NotAuthentic from exc
    if found is None:
        return None
    message_id, timestamp, signatures = found
    for signer in signers:
        if signing.verify(
            message_id=message_id,
            timestamp=timestamp,
            signatures=signatures,
            body=body,
            keys=[signer.key],
            now=time.time(),
        ):
            return signer
    raise NotAuthentic


def _keyed(connection: Connection, active: list[Secret], headers) -> Secret | None:
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    offered = []
    if scheme.lower() == "bearer":
        offered.append((ConnectionSecret.Kind.BEARER, sha256(credentials.strip())))
    elif scheme.lower() == "basic":
        offered.append((ConnectionSecret.Kind.BASIC, _basic_digest(credentials.strip())))
    if connection.key_header and headers.get(connection.key_header):
        offered.append((ConnectionSecret.Kind.BEARER, sha256(headers[connection.key_header].strip())))
    matched = None
    for kind, digest in offered:
        for secret in active:
            if secret.kind == kind and hmac.compare_digest(secret.digest, digest):
                matched = secret
    return matched


def _basic_digest(credentials: str) -> str:
    try:
        return sha256(base64.b64decode(credentials, validate=True).decode("utf-8"))
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return sha256("")


def _note_use(secret: Secret) -> None:
    """Keep `last_used_at` roughly: at most one write a minute and process."""
    if time.monotonic() - secret.used_at > 60:
        secret.used_at = time.monotonic()
        ConnectionSecret.objects.filter(pk=secret.id).update(last_used_at=timezone.now())


def count_refusal(connection: Connection) -> None:
    """The one thing a failed authentication leaves behind."""
    Connection.objects.filter(pk=connection.pk).update(refused_count=F("refused_count") + 1)


def expiry(days: int | None) -> datetime | None:
    return timezone.now() + timedelta(days=days) if days else None
