"""What Laurel tells people, by e-mail and in chat channels: written with the change, sent afterwards.

An app names its kinds in a module `notices` of its own, which is loaded at the start:

    kind("payouts.waiting", label=_("Payouts that wait for approval"), content=waiting, duty=True, chat=True)

and tells somebody in the transaction of the change:

    notify("payouts.waiting", to=user, key=f"{payout.pk}:{step}", data={"payout": str(payout.public_id)})
"""

from incentives.notifications.registry import CHATS, Content, Item, Reader, kind

__all__ = ["CHATS", "Content", "Item", "Reader", "announced", "kind", "notify", "once"]


def notify(kind: str, *, to, key: str, data: dict | None = None, program: str = "") -> int:
    """See `incentives.notifications.outbox.notify`."""
    from incentives.notifications import outbox

    return outbox.notify(kind, to=to, key=key, data=data, program=program)


def once(key: str) -> bool:
    """See `incentives.notifications.outbox.once`."""
    from incentives.notifications import outbox

    return outbox.once(key)


def announced(keys: list[str]) -> set[str]:
    """Those of the keys that `once` has seen. One query."""
    from incentives.notifications import outbox

    return outbox.announced(keys)
