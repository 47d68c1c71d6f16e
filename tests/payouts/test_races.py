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
from rewards import services as rewards
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


def test_several_approvers_at_once_batch_every_payout_once():
    """Each of four people approves all of them with one request, while somebody else makes batches of whatever waits."""
    make_product()
    services.save_policy(
        actor=make_user("finance"), name="Bulk", currency="USD", position=1, steps=["finance"], batch_lines=5
    )
    program = make_program(funded="5000.00")
    reps = [make_participant() for _ in range(12)]
    send(make_connection(), *(deal(f"D{i}", rep, "5000.00") for i, rep in enumerate(reps)))
    payouts = services.build_payouts(program=program).payouts
    people = [make_user("finance") for _ in range(4)]

    def work(number):
        mine = payouts if number % 2 else payouts[::-1]
        if number < 4:
            services.approve_many(seen=[(p.pk, p.content_hash) for p in mine], actor=people[number])
        else:
            for _ in range(10):
                waiting = RewardOrder.objects.filter(state="draft", line_count=None)
                rewards.create_batch(list(waiting.values_list("pk", flat=True)))

    in_threads(5, work)
    lines = RewardOrder.objects.filter(payout__isnull=False)
    assert (lines.count(), Approval.objects.count(), Posting.objects.filter(kind="commit").count()) == (12, 12, 12)
    assert figures(program.budget) == (380_000, 0, 120_000, 0)
    for batch in RewardOrder.objects.exclude(line_count=None):
        assert sorted(batch.lines.values_list("line", flat=True)) == list(range(1, batch.line_count + 1))
        assert batch.amount_minor == batch.line_count * 10_000
    assert set(lines.values_list("state", flat=True)) <= {"batched", "draft"}
    assert not lines.filter(state="draft", batch__isnull=False).exists()
    assert check_ledger() == []


def test_everybody_of_a_batch_cancelled_at_once_is_cancelled_once():
    """The first gives the batch up; the others find orders of their own, or wait for it."""
    make_product()
    services.save_policy(
        actor=make_user("finance"), name="Bulk", currency="USD", position=1, steps=["finance"], batch_lines=5
    )
    program, finance = make_program(funded="5000.00"), make_user("finance")
    send(make_connection(), *(deal(f"D{i}", make_participant(), "5000.00") for i in range(4)))
    payouts = services.build_payouts(program=program).payouts
    services.approve_many(seen=[(p.pk, p.content_hash) for p in payouts], actor=finance)
    batch = RewardOrder.objects.get(line_count=4)
    outcomes = Counter()

    def cancel(number):
        try:
            services.cancel_payout(payout_id=payouts[number].pk, actor=finance, reason="left")
            outcomes["cancelled"] += 1
        except DomainError as exc:
            outcomes[exc.code] += 1

    in_threads(4, cancel)
    batch.refresh_from_db()
    assert (outcomes, batch.state) == ({"cancelled": 4}, "cancelled")
    assert set(batch.lines.values_list("state", flat=True)) == {"cancelled"}
    assert rewards.create_batch(list(batch.lines.values_list("pk", flat=True))) is None
    assert figures(program.budget) == (500_000, 0, 0, 0)
    assert check_ledger() == []
