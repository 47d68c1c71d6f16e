"""Any sequence of facts, corrections, decisions, funding and provider faults keeps promises 2 to 5 and 9 (hypothesis)."""

import contextlib
from collections import defaultdict
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from incentives.core.errors import DomainError
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.ledger import services as ledger
from incentives.ledger.models import Account, Posting
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout, PayoutEarning
from incentives.payouts.reconcile import reconcile
from rewards import services as rewards
from rewards.models import RewardOrder
from tests.factories import deal, make_connection, make_participant, make_program, make_user, usd
from tests.rewards.conftest import World

FAULTS = ["504_before", "504_after", "reset_after", "500_after", "not_json", "401", "400", "pending", "429"]
OPEN = ("draft", "submitting", "pending")


def machine_for(monkeypatch, recovery: str = "next_payout"):
    class Payouts(RuleBasedStateMachine):
        """One program, two reps, a small budget; every rule may be refused, and a refusal changes nothing."""

        def __init__(self):
            super().__init__()
            self.block = transaction.atomic()
            self.block._from_testcase = True  # as Django's TestCase marks its own, so that durable blocks may nest
            self.block.__enter__()
            self.world = World(monkeypatch)
            rewards.refresh_catalogue(client=self.world.client)
            self.manager, self.finance = make_user("manager"), make_user("finance")
            self.reps, self.crm = [make_participant("Ana"), make_participant("Bob")], make_connection()
            delivery = {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}
            policy = {"when": "at_close", "recovery": recovery}
            self.program = make_program(manager=self.manager, funded="300.00", delivery=delivery, payout=policy)
            self.second = make_user("finance")
            self.versions, self.funded = {}, 0

        def teardown(self):
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

        @rule(number=st.integers(0, 3), rep=st.integers(0, 1), amount=st.integers(0, 9000), won=st.booleans())
        def fact(self, number, rep, amount, won):
            self.versions[number] = version = self.versions.get(number, 0) + 1
            kind = "deal.won" if won else "deal.lost"
            event = deal(f"D{number}", self.reps[rep], f"{amount}.00", version=version, kind=kind)
            intake.receive_one(self.crm, intake.prepare(event))
            process_deliveries()
            evaluate()
            services.follow_up()

        @rule()
        def build(self):
            services.build_payouts(program=self.program, actor=self.manager)

        @rule(which=st.integers(0, 5), what=st.sampled_from(["approve", "approve", "approve", "reject", "cancel"]))
        def decide(self, which, what):
            payout = (
                Payout.objects.filter(status__in=["submitted", "approved"]).order_by("pk")[which : which + 1].first()
            )
            if payout is None:
                return
            with contextlib.suppress(DomainError):
                if what == "approve":
                    services.approve_payout(payout_id=payout.pk, actor=self.finance)
                elif what == "reject":
                    services.reject_payout(payout_id=payout.pk, actor=self.finance, reason="no")
                else:
                    services.cancel_payout(payout_id=payout.pk, actor=self.finance, reason="no")

        @rule(fault=st.sampled_from(["", *FAULTS]))
        def order(self, fault):
            self.world.faults(*([{"fault": fault, "next": 1, "seconds": 5}] if fault else []))
            self.world.sweep()
            self.world.advance(400)

        @rule(
            which=st.integers(0, 1), percent=st.sampled_from([None, 1, 25, 100]), most=st.sampled_from([None, "7.01"])
        )
        def instalments(self, which, percent, most):
            for participation in self.program.participations.order_by("pk")[which : which + 1]:
                with contextlib.suppress(DomainError):
                    services.set_instalments(
                        participation=participation,
                        percent=percent and Decimal(percent),
                        most=most and usd(most),
                        actor=self.manager,
                        reason="agreed",
                    )

        @rule(which=st.integers(0, 1), amount=st.integers(1, 6000), agrees=st.booleans())
        def write_off(self, which, amount, agrees):
            for participation in self.program.participations.order_by("pk")[which : which + 1]:
                with contextlib.suppress(DomainError):
                    services.propose_write_off(
                        participation=participation,
                        amount=usd(str(Decimal(amount) / 100)),
                        reason="gone",
                        actor=self.second,
                    )
                for proposal in participation.write_offs.filter(status="proposed"):
                    with contextlib.suppress(DomainError):
                        if agrees:
                            services.approve_write_off(write_off=proposal, actor=self.finance)
                        else:
                            services.decline_write_off(write_off=proposal, actor=self.finance, reason="no")

        @rule(amount=st.integers(1, 200))
        def fund(self, amount):
            self.funded += 1
            money = usd(f"{amount}.00")
            ledger.fund(budget=self.program.budget, amount=money, reference=f"F{self.funded}", actor=self.finance)

        @invariant()
        def the_books_are_right(self):
            assert check_ledger() == []
            assert list(recompute.check()) == []
            for order in RewardOrder.objects.filter(state="completed"):
                assert order.payout.status == "fulfilled"

        @invariant()
        def what_was_paid_too_much_is_recoverable_once(self):
            for participation in self.program.participations.all():
                assert_recovered_once(participation)

        @rule()
        def settle_everything(self):
            self.world.faults()
            for _ in range(10):
                self.world.sweep()
                self.world.advance(4000)
            if not RewardOrder.objects.filter(state__in=OPEN).exists():
                differences = reconcile(rewards.list_provider_orders(client=self.world.client)).differences
                assert [str(d) for d in differences if d.serious] == []

    return Payouts


def assert_recovered_once(participation) -> None:
    """Counted again from the rows, without the code under test: per fact, opened - recovered - written off = recoverable,
    never below zero, and no correction is taken off two payouts."""
    recoverable = 0
    for earnings in grouped(participation).values():
        earned = sum(e.amount_minor for e in earnings)
        taken = PayoutEarning.objects.filter(earning__in=earnings, payout__status="fulfilled")
        delivered = sum(taken.values_list("amount_minor", flat=True))
        lines = participation.write_off_lines.filter(object=earnings[0].object_id)
        written_off = sum(lines.values_list("amount_minor", flat=True))
        assert 0 <= written_off <= max(0, delivered - earned)
        recoverable += max(0, delivered - earned) - written_off
    account = Account.objects.filter(code=f"participant:{participation.public_id}:recoverable").first()
    balance = account.balance_minor if account else 0
    moved = dict.fromkeys(("recoverable", "recovered", "earned_again", "written_off", "write_off_undone"), 0)
    for posting in Posting.objects.filter(cause=f"participation:{participation.public_id}"):
        moved[posting.kind] += posting.amount_minor
    opened = moved["recoverable"] + moved["write_off_undone"]
    gone = moved["recovered"] + moved["earned_again"] + moved["written_off"]
    assert balance == recoverable == opened - gone >= 0
    live = Q(allocations__payout__status__in=Payout.LIVE)
    for earning in participation.earnings.annotate(used=Coalesce(Sum("allocations__amount_minor", filter=live), 0)):
        assert min(0, earning.amount_minor) <= earning.used <= max(0, earning.amount_minor)


def grouped(participation) -> dict:
    found = defaultdict(list)
    for earning in participation.earnings.all():
        found[earning.object_id].append(earning)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize(("recovery", "examples"), [("next_payout", 10), ("write_off", 4), ("none", 4)])
def test_any_sequence_keeps_the_books_right(monkeypatch, quiet_nudges, recovery, examples):
    profile = settings(
        max_examples=examples, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine_for(monkeypatch, recovery), settings=profile)
