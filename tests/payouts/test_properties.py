"""Any sequence of facts, corrections, decisions, funding and provider faults keeps promises 2 to 5 and 9 (hypothesis)."""

import contextlib

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from incentives.core.errors import DomainError
from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.ledger import services as ledger
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from incentives.payouts.reconcile import reconcile
from rewards import services as rewards
from rewards.models import RewardOrder
from tests.factories import deal, make_connection, make_participant, make_program, make_user, usd
from tests.reports.flow_checks import assert_reasons_add_up
from tests.rewards.conftest import World

FAULTS = ["504_before", "504_after", "reset_after", "500_after", "not_json", "401", "400", "pending", "429"]
OPEN = ("draft", "submitting", "pending")


def machine_for(monkeypatch):
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
            self.program = make_program(manager=self.manager, funded="300.00", delivery=delivery)
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

        @rule(amount=st.integers(1, 200))
        def fund(self, amount):
            self.funded += 1
            money = usd(f"{amount}.00")
            ledger.fund(budget=self.program.budget, amount=money, reference=f"F{self.funded}", actor=self.finance)

        @invariant()
        def the_books_are_right(self):
            assert check_ledger() == []
            assert list(recompute.check()) == []
            assert_reasons_add_up()
            for order in RewardOrder.objects.filter(state="completed"):
                assert order.payout.status == "fulfilled"

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


@pytest.mark.django_db
def test_any_sequence_keeps_the_books_right(monkeypatch, quiet_nudges):
    profile = settings(max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine_for(monkeypatch), settings=profile)
