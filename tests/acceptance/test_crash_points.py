"""A crash at every step from the received fact to the settled card, with provider faults: one card, books that agree.

The provider's side has its own matrix (tests/rewards/test_crash_matrix.py: CP6 to CP17 with every fault). Here the points of
the application, reliability.md section 5: CP1 and CP2 at intake, CP3 reserved but nobody told, CP4 inside the approval, CP5
approved but nobody told, CP11 inside the settlement, CP13 around the webhook, and the steps between them.
"""

import contextlib

import pytest

from incentives.crm import intake
from incentives.crm.ingest import process_deliveries
from incentives.crm.models import Activity, Delivery
from incentives.earnings import recompute
from incentives.earnings.evaluate import evaluate
from incentives.earnings.models import Earning
from incentives.payouts import services
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from incentives.payouts.reconcile import reconcile
from rewards import services as rewards
from rewards.failpoints import SimulatedCrash
from tests.factories import deal, make_connection, make_participant, make_program, make_user
from tests.rewards.conftest import quiet_nudges, world  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

CRASHES = {  # name -> what raises in the middle, the first time it is called
    "CP1 storing the fact": "incentives.crm.models.Delivery.save",
    "CP2 stored, not answered": "incentives.crm.intake.nudge",
    "deriving the activity": "incentives.crm.ingest._write_outcomes",
    "crediting": "incentives.earnings.evaluate.mark_dirty",
    "scoring": "incentives.earnings.posting._post_to_ledger",
    "scored, payouts not told": "incentives.earnings.evaluate.nudge_payouts",
    "building": "incentives.payouts.services.build._allocate",
    "CP3 reserving": "incentives.payouts.services.build._reserve_or_hold",
    "CP4 inside the approval": "incentives.payouts.services.approve._create_order",
    "CP5 approved, worker not told": "rewards.orders.nudge",
    "CP11 inside the settlement": "incentives.payouts.services.settle._paid_move",
    "CP13 webhook row": "rewards.webhooks.look_now",
}
FAULTS = {
    "none": [],
    "accepted, then reset": [{"fault": "reset_after", "next": 1}],
    "504 before accepting": [{"fault": "504_before", "next": 1}],
    "500 after accepting": [{"fault": "500_after", "next": 1}],
    "401": [{"fault": "401", "next": 1}],
    "429": [{"fault": "429", "next": 1, "seconds": 5}],
    "unreadable answer, 409 without an id": [
        {"fault": "not_json", "next": 1},
        {"fault": "conflict_empty", "next": 1},
    ],
    "pending": [{"fault": "pending", "next": 1, "seconds": 30}],
}


def crash_once(monkeypatch, path: str) -> list:
    """Make the function at `path` raise SimulatedCrash the first time it is called. The list fills when it does."""
    module, _, name = path.rpartition(".")
    owner = _resolve(module)
    original, crashed = getattr(owner, name), []

    def crashing(*args, **kwargs):
        if not crashed:
            crashed.append(path)
            raise SimulatedCrash
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, crashing)
    return crashed


def _resolve(path: str):
    from importlib import import_module

    with contextlib.suppress(ModuleNotFoundError):
        return import_module(path)
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("crash", CRASHES)
def test_promise_8_one_fact_one_card_whatever_step_dies(world, monkeypatch, crash, fault):  # noqa: F811
    finance, rep, crm = make_user("finance"), make_participant("Ana"), make_connection()
    delivery = {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}
    make_program(funded="500.00", payout={"when": "instant"}, delivery=delivery)
    evaluate()
    world.faults(*FAULTS[fault])
    crashed = crash_once(monkeypatch, CRASHES[crash])
    fact = deal("D1", rep, "5000.00")

    def receive():
        intake.receive_one(crm, intake.prepare(fact))

    def approve():
        for payout in Payout.objects.filter(status="submitted"):
            services.approve_payout(payout_id=payout.pk, actor=finance)

    def order():
        world.sweep()
        world.deliver_hooks()

    steps = [receive, process_deliveries, evaluate, services.sweep_once, approve, order]
    for _ in range(20):
        for step in steps:  # each is what a request or the sweep does; a crash ends it, the next round begins anew
            with contextlib.suppress(SimulatedCrash):
                step()
        if Payout.objects.filter(status="fulfilled").exists():
            break
        world.advance(200)
        Delivery.objects.update(lease_until=None)  # what the dead worker held runs out in that time, too

    assert crashed or crash == "CP13 webhook row"
    payout = Payout.objects.get()
    assert (payout.status, payout.amount_minor, payout.order.state) == ("fulfilled", 10_000, "completed")
    assert (Delivery.objects.count(), Activity.objects.count(), Earning.objects.count()) == (1, 1, 1)
    assert world.books()["orders"] == 1
    assert check_ledger() == []
    assert list(recompute.check()) == []
    assert reconcile(rewards.list_provider_orders(client=world.client)).agrees
