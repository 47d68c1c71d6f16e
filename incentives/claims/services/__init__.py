"""Writing claims: drafts (the partner's side), review (ours), outbox (what becomes of an approved one)."""

from incentives.claims.services.drafts import (
    MAX_PROOFS,
    LineValues,
    Values,
    add_proof,
    missing_in,
    remove_proof,
    save,
    start,
    submit,
    withdraw,
)
from incentives.claims.services.review import approve, doubtful, reject, release, reverse, send_back, take

__all__ = [
    "MAX_PROOFS", "LineValues", "Values", "add_proof", "approve", "doubtful", "missing_in", "reject", "release",
    "remove_proof", "reverse", "save", "send_back", "start", "submit", "take", "withdraw",
]  # fmt: skip
