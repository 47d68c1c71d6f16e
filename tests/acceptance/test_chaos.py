"""Promises 7, 8 and 9 with real workers that are killed, a provider that misbehaves and a queue that is emptied."""

import os

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Payout
from incentives.payouts.reconcile import reconcile
from rewards.models import RewardOrder
from tests.acceptance import chaos
from tests.support.environment import ROOT

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]


def record(verdict) -> None:
    """The figures of every run, in test-output/chaos.log."""
    folder = ROOT / "test-output"
    folder.mkdir(exist_ok=True)
    with (folder / "chaos.log").open("a") as log:
        log.write(f"{timezone.now():%Y-%m-%d %H:%M} {connection.vendor}: {verdict}\n")


def test_promise_7_and_8_every_payout_becomes_one_card_whatever_breaks(processes, sandbox, settings):
    on_postgres = connection.vendor == "postgresql"
    wanted = int(os.environ.get("LAUREL_CHAOS_PAYOUTS") or 0)
    count = (wanted or 120) if on_postgres else (wanted // 10 or 40)  # SQLite, one writer at a time: smaller
    chaos.web(processes, settings)
    verdict = chaos.run(
        processes, sandbox.url, count=count, share=0.2, kill_every=3 if wanted else 1.5, limit=max(120, count / 2)
    )
    record(verdict)
    assert chaos.unfinished() == 0
    assert verdict.kills >= 1
    theirs = httpx.get(f"{sandbox.url}/_sandbox/orders").json()["orders"]
    by_po = {order["po"]: order for order in theirs}
    assert len(by_po) == len(theirs), "one PONumber, one order"
    for order in RewardOrder.objects.select_related("payout"):
        if order.state == "completed":
            assert by_po[order.po_number]["face_value"] == str(order.value.decimal)
            assert order.payout.status == Payout.Status.FULFILLED
        else:
            assert order.state == "review", order.state
    assert check_ledger() == []
    serious = [d for d in reconcile().differences if d.serious]
    assert [d for d in serious if d.code != "not_listed"] == []
