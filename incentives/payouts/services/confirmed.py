"""Rows that one person of finance changes and another confirms: approval policies, limits and allowed domains.

They have `edited_by`, `edited_at` and `confirmed_by`. Until the confirmation the editor approves no payout built since (promise 6).
"""

from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed

PERMISSION = "payouts.approve"


def require(actor, doing: str) -> None:
    if not actor.can(PERMISSION):
        raise NotAllowed(f"Only finance may {doing}.")


def write_change(row, *, actor, before: dict, shown: Callable, kind: str):
    """Save `row` as this person's change, to be confirmed anew; one without a difference to `before` writes nothing.

    Call it with the row locked; `before` is empty for a new one, `kind` begins the audit's action.
    """
    after = shown(row)
    if before == after:
        return row
    row.edited_by, row.edited_at, row.confirmed_by = actor, timezone.now(), None
    row.save()
    audit.record(f"{kind}.changed" if before else f"{kind}.created", row, actor=actor, before=before, after=after)
    return row


def confirm_change(row, *, actor, shown: Callable, kind: str, changed: DomainError):
    """The second person's word on a change. A repeat changes nothing. Raises NotAllowed (also for who changed it), and
    `changed` when there is nothing to confirm or it changed in between."""
    if row.edited_by_id == actor.pk:
        raise NotAllowed("You made this change; another person of finance must confirm it.")
    with transaction.atomic():
        same = type(row).objects.filter(pk=row.pk, edited_at=row.edited_at, edited_by__isnull=False)
        if not same.exists():
            raise changed
        if same.filter(confirmed_by__isnull=True).update(confirmed_by=actor):
            audit.record(f"{kind}.confirmed", row, actor=actor, after=shown(row))
    row.refresh_from_db()
    return row
