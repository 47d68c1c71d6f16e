"""What each answer of the provider leads to, with exact states (docs/provider.md, the table of outcomes)."""

import datetime

import pytest
from django.dispatch import receiver

from rewards import clock, conf, services
from rewards.errors import AdoptionRefused, EvidenceNeeded, IllegalMove, SecondPersonNeeded
from rewards.models import CallSlot, ChannelEvent, OrderAttempt, RewardOrder
from rewards.settle import next_poll, retry_wait
from rewards.signals import order_changed
from tests.rewards.conftest import usd


def once(fault, **more):
    return {"fault": fault, "next": 1, **more}


def reload(order) -> RewardOrder:
    return RewardOrder.objects.get(pk=order.pk)


def outcomes(order) -> list[str]:
    return [attempt.outcome for attempt in order.attempts.all()]


# --- definite and indefinite refusals -------------------------------------------------------------------------------------
def test_a_refusal_is_final_when_nothing_before_it_was_unclear(world):
    order = world.order()
    world.faults(once("400"))
    world.sweep()
    order = reload(order)
    assert (order.state, order.finished_at is not None, order.next_attempt_at) == ("rejected", True, None)
    assert outcomes(order) == ["refused"]
    assert order.events.last().evidence == {"answer": '{"Message": "Bad request"}', "status": 400}
    assert world.books()["orders"] == 0
    assert world.channel().state == "open"


@pytest.mark.parametrize("first", ["504_before", "504_after", "reset_before", "429", "truncated", "redirect"])
def test_a_refusal_after_an_unclear_attempt_goes_to_a_person(world, first):
    order = world.order()
    world.faults(once(first, seconds=5))
    world.sweep()
    world.faults(once("400"))
    world.settle(rounds=3, step=10)
    order = reload(order)
    assert (order.state, order.review_code, outcomes(order)[1]) == ("review", "refused_after_unknown", "refused")


@pytest.mark.parametrize("first", ["401", "422"])
def test_a_refusal_after_proven_refusals_is_final(world, first):
    order = world.order()
    world.faults(once(first), once("400"))
    world.sweep()
    services.resume_unfunded(actor_name="Finance")
    world.sweep()
    assert (reload(order).state, world.books()["orders"]) == ("rejected", 0)


def test_what_never_arrived_is_sent_again(world):
    order = world.order()
    world.transport.network = ["refused", "dns", "tls"]
    world.settle(rounds=8, step=20)
    assert reload(order).state == "completed"
    assert outcomes(order) == ["not_sent"] * 3 + ["accepted"]


# --- unknown outcomes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", ["reset_after", "timeout_after", "504_after", "500_after", "502_after", "truncated",
                                   "not_json", "no_id", "oversize", "drip"])  # fmt: skip
def test_accepted_but_unheard_is_found_again_under_the_same_number(world, fault):
    order = world.order()
    world.faults(once(fault))
    world.sweep()
    assert reload(order).state == "submitting"
    assert outcomes(order) == ["unknown"]
    world.settle(rounds=4, step=10)
    order = reload(order)
    assert (order.state, outcomes(order)) == ("completed", ["unknown", "conflict"])
    assert len({request.body for request in world.posts()}) == 1
    assert world.books()["orders"] == 1


def test_after_the_window_the_list_is_searched_and_nothing_is_sent(world):
    order = world.order()
    world.faults(once("reset_after"))
    world.sweep()
    world.advance(conf.PO_WINDOW_SECONDS + 60)
    world.sweep()
    order = reload(order)
    assert (order.state, order.events.last().evidence["how"], len(world.posts())) == ("completed", "listed", 1)


def test_after_the_window_what_is_not_listed_goes_to_a_person(world):
    order = world.order()
    world.faults(once("reset_before"))
    world.sweep()
    world.advance(conf.PO_WINDOW_SECONDS + 60)
    world.sweep()
    order = reload(order)
    assert (order.state, order.review_code, len(world.posts())) == ("review", "too_old", 1)
    services.resolve_review(order.pk, decision="retry", actor_name="Op", reason="provider says: unknown number")
    world.sweep()
    assert (reload(order).state, len(world.posts())) == ("completed", 2)


def test_too_many_unclear_attempts_stop_by_themselves(world):
    order = world.order()
    world.faults({"fault": "500_before"})
    world.settle(rounds=conf.MAX_ATTEMPTS + 5, step=901)
    order = reload(order)
    assert (order.state, order.review_code, order.attempt_count) == ("review", "too_old", conf.MAX_ATTEMPTS)


