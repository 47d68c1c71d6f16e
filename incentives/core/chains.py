"""What the hash chains have in common: where they begin, how a link is made, and the row that says where each ends."""

import hashlib

from django.utils import timezone

from incentives.core.models import ChainHead

GENESIS = "0" * 64
AUDIT, BOOKS = "audit", "books"


def linked(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def locked_head(name: str, last: tuple[int, str] | None) -> ChainHead:
    """The head, locked until the caller's transaction ends, so that one process at a time adds to a chain. Where there is none
    yet the chain goes on after `last` (number, link)."""
    heads = ChainHead.objects.select_for_update(no_key=True)
    head = heads.filter(name=name).first()
    if head is None:
        number, chain = last or (0, GENESIS)
        ChainHead.objects.get_or_create(name=name, defaults={"number": number, "chain": chain, "at": timezone.now()})
        head = heads.get(name=name)
    return head


def move_head(head: ChainHead, number: int, chain: str) -> None:
    head.number, head.chain, head.at = number, chain, timezone.now()
    head.save(update_fields=["number", "chain", "at"])


def heads() -> dict[str, tuple[int, str]]:
    """Name -> (number, link) of every chain; one that never began stands at 0."""
    known = {head.name: (head.number, head.chain) for head in ChainHead.objects.all()}
    return {name: known.get(name, (0, "")) for name in (AUDIT, BOOKS)}


def end_problem(name: str, number: int, chain: str) -> str:
    """What is wrong with a chain that was walked to `number` and `chain`, as its head knows it; empty when it ends there."""
    head = ChainHead.objects.filter(name=name).first()
    if head is None:
        return f"the head of the chain {name} is missing: its end cannot be proven" if number else ""
    if head.number > number:
        return f"the chain {name} ends with number {number}, its head says {head.number}: the last were removed"
    if (head.number, head.chain) != (number, chain):
        return f"the chain {name} does not end as its head says (number {head.number}): links or head were made anew"
    return ""
