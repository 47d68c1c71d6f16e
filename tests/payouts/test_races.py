"""Many approvers at once: PostgreSQL with real threads; right on SQLite as well, where one writer works at a time."""

import threading
from collections import Counter

import pytest
from django.db import connection

from incentives.core.errors import DomainError
from incentives.ledger.models import Posting
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Approval, Payout
from rewards.models import RewardOrder
from tests.factories import deal, make_connection, make_participant, make_product, make_program, make_user, send
from tests.payouts.test_payouts import figures

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(count: int, work) -> None:
    """Run work(number) in `count` threads that start together; a failure in one fails the test."""
    start, failures = threading.Barrier(count), []

    def run(number):
        try:
            start.wait()
            work(number)
        except Exception as exc:
            failures.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert failures == []


def test_promise_5_twenty_threads_approve_against_a_budget_that_covers_half():
    make_product()
    program = make_program(funded="0")
    reps = [make_participant() for _ in range(40)]
    send(make_connection(), *(deal(f"D{i}", rep, "5000.00") for i, rep in enumerate(reps)))
    payouts = services.build_payouts(program=program).payouts
    assert len(payouts) == 40
    fund(program, "2000.00")  # 20 of the 40 payouts of 100.00
    outcomes = Counter()
    people = [make_user("finance") for _ in range(20)]

    def approve(number):
        for payout in payouts[number * 2 : number * 2 + 2]:
            try:
                services.approve_payout(payout_id=payout.pk, actor=people[number])
                outcomes["approved"] += 1
            except DomainError as exc:
                outcomes[exc.code] += 1

    in_threads(20, approve)
    assert outcomes == {"approved": 20, "insufficient_funds": 20}
    assert figures(program.budget) == (0, 0, 200_000, 0)
    assert Payout.objects.filter(status="approved").count() == 20
    assert RewardOrder.objects.count() == Approval.objects.count() == 20
    assert Posting.objects.filter(kind="commit").count() == 20
    assert check_ledger() == []


def fund(program, amount):
    from incentives.ledger import services as ledger
    from tests.factories import usd

    ledger.fund(budget=program.budget, amount=usd(amount), reference="ALL", actor=make_user("finance"))


def test_twenty_people_approving_one_payout_approve_it_once():
    make_product()
    program = make_program(funded="500.00")
    send(make_connection(), deal("D1", make_participant(), "5000.00"))
    (payout,) = services.build_payouts(program=program).payouts
    people = [make_user("finance") for _ in range(20)]
    outcomes = Counter()

    def approve(number):
        try:
            services.approve_payout(payout_id=payout.pk, actor=people[number])
            outcomes["approved"] += 1
        except DomainError as exc:
            outcomes[exc.code] += 1

    in_threads(20, approve)
    assert outcomes == {"approved": 1, "illegal_transition": 19}
    assert figures(program.budget) == (40_000, 0, 10_000, 0)
    assert (Approval.objects.count(), RewardOrder.objects.count()) == (1, 1)
    assert check_ledger() == []


def test_building_the_same_payouts_in_ten_threads_builds_them_once():
    make_product()
    program = make_program(funded="5000.00")
    reps = [make_participant() for _ in range(8)]
    send(make_connection(), *(deal(f"D{i}", rep, "5000.00") for i, rep in enumerate(reps)))
    in_threads(10, lambda number: services.build_payouts(program=program))
    assert Payout.objects.count() == 8
    assert figures(program.budget) == (420_000, 80_000, 0, 0)
    assert check_ledger() == []


def test_evaluating_in_ten_threads_posts_every_earning_once():
    from incentives.earnings import recompute
    from incentives.earnings.evaluate import evaluate
    from incentives.earnings.models import Earning

    program = make_program()
    crm, reps = make_connection(), [make_participant() for _ in range(10)]
    facts = [deal(f"D{i}", reps[i % 10], f"{100 + i}.00") for i in range(60)]
    send(crm, *facts, evaluate=False)
    in_threads(10, lambda number: evaluate())
    evaluate()
    assert Earning.objects.count() == 60
    assert sum(p.earned_minor for p in program.participations.all()) == sum(2 * (100 + i) for i in range(60))
    assert list(recompute.check()) == []
    assert check_ledger() == []