def test_waits_grow_with_full_jitter_up_to_a_quarter_of_an_hour():
    for count, top in ((0, 2), (3, 16), (20, 900), (5000, 900)):
        waits = [retry_wait(count) for _ in range(200)]
        assert min(waits) >= 0.2 and max(waits) <= top
        assert max(waits) > top / 2 > min(waits)


# --- mismatches -----------------------------------------------------------------------------------------------------------
def test_an_answer_about_another_number_stops_the_channel(world):
    order, waiting = world.order(), world.order()
    world.faults(once("wrong_po"))
    world.sweep()
    order = reload(order)
    assert (order.state, order.review_code) == ("review", "mismatch")
    assert "SOMEBODY-ELSES" in order.events.last().reason
    channel = world.channel()
    assert (channel.state, channel.code) == ("stopped", "mismatch")
    assert reload(waiting).state == "draft"
    services.open_channel(actor_name="Op", reason="asked the provider")
    services.resolve_review(
        order.pk, decision="adopt", actor_name="Op", reason="found it", client=world.client,
        provider_order_id=world.sandbox.store.by_po(order.po_number)["id"],
    )  # fmt: skip
    assert reload(order).state == "completed"


def test_a_conflict_naming_an_order_of_ours_that_is_another_is_a_mismatch(world):
    """Even when the provider repeats neither number nor address."""
    world.sandbox.options["echo"] = False
    other = world.order()
    world.sweep()
    order = world.order()
    world.faults(once("reset_after"), once("conflict_other"))
    world.settle(rounds=3, step=10)
    order = reload(order)
    assert (order.state, order.review_code, order.provider_order_id) == ("review", "mismatch", None)
    assert reload(other).state == "completed"


@pytest.mark.parametrize(
    "options",
    [{"echo": False}, {"sparse": True}, {"echo": False, "sparse": True}, {"casing": "camel", "envelope": "list"},
     {"casing": "mixed", "envelope": "items"}],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["conflict_id", "conflict_empty", "conflict_plural"])
def test_a_conflict_is_resolved_whatever_the_provider_leaves_out(world, options, shape):
    world.sandbox.options |= options
    order = world.order()
    world.faults(once("reset_after"), once(shape))
    world.settle(rounds=4, step=10)
    assert reload(order).state == "completed"
    assert world.books()["orders"] == 1


# --- the channel ------------------------------------------------------------------------------------------------------------
def test_422_parks_the_order_and_pauses_everything_until_somebody_funds(world):
    world.sandbox.store.fund(-world.sandbox.store.balance_minor + 3000)
    first, second, third = world.order(), world.order(), world.order()
    world.sweep()
    assert [reload(order).state for order in (first, second, third)] == ["completed", "unfunded", "draft"]
    assert world.channel().state == "paused"
    world.advance(3600)
    assert world.sweep()["processed"] == 0
    world.sandbox.store.fund(100_000)
    assert services.resume_unfunded(actor_name="Finance") == 1
    world.sweep()
    assert [reload(order).state for order in (first, second, third)] == ["completed"] * 3
    assert outcomes(second) == ["unfunded", "accepted"]
    assert [event.what for event in ChannelEvent.objects.order_by("pk")] == ["paused", "open"]


def test_a_422_that_is_not_about_money_does_not_block_the_others(world):
    order = world.order()
    world.faults({"fault": "422", "po": order.po_number})
    world.sweep()
    others = [world.order(value=usd("50.00")) for _ in range(3)]
    services.resume_unfunded(actor_name="Finance")
    RewardOrder.objects.filter(pk=order.pk).update(next_attempt_at=clock.now() + datetime.timedelta(seconds=1))
    world.sweep()
    world.advance(2)
    world.sweep()
    order = reload(order)
    assert [reload(other).state for other in others] == ["completed"] * 3
    assert (order.state, order.review_code, world.channel().state) == ("review", "unfunded_alone", "open")


def test_403_opens_the_breaker_until_a_person_closes_it(world):
    order = world.order()
    world.faults(once("403"))
    world.sweep()
    world.advance(4000)
    world.sweep()
    assert (reload(order).state, world.channel().code, len(world.posts())) == ("submitting", "access_off", 1)
    with pytest.raises(EvidenceNeeded):
        services.open_channel(actor_name="", reason="")
    services.open_channel(actor_name="Op", reason="switched on again")
    world.sweep()
    assert reload(order).state == "completed"


