"""When what stands about an object first reached us: the earliest receipt of a statement of this win.

A win stands from the oldest statement of it that no statement of another state follows. So a later version of the same win
keeps the moment, a win after a reopening takes a new one, and a stale statement that splits a win, or that states it
and was received before, moves it: whatever the order in which the statements are worked through.

`ObjectState.receipts` keeps what that needs: `first`, the earliest receipt of any statement; `other`, the newest mark
(version, order of receipt) that states another state than won; `won`, the marks newer than it that state the win.
"""

from datetime import datetime

from incentives.crm.models import ObjectState

KEPT = 50
"""Statements of one win that are kept: the oldest and the newest. A stale loss further back counts from the next one kept."""


def note(thing: ObjectState, state: str, mark: tuple[str, int], received_at: datetime) -> bool:
    """Take one statement into account, after the object's registers were set. Says whether `received_at` moved."""
    remember(thing)
    receipts = thing.receipts
    at = received_at.isoformat()
    receipts["first"] = min(receipts.get("first") or at, at, key=datetime.fromisoformat)
    other, won = _mark(receipts.get("other")), [row for row in receipts.get("won", []) if _mark(row) != mark]
    if state == "won" and mark > other:
        won = _shortened(sorted([*won, [*mark, at]], key=_mark))
    elif state and state != "won" and mark > other:
        other = mark
        won = [row for row in won if _mark(row) > other]
    thing.receipts = {"first": receipts["first"], "other": list(other), "won": won}
    before, thing.received_at = thing.received_at, standing(thing)
    return thing.received_at != before


def standing(thing: ObjectState) -> datetime | None:
    """The moment by what is kept: of a win its own, of anything else the first time we heard of the object."""
    moments = [datetime.fromisoformat(row[2]) for row in thing.receipts.get("won", [])] if thing.state == "won" else []
    if moments:
        return min(moments)
    return datetime.fromisoformat(thing.receipts["first"])


def remember(thing: ObjectState) -> None:
    """Give an object stored before receipts were kept what its one moment says. Call it before the registers change."""
    if thing.receipts or thing.received_at is None:
        return
    at = thing.received_at.isoformat()
    won = [[thing.state_version, thing.state_delivery, at]] if thing.state == "won" else []
    thing.receipts = {"first": at, "won": won}


def _mark(row) -> tuple[str, int]:
    return (row[0], row[1]) if row else ("", -1)


def _shortened(won: list) -> list:
    return won if len(won) <= KEPT else [won[0], *won[1 - KEPT :]]
