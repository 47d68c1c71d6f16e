"""Standard Webhooks 1.0.0 signatures, incoming (crm-connectors 3.3).

Own code rather than the `standardwebhooks` package: that one reads the timestamp leniently, accepts a full stop in the id
and any number of signatures, and raises for a secret it cannot decode instead of refusing it when it is configured.
"""

import base64
import binascii
import hashlib
import hmac
import re

TOLERANCE = 300
MAX_SIGNATURES = 16
_SETS = ("webhook", "svix")
_SAFE_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,255}")
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


def decode_secret(secret: str) -> bytes:
    """The key bytes of `whsec_...`, with or without prefix and padding. ValueError unless 24 to 64 bytes."""
    encoded = secret.strip().removeprefix("whsec_").rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as exc:
        raise ValueError("expected whsec_ followed by base64") from exc
    if not 24 <= len(key) <= 64:
        raise ValueError(f"expected 24 to 64 bytes, found {len(key)}")
    return key


def read_headers(headers) -> tuple[str, str, str] | None:
    """Id, timestamp and signatures; None when none of the three is there. ValueError for a mixture or a missing one."""
    present = [[headers.get(f"{prefix}-{part}") for part in ("id", "timestamp", "signature")] for prefix in _SETS]
    if not any(value for values in present for value in values[1:]):
        return None  # an id alone may name the delivery of a request that is authenticated otherwise
    used = [values for values in present if any(value is not None for value in values)]
    if len(used) > 1 or not all(used[0]):
        raise ValueError("signature headers are incomplete or mixed")
    return tuple(used[0])


def verify(*, message_id: str, timestamp: str, signatures: str, body: bytes, keys: list[bytes], now: float) -> bool:
    """Whether any listed v1 signature matches any key over the raw body, within five minutes of `now` (Unix seconds)."""
    if not _SAFE_ID.fullmatch(message_id) or not _SECONDS.fullmatch(timestamp):
        return False
    if abs(now - int(timestamp)) > TOLERANCE:
        return False
    listed = signatures.split()
    if len(listed) > MAX_SIGNATURES:
        return False
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys if key]
    found = False
    for entry in listed:
        version, _, signature = entry.partition(",")
        for candidate in expected:
            if version == "v1" and hmac.compare_digest(candidate, signature.encode("utf-8", "replace")):
                found = True
    return found
