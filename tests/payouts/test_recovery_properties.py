"""Any sequence of facts, payouts, instalments and write-offs recovers what was paid too much once (hypothesis, promise 3)."""

import contextlib
from collections import defaultdict
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from tests.reports.flow_checks import assert_reasons_add_up


class Books:
    """One rep in one program; cards are issued at once. Every step may be refused, and a refusal changes nothing."""

    def __init__(self, recovery: str):
        self.scene = Scene()
        self.program = self.scene.program(payout={"when": "at_close", "recovery": recovery})
        self.versions: dict[int, int] = {}
        self.fact(0, 5000, False)
        self.fact(1, 2001, False)
        self.pay()

    @property
    def participation(self):
        return self.program.participations.get()

    def fact(self, number, amount, looked):
        self.versions[number] = version = self.versions.get(number, 0) + 1
        kind = "deal.won" if amount else "deal.lost"
        attributes = {"for": self.program.name}
        event = deal(f"D{number}", self.scene.rep, f"{amount}.00", version=version, kind=kind, attributes=attributes)
        intake.receive_one(self.scene.crm, intake.prepare(event))
        process_deliveries()
        evaluate()
        if looked:
            services.follow_up()

    def pay(self):
        services.follow_up()
        self.build()
        self.deliver(9)

    def build(self):
        to_look = self.participation.scored_seq > self.participation.paid_seq
        promised = None if to_look else selectors.preview_build(self.program)
        built = services.build_payouts(program=self.program).payouts
        if promised:
            assert promised.total.minor == sum(payout.amount_minor for payout in built)

    def deliver(self, most):
        for payout in Payout.objects.filter(status="submitted").order_by("pk")[:most]:
            self.scene.issue(self.scene.approve(payout))

    def reject(self):
        for payout in Payout.objects.filter(status="submitted")[:1]:
            services.reject_payout(payout_id=payout.pk, actor=self.scene.finance, reason="no")

    def instalments(self, percent, most):
        values = {"percent": percent and Decimal(percent), "most": most and usd(most)}
        with contextlib.suppress(DomainError):
            services.set_instalments(
                participation=self.participation, actor=self.scene.manager, reason="agreed", **values
            )

    def write_off(self, amount, agrees):
        with contextlib.suppress(DomainError):
            services.propose_write_off(
                participation=self.participation, amount=usd(amount), reason="gone", actor=self.scene.other
            )
        for proposal in self.participation.write_offs.filter(status="proposed"):
            with contextlib.suppress(DomainError):
                if agrees:
                    services.approve_write_off(write_off=proposal, actor=self.scene.finance)
                else:
                    services.decline_write_off(write_off=proposal, actor=self.scene.finance, reason="no")

    def look(self):
        services.follow_up()

    def check(self):
        assert check_ledger() == []
        assert_reasons_add_up(rows=True)
        participation = self.participation
        if participation.paid_seq >= participation.scored_seq:
            assert_recovered_once(participation)
            assert_nothing_is_paid_twice(participation)


AMOUNTS = st.sampled_from([0, 300, 1000, 2001, 5000])
STEPS = st.one_of(
    st.tuples(st.just("fact"), st.integers(0, 3), AMOUNTS, st.booleans()),
    st.tuples(st.just("fact"), st.integers(2, 5), AMOUNTS, st.booleans()),
    st.just(("pay",)),
    st.just(("pay",)),
    st.sampled_from([("build",), ("deliver", 1), ("reject",), ("look",)]),
    st.tuples(st.just("instalments"), st.sampled_from([None, "1", "25", "100"]), st.sampled_from([None, "7.01"])),
    st.tuples(st.just("write_off"), st.sampled_from(["0.01", "5.00", "20.00", "60.00", "100.00"]), st.booleans()),
)


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
@pytest.mark.parametrize(("recovery", "examples"), [("next_payout", 4), ("write_off", 2), ("none", 2)])
def test_promise_3_any_sequence_recovers_what_was_paid_too_much_once(recovery, examples):
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=st.lists(STEPS, min_size=12, max_size=16))
    def keeps_the_books_right(steps):
        with transaction.atomic():
            books = Books(recovery)
            for name, *values in steps:
                getattr(books, name)(*values)
                books.check()
            assert list(recompute.check()) == []
            transaction.set_rollback(True)

    keeps_the_books_right()
