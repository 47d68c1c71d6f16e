"""Where proofs lie: a private folder, random names, written whole or not at all. No address leads there."""

import contextlib
import hashlib
import logging
import os
import secrets
from pathlib import Path

from django.conf import settings

from incentives.claims.errors import ProofGone, ProofNotStored
from incentives.claims.models import ClaimProof

log = logging.getLogger(__name__)


def folder() -> Path:
    return Path(settings.MEDIA_ROOT) / "claims"


def store(content: bytes) -> str:
    """Write `content` under a new random name and give that name. Raises ProofNotStored; then nothing is left behind."""
    name = secrets.token_hex(16)
    final, unfinished = folder() / name, folder() / f"{name}.part"
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(final)
    except OSError as exc:
        log.exception("a proof could not be stored")
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise ProofNotStored from exc
    return name


def remove(name: str) -> None:
    """Remove a file whose row is gone or never came to be. One that is not there is no problem."""
    try:
        (folder() / name).unlink(missing_ok=True)
    except OSError:
        log.exception("the file of a removed proof is still there: %s", name)


def read(proof: ClaimProof) -> bytes:
    """The kept file. Raises ProofGone when it is missing, unreadable, or not the one that was stored."""
    try:
        content = (folder() / proof.path).read_bytes()
    except OSError as exc:
        log.exception("proof %s cannot be read", proof.public_id)
        raise ProofGone from exc
    if hashlib.sha256(content).hexdigest() != proof.stored_sha256:
        log.error("proof %s is not the file that was stored", proof.public_id)
        raise ProofGone
    return content
