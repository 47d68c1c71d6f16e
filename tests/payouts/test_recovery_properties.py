"""Any sequence of facts, payouts, instalments and write-offs recovers what was paid too much once (hypothesis, promise 3)."""

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
from incentives.ledger.models import Account, Posting
from incentives.payouts import selectors, services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout, PayoutEarning
from tests.factories import deal, usd
from tests.payouts.scene import Scene


def machine_for(recovery: str):
    class Recoveries(RuleBasedStateMachine):
        """One rep in one program; cards are issued at once. Every rule may be refused, and a refusal changes nothing."""

        def __init__(self):
            super().__init__()
            self.block = transaction.atomic()
            self.block._from_testcase = True
            self.block.__enter__()
            self.scene = Scene()
            self.program = self.scene.program(payout={"when": "at_close", "recovery": recovery})
            self.versions = {}

        def teardown(self):
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

        @property
        def participations(self):
            return self.program.participations.order_by("pk")

        @rule(number=st.integers(0, 2), amount=st.sampled_from([0, 300, 1000, 2001, 5000]), looked=st.booleans())
        def fact(self, number, amount, looked):
            self.versions[number] = version = self.versions.get(number, 0) + 1
            kind = "deal.won" if amount else "deal.lost"
            attributes = {"for": self.program.name}
            event = deal(
                f"D{number}", self.scene.rep, f"{amount}.00", version=version, kind=kind, attributes=attributes
            )
            intake.receive_one(self.scene.crm, intake.prepare(event))
            process_deliveries()
            evaluate()
            if looked:
                services.follow_up()

        @rule()
        def build(self):
            promised = selectors.preview_build(self.program) if not self.to_look() else None
            built = services.build_payouts(program=self.program).payouts
            if promised:
                assert promised.total.minor == sum(payout.amount_minor for payout in built)

        def to_look(self) -> bool:
            return any(p.scored_seq > p.paid_seq for p in self.participations)

        @rule(most=st.integers(1, 3))
        def deliver(self, most):
            for payout in Payout.objects.filter(status="submitted").order_by("pk")[:most]:
                self.scene.issue(self.scene.approve(payout))

        @rule()
        def reject(self):
            for payout in Payout.objects.filter(status="submitted")[:1]:
                services.reject_payout(payout_id=payout.pk, actor=self.scene.finance, reason="no")

        @rule(percent=st.sampled_from([None, "1", "25", "100"]), most=st.sampled_from([None, "7.01"]))
        def instalments(self, percent, most):
            values = {"percent": percent and Decimal(percent), "most": most and usd(most)}
            for participation in self.participations:
                with contextlib.suppress(DomainError):
                    services.set_instalments(
                        participation=participation, actor=self.scene.manager, reason="agreed", **values
                    )

        @rule(amount=st.sampled_from(["0.01", "5.00", "20.00", "60.00", "100.00"]), agrees=st.booleans())
        def write_off(self, amount, agrees):
            for participation in self.participations:
                with contextlib.suppress(DomainError):
                    services.propose_write_off(
                        participation=participation, amount=usd(amount), reason="gone", actor=self.scene.other
                    )
                for proposal in participation.write_offs.filter(status="proposed"):
                    with contextlib.suppress(DomainError):
                        if agrees:
                            services.approve_write_off(write_off=proposal, actor=self.scene.finance)
                        else:
                            services.decline_write_off(write_off=proposal, actor=self.scene.finance, reason="no")

        @invariant()
        def what_was_paid_too_much_is_recoverable_once(self):
            assert check_ledger() == []
            for participation in self.participations:
                if participation.paid_seq >= participation.scored_seq:
                    assert_recovered_once(participation)

        @rule()
        def look(self):
            services.follow_up()
            assert list(recompute.check()) == []
            for participation in self.participations:
                assert_nothing_is_paid_twice(participation)

    return Recoveries


def assert_nothing_is_paid_twice(participation) -> None:
    """What live payouts pay is what was earned, written off, or was paid too much and is still to be recovered."""
    live = sum(participation.payouts.filter(status__in=Payout.LIVE).values_list("amount_minor", flat=True))
    written_off = sum(participation.write_off_lines.values_list("amount_minor", flat=True))
    over = 0
    for earnings in grouped(participation).values():
        taken = PayoutEarning.objects.filter(earning__in=earnings, payout__status__in=Payout.LIVE)
        over += max(0, sum(taken.values_list("amount_minor", flat=True)) - sum(e.amount_minor for e in earnings))
    assert live <= participation.earned_minor + over
    assert written_off <= over


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
def test_promise_3_any_sequence_recovers_what_was_paid_too_much_once(recovery, examples):
    profile = settings(
        max_examples=examples, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(machine_for(recovery), settings=profile)