def test_401_refreshes_the_token_once_and_repeats_at_once(world):
    order = world.order()
    world.sandbox.store.drop_tokens()
    world.sweep()
    assert reload(order).state == "completed"
    assert outcomes(order) == ["token_invalid", "accepted"]
    assert world.sandbox.store.counts()["tokens_minted"] == 2


def test_401_for_ever_stops_the_channel(world):
    world.order()
    world.faults({"fault": "401", "on": "*"})
    for _ in range(12):
        world.sweep()
        world.advance(60)
    assert (world.channel().state, world.channel().code) == ("stopped", "credentials")
    before = world.sandbox.store.counts()
    world.advance(3600)
    world.sweep()
    assert world.sandbox.store.counts() == before


def test_a_404_on_post_means_a_wrong_address(world):
    order = world.order()
    world.faults(once("404"))
    world.sweep()
    assert (reload(order).state, world.channel().code) == ("submitting", "wrong_address")


def test_429_makes_every_worker_wait_as_long_as_asked(world):
    orders = [world.order() for _ in range(3)]
    world.faults(once("429", seconds=120))
    world.sweep()
    assert (len(world.posts()), world.channel().interval_ms) == (1, 50)
    world.advance(110)
    world.sweep()
    assert len(world.posts()) == 1
    world.advance(15)
    world.sweep()
    world.advance(3)
    world.sweep()
    assert [reload(order).state for order in orders] == ["completed"] * 3


def test_the_emergency_stop_ends_sending_and_needs_two_people_to_lift(world):
    sent = world.order()
    world.faults(once("pending", seconds=3))
    world.sweep()
    services.emergency_stop(actor_name="Ann", reason="strange payouts")
    waiting = world.order()
    world.advance(60)
    world.sweep()
    assert (reload(sent).state, reload(waiting).state) == ("completed", "draft")
    services.open_channel(actor_name="Ann", reason="does not help")
    services.restart_after_emergency(actor_name="Ann", reason="looks fine")
    with pytest.raises(SecondPersonNeeded):
        services.restart_after_emergency(actor_name="Ann", reason="me again")
    world.sweep()
    assert reload(waiting).state == "draft"
    services.restart_after_emergency(actor_name="Bob", reason="agreed")
    world.sweep()
    assert reload(waiting).state == "completed"


# --- pending ----------------------------------------------------------------------------------------------------------------
def test_a_pending_order_is_polled_by_the_schedule(world):
    order = world.order()
    world.faults({"fault": "pending_forever"})
    world.sweep()
    order, now = reload(order), clock.now()
    for count, seconds in ((0, 10), (1, 30), (2, 60), (3, 120), (4, 300), (5, 900), (6, 1800), (7, 3600)):
        order.poll_count = count
        assert 0.9 * seconds <= (next_poll(order, now) - now).total_seconds() <= 1.1 * seconds
    order.known_since = now - datetime.timedelta(days=2)
    assert 0.9 * 21600 <= (next_poll(order, now) - now).total_seconds() <= 1.1 * 21600
    order.known_since = now - datetime.timedelta(days=8)
    assert next_poll(order, now) is None


def test_an_order_the_provider_fails_goes_to_a_person_who_decides(world):
    order = world.order()
    world.faults(once("pending_failed", seconds=3))
    world.settle(rounds=3, step=15)
    order = reload(order)
    assert (order.state, order.review_code, order.provider_status) == ("review", "provider_failed", "Failed")
    with pytest.raises(EvidenceNeeded):
        services.resolve_review(order.pk, decision="fail", actor_name="Op", reason="no card")
    with pytest.raises(EvidenceNeeded):
        services.resolve_review(order.pk, decision="fail", actor_name=" ", reason="x", evidence="y")
    with pytest.raises(AdoptionRefused):
        services.resolve_review(order.pk, decision="adopt", actor_name="Op", reason="x", client=world.client,
                                provider_order_id=order.provider_order_id)  # fmt: skip
    assert reload(order).state == "review"
    services.resolve_review(order.pk, decision="fail", actor_name="Op", reason="no card", evidence="ticket 4711")
    order = reload(order)
    assert order.state == "failed"
    last = order.events.last()
    assert (last.actor_name, last.reason, last.evidence["evidence"]) == ("Op", "no card", "ticket 4711")
    with pytest.raises(IllegalMove):
        services.resolve_review(order.pk, decision="retry", actor_name="Op", reason="x")


