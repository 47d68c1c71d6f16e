"""Evidence a person may read: what the provider said, without tokens, addresses and claim links."""

import re

from rewards.provider import reading

LIMIT = 2000
SHOWN = ("message", "detail", "title", "error", "errors")
_SECRETS = [
    (re.compile(r"(?i)(claim_?link\w*|challenge\w*|barcode\w*|accesstoken|token|password|authorization)(\W+)[^\s\",}]+"), r"\1\2[secret]"),
    (re.compile(r"(?i)(bearer\s+)\S+"), r"\1[secret]"),
    (re.compile(r"(?i)https?://\S+"), "[address]"),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"), "[email]"),
    (re.compile(r"\+\d{7,15}\b"), "[number]"),
    (re.compile(r"<[^>]{0,500}>"), " "),
]  # fmt: skip


def evidence(raw: bytes) -> str:
    """The first 2 kB as redacted text; of a JSON error the words meant for people come first."""
    found = raw[: LIMIT * 4].decode("utf-8", "replace").replace("\x00", "")
    for pattern, replacement in _SECRETS:
        found = pattern.sub(replacement, found)
    return " ".join(found.split())[:LIMIT]


def message(raw: bytes) -> str:
    """The sentence for a person in an error body, for display only; empty when there is none."""
    try:
        body = reading.parse(raw)
    except reading.Unreadable:
        return ""
    if not isinstance(body, dict):
        return ""
    return next((evidence(str(body[key]).encode()) for key in SHOWN if body.get(key)), "")[:300]
