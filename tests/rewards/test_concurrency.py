"""Several workers at once: one token, no more calls in flight than allowed, one card per order."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.db import connection, connections

from rewards import channel as channels
from rewards import dispatch, services, tokens
from rewards.models import OrderAttempt, ProviderToken, RewardOrder
from rewards.provider.client import Deadline
from tests.rewards.conftest import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def crowd(transactional_db, monkeypatch, quiet_nudges):
    world = World(monkeypatch)
    services.refresh_catalogue(client=world.client)
    return world


def together(count: int, work):
    """Run `work()` in `count` threads at the same time; their results."""
    barrier = threading.Barrier(count)

    def one(_):
        try:
            barrier.wait(10)
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


class Busy(httpx.BaseTransport):
    """Counts how many POSTs are in flight at once, and holds each for a while."""

    def __init__(self, inner, seconds=0.03):
        self.inner, self.seconds, self.lock, self.now, self.most = inner, seconds, threading.Lock(), 0, 0

    def handle_request(self, request):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            time.sleep(self.seconds)
            return self.inner.handle_request(request)
        finally:
            with self.lock:
                self.now -= 1


def test_ten_workers_without_a_token_mint_one(crowd):
    ProviderToken.objects.update(refresh_at=None)
    before = crowd.sandbox.store.counts()["tokens_minted"]
    crowd.transport = Busy(crowd.transport, 0.1)
    client, channel = crowd.new_client(), channels.current()
    found = together(10, lambda: tokens.current(channel, client, Deadline(20)))
    assert len({token.value for token in found}) == 1
    assert crowd.sandbox.store.counts()["tokens_minted"] - before == 1
    assert found[0].value not in ProviderToken.objects.get().sealed


def test_a_worker_that_dies_minting_holds_the_others_up_for_its_lease_only(crowd):
    from rewards import failpoints
    from rewards.failpoints import SimulatedCrash

    ProviderToken.objects.update(refresh_at=None)
    channel = channels.current()
    failpoints.arm("CP15")
    with pytest.raises(SimulatedCrash):
        tokens.current(channel, crowd.client, Deadline(5))
    crowd.advance(26)
    assert tokens.current(channel, crowd.client, Deadline(5)).value


def test_eight_workers_keep_to_the_limit_and_issue_each_card_once(crowd, settings):
    settings.E2R_MAX_IN_FLIGHT = 3
    orders = [crowd.order() for _ in range(24)]
    crowd.transport = Busy(crowd.transport)
    client = crowd.new_client()
    done = together(8, lambda: services.drain(client=client, seconds=20))
    crowd.transport = crowd.transport.inner
    assert sum(done) == 24
    assert crowd.client is not client
    assert client._http._transport.most <= 3
    assert RewardOrder.objects.filter(state="completed").count() == len(orders)
    assert OrderAttempt.objects.count() == 24
    assert crowd.books()["orders"] == 24


def test_two_workers_never_claim_one_order(crowd):
    order = crowd.order()
    channel = channels.current()
    token = dispatch.token_for(channel, crowd.client, Deadline(5))

    def claim():
        slot = channels.acquire_slot(channel)
        try:
            return dispatch.claim_next(channel, slot, token, order.pk)
        except dispatch.PutBack:
            return None

    claims = together(4, claim)
    assert len([claim for claim in claims if claim]) == 1
    assert RewardOrder.objects.get().gen == 1


def test_threads_of_one_sweep_share_the_work(crowd):
    for _ in range(12):
        crowd.order()
    from rewards.sweep import sweep_once

    found = sweep_once(inline=True, threads=4, client=crowd.client, seconds=20)
    assert (found["processed"], crowd.books()["orders"]) == (12, 12)


@pytest.mark.parametrize("parallel", [2, 6])
def test_one_reference_made_by_many_at_once_is_one_order(crowd, parallel):
    made = together(parallel, lambda: crowd.order(reference="same", po_parts=["same"], links=True).pk)
    assert len(set(made)) == 1
    assert RewardOrder.objects.count() == 1
    assert connection.in_atomic_block is False