def test_adoption_of_an_order_that_is_not_ours_is_refused(world):
    other = world.order(value=usd("30.00"))
    world.sweep()
    order = world.order()
    world.faults(once("wrong_po"))
    world.sweep()
    services.open_channel(actor_name="Op", reason="x")
    with pytest.raises(AdoptionRefused, match="PONumber is"):
        services.resolve_review(order.pk, decision="adopt", actor_name="Op", reason="x", client=world.client,
                                provider_order_id=reload(other).provider_order_id)  # fmt: skip
    with pytest.raises(AdoptionRefused, match="could not be read"):
        services.resolve_review(order.pk, decision="adopt", actor_name="Op", reason="x", client=world.client,
                                provider_order_id="ord-nothing")  # fmt: skip
    with pytest.raises(AdoptionRefused, match="another order of ours"):
        services.resolve_review(order.pk, decision="complete", actor_name="Op", reason="x", evidence="portal",
                                provider_order_id=reload(other).provider_order_id)  # fmt: skip
    assert reload(order).state == "review"
    assert CallSlot.objects.exclude(holder="").count() == 0


def test_what_cannot_be_ended_by_hand_can_be_sent_to_review(world):
    order = world.order()
    world.faults({"fault": "422"})
    world.sweep()
    services.send_to_review(order.pk, actor_name="Op", reason="recipient left")
    assert reload(order).review_code == "asked_for"
    with pytest.raises(IllegalMove):
        services.send_to_review(order.pk, actor_name="Op", reason="again")


# --- receivers ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("blocked", ["submitting", "pending", "completed", "rejected", "unfunded", "review"])
def test_a_receiver_that_raises_holds_the_order_where_it_was(world, blocked):
    broken = [True]

    @receiver(order_changed)
    def listener(sender, order, old, new, **kwargs):
        if broken[0] and new == blocked:
            raise RuntimeError("the ledger says no")

    rules = {"pending": once("pending", seconds=5), "rejected": {"fault": "400"}, "unfunded": {"fault": "422"},
             "review": {"fault": "wrong_po"}}  # fmt: skip
    world.faults(*filter(None, [rules.get(blocked)]))
    order, other = world.order(), world.order()
    try:
        world.sweep()
        assert reload(order).state == ("draft" if blocked == "submitting" else "submitting")
        assert reload(order).next_attempt_at > clock.now()
        assert not reload(order).events.filter(new=blocked).exists()
        broken[0] = False
        world.advance(60)
        world.sweep()
        world.advance(60)
        world.sweep()
    finally:
        order_changed.disconnect(listener)
    # A mismatch of the first answer is resolved by the 409 of the second: the provider has our order after all.
    expected = {"rejected": "rejected", "unfunded": "unfunded"}.get(blocked, "completed")
    assert reload(order).state == expected
    assert len([a for a in OrderAttempt.objects.filter(order=order) if a.outcome == "accepted"]) <= 1
    assert world.books()["orders"] == (
        0 if blocked in {"rejected", "unfunded"} else 1 + (reload(other).state != "draft")
    )


def test_each_change_is_announced_once_with_the_order_as_it_is(world):
    heard = []

    @receiver(order_changed)
    def listener(sender, order, old, new, **kwargs):
        heard.append((old, new, order.state, order.provider_order_id is not None))

    world.order()
    try:
        world.sweep()
    finally:
        order_changed.disconnect(listener)
    assert heard == [("draft", "submitting", "submitting", False), ("submitting", "completed", "completed", True)]


# --- fences -------------------------------------------------------------------------------------------------------------------
def test_a_worker_that_was_away_for_too_long_changes_nothing(world):
    from rewards import calls, channel, dispatch
    from rewards.provider.client import Deadline
    from rewards.settle import settle

    order = world.order()
    current = channel.current()
    slot = channel.acquire_slot(current)
    token = dispatch.token_for(current, world.client, Deadline(5))
    late = dispatch.claim_next(current, slot, token, order.pk)
    world.faults(once("400"))
    answer = calls.send(late.order, world.client, token.value, Deadline(5))
    world.advance(conf.LEASE_SECONDS + 1)
    world.sweep()
    assert reload(order).state == "completed"
    settle(late, answer)
    assert reload(order).state == "completed"
    assert outcomes(order) == ["refused", "accepted"]
    assert not slot.renew(clock.now()), "the slot went to somebody else meanwhile"
