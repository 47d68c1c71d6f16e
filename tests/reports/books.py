"""A company's books with everything in them that can happen to money, from May to July 2026."""

from datetime import UTC, datetime

from django.db import transaction
from django.utils import timezone

from incentives.payouts import services
from rewards.models import Product
from rewards.orders import cancel_order, change_state
from tests.factories import deal, make_participant, send, usd
from tests.payouts.scene import LINKS

MAY, JUNE, JULY = (datetime(2026, month, 20, 12, tzinfo=UTC) for month in (5, 6, 7))


class Books:
    """`Books(scene, clock)`: what happened stands beside each step, in USD unless said otherwise."""

    def __init__(self, scene, clock):
        self.scene, self.clock = scene, clock
        clock.move_to(MAY)
        self.bonus = scene.program(name="Bonus", delivery=LINKS, starts_on="2026-01-01")
        self.spiff = scene.program(name="Spiff", starts_on="2026-01-01")
        self.euro = scene.program(name="Euro", currency="EUR", starts_on="2026-01-01")
        self.bo = make_participant("Bo Tan")
        self.may()
        clock.move_to(JUNE)
        self.june()
        clock.move_to(JULY)
        self.july()

    def won(self, number: str, amount: str, program, rep=None, version: int = 1, day: str = ""):
        day = day or f"{timezone.now():%Y-%m-%d}"
        fact = deal(number, rep or self.scene.rep, amount, version=version, occurred_at=f"{day}T10:00:00Z")
        send(self.scene.crm, fact | {"attributes": {"for": program.name}, "currency": program.currency})

    def build(self, program):
        return services.build_payouts(program=program).payouts

    def may(self) -> None:
        """Earned 100.00, 60.00 and 50.00 EUR; a card of 100.00 with a fee of 1.50."""
        self.won("A1", "5000.00", self.bonus)
        self.won("A2", "3000.00", self.spiff, self.bo)
        self.won("E1", "2500.00", self.euro)
        Product.objects.update(fee_minor=150)
        (self.card,) = self.build(self.bonus)
        self.scene.issue(self.scene.approve(self.card))
        Product.objects.update(fee_minor=0)

    def june(self) -> None:
        """A1 is worth 60.00 now: 40.00 paid too much, 15.00 of it written off. Earned 10.00 more, withheld."""
        self.won("A1", "3000.00", self.bonus, version=2, day="2026-05-20")
        services.follow_up()
        proposal = services.propose_write_off(
            participation=self.card.participation, amount=usd("15.00"), reason="Bankrupt", actor=self.scene.manager
        )
        services.approve_write_off(write_off=proposal, actor=self.scene.finance)
        self.won("A3", "2000.00", self.bonus)  # 40.00, of which 25.00 are withheld
        (rest,) = self.build(self.bonus)
        self.scene.issue(self.scene.approve(rest))
        (self.rejected,) = self.build(self.spiff)
        services.reject_payout(payout_id=self.rejected.pk, actor=self.scene.finance, reason="Wait")

    def july(self) -> None:
        """One order is refused, one cancelled, one card cheaper by 2 per cent, one on its way, one waits."""
        (refused,) = self.build(self.spiff)
        self.refuse(self.scene.approve(refused).order)
        (cancelled,) = self.build(self.spiff)
        cancel_order(self.scene.approve(cancelled).order_id, actor_name="Finance", reason="Again")
        Product.objects.update(discount_percent=2)
        (again,) = self.build(self.spiff)
        self.scene.issue(self.scene.approve(again))
        Product.objects.update(discount_percent=0)
        self.won("A4", "1500.00", self.spiff)
        (under_way,) = self.build(self.spiff)
        self.scene.sent(self.scene.approve(under_way).order)
        self.won("A5", "700.00", self.bonus, self.bo)
        (self.waiting,) = self.build(self.bonus)

    @transaction.atomic
    def refuse(self, order) -> None:
        self.scene.sent(order)
        change_state(order, "rejected", now=timezone.now(), reason="No such product", last_problem="No such product")
