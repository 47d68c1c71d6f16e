"""32 threads on PostgreSQL that approve, reject, cancel, correct, fund, move money, build, hold, write off, close and sweep.

5 s in `make test`. The long form: LAUREL_MIX_SECONDS=60 .venv/bin/python -m tests.support.run tests/acceptance/test_many_threads.py
"""

import os

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from incentives.core.audit import verify
from incentives.crm.ingest import process_deliveries
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.ledger.models import Account
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from incentives.payouts.reconcile import reconcile
from rewards import services as rewards
from rewards.models import RewardOrder
from tests.acceptance import mixing
from tests.rewards.conftest import World, quiet_nudges  # noqa: F401
from tests.support.environment import ROOT

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

SECONDS = float(os.environ.get("LAUREL_MIX_SECONDS") or 5)
ORDER_STATES = {
    "submitted": {None}, "rejected": {None}, "expired": {None},
    "approved": {"draft", "submitting", "unfunded", "review"},
    "ordered": {"pending", "submitting", "unfunded", "review"},
    "fulfilled": {"completed"},
    "failed": {"rejected", "failed"},
    "cancelled": {None, "cancelled"},
}  # fmt: skip
"""State of a payout -> the states its order may be in."""


def record(outcome) -> None:
    """The figures of every run, in test-output/mixing.log."""
    folder = ROOT / "test-output"
    folder.mkdir(exist_ok=True)
    states = dict(Payout.objects.order_by().values_list("status").annotate(n=Sum("n")))
    with (folder / "mixing.log").open("a") as log:
        log.write(
            f"{timezone.now():%Y-%m-%d %H:%M} {SECONDS:.0f} s: {dict(outcome.done)} {dict(outcome.refused)} {states}\n"
        )


def test_promises_2_to_9_with_32_threads_at_once(monkeypatch, quiet_nudges):  # noqa: F811
    world = World(monkeypatch)
    rewards.refresh_catalogue(client=world.client)
    company = mixing.Company(world)
    company.begin()
    world.faults(*({"fault": fault, "probability": 0.03, "seconds": 0.1} for fault in mixing.FAULTS))
    outcome = mixing.run(company, SECONDS)
    record(outcome)
    assert outcome.failures == [], "\n\n".join(outcome.failures)
    assert mixing.deadlocks() == 0
    assert min(outcome.done[work.__name__] for work in mixing.WORK) > 0, outcome.done
    assert check_ledger() == []

    world.faults()
    while process_deliveries():
        pass
    evaluate()
    services.follow_up()
    world.settle()
    the_books_are_right()
    differences = reconcile(rewards.list_provider_orders(client=world.client)).differences
    assert [str(d) for d in differences if d.serious] == []


def the_books_are_right() -> None:
    assert check_ledger() == []
    assert list(recompute.check()) == []
    assert verify() == []
    assert not Account.objects.filter(tracked=True, balance_minor__lt=0).exists()
    wrong = [
        (payout.pk, payout.status, payout.order and payout.order.state)
        for payout in Payout.objects.select_related("order")
        if (payout.order and payout.order.state) not in ORDER_STATES[payout.status]
    ]
    assert wrong == []
    assert not RewardOrder.objects.filter(payout__isnull=True).exists()
    numbers = RewardOrder.objects.values_list("po_number", flat=True)
    assert len(set(numbers)) == len(numbers)
    assert connection.vendor == "postgresql"
