"""One contractor and what they are paid: `pay(scene, person, "100.00")` delivers a card of that value."""

from datetime import UTC, datetime
from decimal import Decimal

from django.utils import timezone

from incentives.payouts import services as payouts
from incentives.tax import services as tax
from rewards.models import RewardOrder
from tests.factories import make_participant, make_product


def contractor(name: str = "Kim Free", **fields):
    return make_participant(name, type="contractor", **fields)


def wide_products() -> None:
    """Cards of any amount from 0.01 to 5,000.00."""
    make_product("WIDE", values=(1, 500_000))


def build(scene, person, amount: str, *, program=None):
    """A payout of exactly `amount` for the person, from a program of its own unless one is given."""
    program = program or scene.program(rewards=[{"type": "percent", "rate": "100"}], delivery=WIDE)
    scene.earn(amount, person, program=program)
    (payout,) = payouts.build_payouts(program=program).payouts
    assert payout.amount.decimal == Decimal(amount)
    return payout


WIDE = {"type": "DigitalDelivery", "channel": "email", "products": ["WIDE"]}


def deliver(scene, payout, on: datetime | None = None):
    """Approve and issue it; `on` sets the moment of completion."""
    payout = scene.issue(scene.approve(payout))
    if on is not None:
        RewardOrder.objects.filter(pk=payout.order_id).update(finished_at=on)
    return payout


def kinds(payout) -> list[str]:
    return sorted(payout.holds.filter(lifted_at__isnull=True).values_list("kind", flat=True))


def w9(person, actor, **changes):
    """Record a W-9 on file since the first of January."""
    since = datetime(timezone.now().year, 1, 1, tzinfo=UTC).date()
    return tax.save_profile(
        participant=person, actor=actor, **{"form_kind": "W-9", "form_on_file_since": since, **changes}
    )
