"""Secrets at rest: MultiFernet (AES-CBC + HMAC) under FIELD_ENCRYPTION_KEYS, newest key first.

What is sealed is bound to its row by a label inside, so a ciphertext moved to another row does not open.
"""

import functools
import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from rewards.errors import Unreadable


def _fernet() -> MultiFernet:
    return _of(tuple(settings.FIELD_ENCRYPTION_KEYS))


@functools.lru_cache(maxsize=4)
def _of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def seal(label: str, secret: dict[str, str]) -> str:
    return _fernet().encrypt(json.dumps([label, secret]).encode()).decode()


def unseal(label: str, sealed: str) -> dict[str, str]:
    """Raises Unreadable: no key fits, or it was sealed under another label."""
    try:
        found, secret = json.loads(_fernet().decrypt(sealed.encode()))
    except (InvalidToken, ValueError) as exc:
        raise Unreadable from exc
    if found != label:
        raise Unreadable
    return secret


def rotate(sealed: str) -> str:
    """The same secret under the newest key. Raises Unreadable."""
    try:
        return _fernet().rotate(sealed.encode()).decode()
    except InvalidToken as exc:
        raise Unreadable from exc
