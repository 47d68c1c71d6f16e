"""The provider's webhook says 'look now' and nothing else."""

import json

import pytest
from django.test import Client

from rewards import conf, services
from rewards.models import LookNow, RewardOrder

pytestmark = pytest.mark.urls("rewards.urls")


@pytest.fixture
def pending(world):
    """A pending order, the path of its webhook, and nothing done yet."""
    order = world.order(webhook=True)
    world.faults({"fault": "pending", "next": 1, "seconds": 3})
    world.sweep()
    order.refresh_from_db()
    assert order.state == "pending"
    return order, "/" + json.loads(bytes(order.body))["WebhookSettings"]["FulfillmentComplete"].split("/", 3)[3]


def test_a_webhook_leads_to_one_look_at_the_order(world, pending, quiet_nudges):
    order, path = pending
    world.advance(5)
    client = Client(enforce_csrf_checks=True)
    for body in (b"", b"{}", b"not json", b'{"id": "another", "status": "Failed"}'):
        response = client.post(path, body, content_type="application/json")
        assert (response.status_code, response.content, response.cookies) == (204, b"", {})
    assert LookNow.objects.get().times == 4
    order.refresh_from_db()
    assert order.state == "pending", "the webhook itself changes nothing"
    assert world.sweep()["hints"] == 1
    order.refresh_from_db()
    assert (order.state, order.poll_count, LookNow.objects.count()) == ("completed", 1, 0)


def test_the_token_is_stored_hashed_and_unknown_ones_are_404(world, pending):
    order, path = pending
    token = path.rsplit("/", 1)[1]
    assert len(token) == 43 and token not in order.hook_hash
    for wrong in ("x", "f" * 43, token[:-1], token + "A", token.swapcase(), order.hook_hash):
        for method in ("post", "get"):
            assert getattr(Client(), method)(f"/hooks/rewards/{wrong}").status_code == 404
    assert LookNow.objects.count() == 0


def test_a_probe_has_no_effect(pending):
    assert [Client().get(pending[1]).status_code, Client().head(pending[1]).status_code] == [204, 204]
    assert [Client().put(pending[1]).status_code, Client().delete(pending[1]).status_code] == [405, 405]
    assert LookNow.objects.count() == 0


def test_an_oversized_body_is_refused_unread(pending):
    assert Client().post(pending[1], b"x" * (64 * 1024 + 1), content_type="text/plain").status_code == 413
    assert Client().post(pending[1], b"x" * (64 * 1024), content_type="text/plain").status_code == 204
    assert LookNow.objects.get().times == 1


def test_a_flood_leads_to_at_most_one_poll_in_half_a_minute(world, pending):
    order, path = pending
    world.sandbox.store._rows("UPDATE orders SET finish_at = NULL")  # stays pending
    polls = 0
    for _ in range(12):
        Client().post(path)
        world.sweep()
        world.advance(5)
    order.refresh_from_db()
    polls = order.poll_count
    assert 1 <= polls <= 3, "60 seconds passed"


def test_a_webhook_before_our_answer_is_remembered(world):
    order = world.order(webhook=True)
    world.faults({"fault": "hook_early", "next": 1}, {"fault": "reset_after", "next": 1})
    world.sweep()
    order.refresh_from_db()
    assert (order.state, LookNow.objects.count()) == ("submitting", 1)
    world.settle(rounds=3, step=10)
    order.refresh_from_db()
    assert (order.state, LookNow.objects.count()) == ("completed", 0)


def test_a_late_webhook_for_a_finished_order_is_ignored(world, pending):
    _, path = pending
    world.advance(60)
    world.sweep()
    assert Client().post(path).status_code == 204
    assert LookNow.objects.count() == 0


def test_polling_alone_suffices(world):
    orders = [world.order(webhook=False) for _ in range(5)]
    world.sandbox.options |= {"pending": 1.0, "pending_seconds": 20}
    world.settle(rounds=5, step=31)
    assert {RewardOrder.objects.get(pk=order.pk).state for order in orders} == {"completed"}


def test_a_hint_is_carried_by_a_task_without_waiting_for_the_sweep(
    world, pending, quiet_nudges, django_capture_on_commit_callbacks
):
    order, path = pending
    quiet_nudges.clear()
    with django_capture_on_commit_callbacks(execute=True):
        Client().post(path)
        Client().post(path)
    assert quiet_nudges == [("rewards.poll_order", order.pk)]
    world.advance(conf.HINT_PAUSE_SECONDS)
    services.look_now(order.pk)
    services.drain(order.pk, client=world.client)
    order.refresh_from_db()
    assert order.state == "completed"
