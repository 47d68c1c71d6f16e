"""Issued cards with a claim link. The link is money: encrypted at rest, revealed to one person at a time, on record."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction

from rewards import clock, vault
from rewards.errors import EvidenceNeeded
from rewards.models import Card, CardReveal, DeliveryType, RewardOrder
from rewards.provider.types import ClaimData


@dataclass(frozen=True, slots=True)
class ClaimSecret:
    """What the recipient needs. Never in a repr, a log or an export."""

    link: str = field(repr=False)
    answer: str = field(default="", repr=False)


def store_cards(order: RewardOrder, claims: Iterable[ClaimData], now: datetime) -> None:
    """Keep the claim links of a `Links` order, encrypted. For other deliveries no link enters our database at all."""
    if order.delivery_type != DeliveryType.LINKS:
        return
    have = set(order.cards.values_list("position", flat=True))
    for position, claim in enumerate(claim for claim in claims if claim.link):
        if position not in have:
            public_id = uuid4()
            sealed = vault.seal(_label(public_id), {"link": claim.link, "answer": claim.answer})
            Card.objects.create(
                public_id=public_id, order=order, position=position, provider_card_id=claim.id, sealed=sealed,
                created_at=now,
            )  # fmt: skip


def known_links(orders: Iterable[RewardOrder]) -> set[str]:
    """The claim links these orders have, to tell a fresh one from somebody's. Never leaves the settling of an order."""
    cards = Card.objects.filter(order__in=list(orders))
    return {vault.unseal(_label(card.public_id), card.sealed)["link"] for card in cards}


def reveal_card(card_id: int, *, actor_name: str, actor_ref: str) -> ClaimSecret:
    """The claim link, and in the same transaction the record of who saw it. Who may see it is the caller's decision.

    Raises EvidenceNeeded without a name, Unreadable when the stored secret does not open (nothing is recorded then),
    Card.DoesNotExist.
    """
    if not actor_name.strip() or not actor_ref.strip():
        raise EvidenceNeeded("A claim link is only revealed to somebody with a name.")
    with transaction.atomic():
        card = Card.objects.get(pk=card_id)
        secret = vault.unseal(_label(card.public_id), card.sealed)
        CardReveal.objects.create(card=card, at=clock.now(), actor_name=actor_name[:200], actor_ref=actor_ref[:200])
    return ClaimSecret(link=secret["link"], answer=secret["answer"])


def rotate_keys(batch: int = 500) -> int:
    """Put every stored secret under the newest key; returns how many. Safe to repeat and to interrupt."""
    done, last = 0, 0
    while rows := list(Card.objects.filter(pk__gt=last).order_by("pk")[:batch]):
        for card in rows:
            Card.objects.filter(pk=card.pk, sealed=card.sealed).update(sealed=vault.rotate(card.sealed))
        done, last = done + len(rows), rows[-1].pk
    return done


def _label(public_id: UUID) -> str:
    return f"card:{public_id}"
