"""Several orders sent as lines of one: which line is whose, one card each, and what becomes of them when the batch does not go
through (promises 7, 8 and 10; docs/decisions/0008-batches.md)."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from rewards import batches, failpoints, matching, selectors, services
from rewards.bodies import DigitalDelivery, Personalization, po_number
from rewards.errors import AdoptionRefused, EvidenceNeeded, IllegalMove, InvalidOrder
from rewards.failpoints import SimulatedCrash
from rewards.models import Card, OrderAttempt, RewardOrder
from rewards.money import Money
from rewards.provider.types import ClaimData, OrderLine, Progress, ProviderOrder
from tests.rewards.conftest import usd

WAIT = timedelta(hours=1)
VALUES = ("25.00", "12.00", "50.00")


def make(world, *values, **changes):
    """Orders that wait for a batch, and the batch they became."""
    lines = [world.order(value=usd(value), wait=WAIT, **changes) for value in values or VALUES]
    return services.create_batch([line.pk for line in lines]), lines


def fresh(*orders):
    for order in orders:
        order.refresh_from_db()
    return [order.state for order in orders]


def links_of(order) -> list[str]:
    return [services.reveal_card(c.pk, actor_name="Ana", actor_ref="1").link for c in order.cards.order_by("position")]


# --- made ---------------------------------------------------------------------------------------------------------------
def test_a_batch_is_one_order_with_the_lines_of_all(world):
    words = Personalization(to="Dana", from_name="Sales", message="Well done")
    batch, lines = make(world, "25.00", "12.00", personalization=words)
    assert json.loads(bytes(batch.body)) == {
        "Type": "DigitalDelivery",
        "LineItems": [
            {
                "ProductId": "CVS",
                "Value": value,
                "Quantity": 1,
                "DigitalDeliveryAddress": {"Email": f"rep{n}@team.example"},
                "Personalization": {"To": "Dana", "FromName": "Sales", "Message": "Well done"},
                "ExternalId": lines[n - 1].po_number,
            }
            for n, value in ((1, 25), (2, 12))
        ],
        "PONumber": batch.po_number,
    }
    assert batch.po_number == po_number(["batch", *(line.po_number for line in lines)])
    assert (batch.amount_minor, batch.expected_cost_minor, batch.line_count, batch.recipient) == (3700, 3571, 2, "")
    assert fresh(*lines) == ["batched", "batched"]
    assert [(line.batch_id, line.line, line.next_attempt_at) for line in lines] == [
        (batch.pk, 1, None),
        (batch.pk, 2, None),
    ]
    world.sweep()
    assert [request.body for request in world.posts()] == [bytes(batch.body)]
    assert fresh(batch, *lines) == ["completed", "completed", "completed"]
    assert [line.provider_order_id for line in lines] == [f"{batch.provider_order_id}#{n}" for n in (1, 2)]
    assert [(line.cost_minor, line.expected_cost_minor) for line in lines] == [(2413, 2413), (1158, 1158)]
    assert (batch.cost_minor, batch.cost_differs) == (3571, False)
    assert lines[0].first_sent_at == batch.first_sent_at
    books = world.books()
    assert (books["orders"], books["cards"], books["face_value"], books["cost"]) == (1, 2, "37.00", "35.71")
    ours = selectors.books()
    assert (ours["count"], ours["face_value"], ours["cost"]) == (2, usd("37.00"), usd("35.71"))


def test_claim_links_are_sent_without_the_name_that_would_tell_equal_lines_apart(world):
    batch, _ = make(world, links=True, personalization=Personalization(to="Dana", from_name="Sales"))
    sent = json.loads(bytes(batch.body))["LineItems"]
    assert [line["Personalization"] for line in sent] == [{"FromName": "Sales"}] * 3
    batch, _ = make(world, links=True, personalization=Personalization(to="Dana"))
    assert all("Personalization" not in line for line in json.loads(bytes(batch.body))["LineItems"])


def test_cents_pass_into_the_batch_digit_by_digit(world):
    from rewards.models import Product

    Product.objects.filter(product_id="CVS").update(allow_cents=True)
    batch, _ = make(world, "19.99", "20.10")
    assert '"Value":19.99,' in bytes(batch.body).decode() and '"Value":20.10,' in bytes(batch.body).decode()


def test_an_order_is_batched_once_and_alone_it_is_no_batch(world):
    _, lines = make(world)
    assert services.create_batch([line.pk for line in lines]) is None
    alone = world.order(wait=WAIT)
    world.sweep()
    assert fresh(alone) == ["draft"]
    assert services.create_batch([alone.pk, lines[0].pk]) is None
    world.sweep()
    assert fresh(alone) == ["completed"]
    assert alone.batch_id is None
    assert RewardOrder.objects.filter(line_count__isnull=False).count() == 1


def test_orders_nobody_comes_for_go_by_themselves_after_the_wait(world):
    orders = [world.order(wait=WAIT) for _ in range(2)]
    assert world.sweep()["processed"] == 0
    world.advance(3601)
    assert world.sweep()["processed"] == 2
    assert fresh(*orders) == ["completed", "completed"]


def test_what_does_not_belong_into_one_order_is_refused(world):
    mixed = [world.order(wait=WAIT), world.order(wait=WAIT, links=True)]
    many = [world.order(wait=WAIT) for _ in range(26)]
    for orders in (mixed, many):
        with pytest.raises(InvalidOrder):
            services.create_batch([order.pk for order in orders])
    assert set(fresh(*mixed, *many)) == {"draft"}
    assert not RewardOrder.objects.exclude(line_count=None).exists()


@pytest.mark.parametrize("change", [{"batch": None}, {"line": 9}])
def test_the_database_keeps_what_was_in_a_batch(world, change):
    batch, (line, *_) = make(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        RewardOrder.objects.filter(pk=line.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        RewardOrder.objects.filter(pk=batch.pk).update(line_count=2)


# --- which line is whose --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"echo_lines": False}, {"casing": "camel"}, {"echo_lines": False, "echo": False}]
)
def test_each_claim_link_reaches_the_line_that_was_sent(world, options, shuffle):
    world.sandbox.options |= {**options, "shuffle": shuffle}
    batch, lines = make(world, links=True)
    world.sweep()
    assert fresh(batch, *lines) == ["completed"] * 4
    key = batch.provider_order_id.removeprefix("ord-")
    assert [links_of(line) for line in lines] == [[f"https://claim.sandbox.example/claim/{key}{n}0"] for n in (1, 2, 3)]
    assert [card.provider_card_id for card in Card.objects.order_by("order__line")] == [
        f"cl-{key}{n}0" for n in (1, 2, 3)
    ]
    assert batch.cards.count() == 0


def test_equal_lines_get_one_link_each(world):
    world.sandbox.options |= {"echo_lines": False, "shuffle": True}
    batch, lines = make(world, "25.00", "25.00", "25.00", links=True)
    world.sweep()
    assert fresh(batch, *lines) == ["completed"] * 4
    assert len({link for line in lines for link in links_of(line)}) == 3
    assert all(line.cards.count() == 1 for line in lines)


def answer(*lines, status="Completed", **more):
    """A provider's answer with these lines, each a dict."""
    word = Progress.SUCCESS if status == "Completed" else Progress.UNKNOWN
    return ProviderOrder(
        id="ord-1", status=status, word=word, progress=more.pop("progress", word), lines=tuple(OrderLine(**line) for line in lines),
        **more,
    )  # fmt: skip


def cvs(value, **more):
    return {"product_id": "CVS", "value": Decimal(value), "progress": Progress.SUCCESS, **more}


def test_an_answer_that_is_not_this_batch_is_a_mismatch(world):
    batch, lines = make(world, "25.00", "12.00")
    for found, problem in (
        (answer(cvs(25)), "1 lines, not 2"),
        (answer(cvs(25), cvs(50)), "line 2 is none of ours"),
        (answer(cvs(25), cvs(25)), "line 2 is not there"),
        (answer(cvs(25, recipient="x@else.example"), cvs(12)), "line 1 is none of ours"),
        (
            answer(cvs(12, external_id=lines[0].po_number), cvs(25, external_id=lines[1].po_number)),
            "line 1 is none of ours",
        ),
        (answer(cvs(25), cvs(12), po_number="LRL-OTHER"), "PONumber is LRL-OTHER"),
    ):
        assert problem in matching.differences(batch, found)
    assert matching.differences(batch, answer(cvs(12), cvs(25))) == []
    assert matching.differences(batch, answer()) == []


def test_where_the_answer_does_not_tell_lines_apart_nothing_is_guessed(world):
    batch, lines = make(world, "25.00", "25.00")
    ours = matching.lines_of(batch)
    bare, failed = cvs(25), cvs(25, progress=Progress.FAILURE)
    assert set(matching.pair_lines(ours, answer(bare, bare))) == {line.pk for line in lines}  # both were sent
    assert matching.pair_lines(ours, answer(bare, failed)) is None  # whose card failed?
    known = [cvs(25, recipient="rep2@team.example"), cvs(25, recipient="rep1@team.example", progress=Progress.FAILURE)]
    assert {pk: line.progress for pk, line in matching.pair_lines(ours, answer(*known)).items()} == {
        lines[1].pk: "success",
        lines[0].pk: "failure",
    }
    unvalued = {"progress": Progress.SUCCESS, "claims": (ClaimData("cl-1", "https://claim.example/1"),)}
    batch, lines = make(world, "25.00", "12.00", links=True)
    assert matching.pair_lines(matching.lines_of(batch), answer(unvalued, unvalued)) is None  # which is the 25.00?
    assert matching.pair_lines(matching.lines_of(batch), answer(cvs(25), {"progress": Progress.SUCCESS})) is None


def test_equal_links_of_which_one_failed_need_the_providers_line_ids(world):
    batch, lines = make(world, "25.00", "25.00", links=True)
    ours = matching.lines_of(batch)
    good, bad = cvs(25, id="ln-b"), cvs(25, id="ln-a", progress=Progress.FAILURE)
    for order in ((good, bad), (bad, good)):
        paired = matching.pair_lines(ours, answer(*order))
        assert [paired[line.pk].id for line in lines] == ["ln-a", "ln-b"]
    assert matching.pair_lines(ours, answer({**good, "id": ""}, {**bad, "id": ""})) is None


def test_a_link_somebody_has_already_is_given_to_nobody_else(world, monkeypatch):
    batch, lines = make(world, "25.00", "25.00", links=True)
    twice = cvs(25, claims=(ClaimData("cl-1", "https://claim.example/1"),))
    told = {"now": batch.created_at, "actor_name": "", "reason": "", "evidence": {}}
    with transaction.atomic():
        assert batches.issue_lines(batch, answer(twice, twice), told) is False
    assert fresh(*lines) == ["batched", "batched"]
    assert Card.objects.count() == 0


# --- cost -----------------------------------------------------------------------------------------------------------------
def row(pk):
    return RewardOrder(pk=pk, currency="USD")


@given(st.lists(st.decimals(0, 500, places=4), min_size=1, max_size=25))
def test_parts_of_a_cost_are_its_sum_and_none_is_a_cent_off(costs):
    lines = [row(pk) for pk in range(1, len(costs) + 1)]
    parts = batches.split_cost(lines, dict(enumerate(costs, start=1)))
    assert sum(parts.values()) == Money.from_decimal(sum(costs), "USD").minor
    assert all(abs(parts[pk] - cost * 100) < 1 for pk, cost in enumerate(costs, start=1))


def test_largest_remainder_to_the_cent():
    lines = [row(1), row(2), row(3)]
    exact = {1: Decimal("24.376"), 2: Decimal("10.334"), 3: Decimal("10.334")}
    assert batches.split_cost(lines, exact) == {1: 2438, 2: 1033, 3: 1033}  # 45.044 is 45.04
    assert batches.split_cost(lines, {1: Decimal("0.005"), 2: Decimal("0.005"), 3: Decimal("0.005")}) == {
        1: 1,
        2: 1,
        3: 0,
    }
    assert batches.split_cost(lines, {1: Decimal(1), 2: None, 3: Decimal(1)}) == {}
    assert batches.split_cost(lines, {1: Decimal(1)}) == {}


# --- refusals -------------------------------------------------------------------------------------------------------------
def test_a_proven_refusal_lets_each_line_go_under_its_own_number_once(world):
    batch, lines = make(world)
    world.faults({"fault": "400", "po": batch.po_number})
    assert services.send_order(batch.pk, client=world.client) == 4
    assert fresh(batch, *lines) == ["rejected", "completed", "completed", "completed"]
    assert [request.body for request in world.posts()] == [bytes(order.body) for order in (batch, *lines)]
    assert [(e.old, e.new) for e in lines[1].events.all()] == [
        ("", "draft"),
        ("draft", "batched"),
        ("batched", "draft"),
        ("draft", "submitting"),
        ("submitting", "completed"),
    ]
    assert [line.batch_id for line in lines] == [batch.pk] * 3
    assert services.create_batch([line.pk for line in lines]) is None
    books = world.books()
    assert (books["orders"], books["cards"], books["face_value"]) == (3, 3, "87.00")
    world.settle()
    assert len(world.posts()) == 4


def test_only_the_line_that_is_wrong_fails_when_the_batch_fell_apart(world):
    batch, lines = make(world)
    world.faults({"fault": "400", "po": batch.po_number}, {"fault": "400", "po": lines[1].po_number})
    world.settle()
    assert fresh(batch, *lines) == ["rejected", "completed", "rejected", "completed"]
    assert world.books()["face_value"] == "75.00"


@pytest.mark.parametrize(
    "fault", ["timeout_after", "reset_after", "504_after", "500_after", "truncated", "no_id", "timeout_before"]
)
def test_an_unknown_outcome_is_resolved_under_the_batchs_number(world, fault):
    batch, lines = make(world, links=True)
    world.faults({"fault": fault, "next": 1})
    world.settle()
    assert fresh(batch, *lines) == ["completed"] * 4
    assert {request.body for request in world.posts()} == {bytes(batch.body)}
    assert world.books()["cards"] == 3
    assert len({link for line in lines for link in links_of(line)}) == 3


def test_refused_after_an_unknown_outcome_is_never_split(world):
    batch, lines = make(world)
    world.faults({"fault": "timeout_before", "next": 1}, {"fault": "400"})
    world.settle()
    assert fresh(batch, *lines) == ["review", "batched", "batched", "batched"]
    assert batch.review_code == "refused_after_unknown"
    assert {request.body for request in world.posts()} == {bytes(batch.body)}


def test_without_funds_the_whole_batch_waits_under_its_number(world):
    batch, lines = make(world)
    world.faults({"fault": "422", "next": 1})
    world.sweep()
    assert fresh(batch, *lines) == ["unfunded", "batched", "batched", "batched"]
    assert services.resume_unfunded(actor_name="Finance") == 1
    world.settle()
    assert fresh(batch, *lines) == ["completed"] * 4
    assert [attempt.outcome for attempt in OrderAttempt.objects.order_by("pk")] == ["unfunded", "accepted"]


def test_another_number_in_the_answer_stops_everything(world):
    batch, lines = make(world)
    world.faults({"fault": "wrong_po", "next": 1})
    world.sweep()
    assert fresh(batch, *lines) == ["review", "batched", "batched", "batched"]
    assert (batch.review_code, world.channel().code) == ("mismatch", "mismatch")


# --- some lines failed ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("pending", [False, True])
def test_issued_lines_are_settled_and_a_person_decides_about_the_failed_one(world, pending):
    batch, lines = make(world, links=True)
    late = [{"fault": "pending", "seconds": 3, "next": 1}] if pending else []
    world.faults({"fault": "line_failed", "line": 2, "next": 1}, *late)
    world.settle()
    assert fresh(batch, *lines) == ["review", "completed", "batched", "completed"]
    assert (batch.review_code, batch.cost_minor) == ("provider_failed", sum(lines[n].cost_minor for n in (0, 2)))
    assert [line.cards.count() for line in lines] == [1, 0, 1]
    world.settle(rounds=3)
    assert len(world.posts()) == 1
    decided = services.resolve_review(
        batch.pk, decision="fail", actor_name="Ada, Bob", reason="Their support says so", evidence="Ticket 12",
    )  # fmt: skip
    assert (decided.state, fresh(*lines)) == ("completed", ["completed", "failed", "completed"])
    assert lines[1].last_problem == "Their support says so"
    assert [(e.old, e.new) for e in lines[0].events.all()][-1] == ("batched", "completed")
    assert world.books()["face_value"] == "75.00" and selectors.books()["face_value"] == usd("75.00")


def test_a_retry_of_a_partly_issued_batch_looks_again_and_issues_nothing_twice(world):
    batch, lines = make(world, links=True)
    world.faults({"fault": "line_failed", "line": 2, "next": 1})
    world.sweep()
    before = [links_of(lines[0]), links_of(lines[2])]
    services.resolve_review(batch.pk, decision="retry", actor_name="Ada", reason="look again")
    world.settle()
    assert fresh(batch, *lines) == ["review", "completed", "batched", "completed"]
    assert [links_of(lines[0]), links_of(lines[2])] == before
    assert (Card.objects.count(), len(world.posts())) == (2, 1)
    with pytest.raises(IllegalMove):
        services.cancel_order(lines[1].pk, actor_name="Ada", reason="too late")


def test_what_failed_there_first_and_was_issued_later_is_issued(world):
    batch, lines = make(world, "25.00", "25.00", links=True)
    world.faults({"fault": "line_failed", "line": 1, "next": 1})
    world.sweep()
    assert fresh(batch, *lines) == ["review", "batched", "completed"]
    store = world.sandbox.store  # their support mended it
    (kept,) = store._rows("SELECT lines FROM orders")[0]
    store._rows("UPDATE orders SET lines = ?", json.dumps([{**line, "Failed": False} for line in json.loads(kept)]))
    services.resolve_review(batch.pk, decision="retry", actor_name="Ada", reason="look again")
    world.settle()
    assert fresh(batch, *lines) == ["completed"] * 3
    assert links_of(lines[0]) != links_of(lines[1])
    assert batch.cost_minor == lines[0].cost_minor + lines[1].cost_minor == 4826


def test_a_partly_issued_batch_nobody_could_find_can_be_bound(world):
    batch, lines = make(world, links=True)
    world.faults({"fault": "timeout_after", "next": 1}, {"fault": "line_failed", "line": 3, "next": 1})
    world.sweep()
    world.faults({"fault": "400"})
    world.settle()
    assert fresh(batch) == ["review"]
    theirs = world.sandbox.store.by_po(batch.po_number)["id"]
    with pytest.raises(AdoptionRefused):
        services.resolve_review(
            batch.pk,
            decision="adopt",
            actor_name="Ada",
            reason="is it",
            provider_order_id="ord-none",
            client=world.client,
        )
    bound = services.resolve_review(
        batch.pk, decision="adopt", actor_name="Ada", reason="found it", provider_order_id=theirs, client=world.client
    )
    assert (bound.state, bound.review_code, bound.provider_order_id) == ("review", "provider_failed", theirs)
    assert fresh(*lines) == ["completed", "completed", "batched"]


def test_lines_that_cannot_be_told_apart_wait_for_a_person(world):
    world.sandbox.options |= {"echo": False, "echo_lines": False}
    batch, lines = make(world, "25.00", "25.00")
    world.faults({"fault": "line_failed", "line": 2, "next": 1})
    world.sweep()
    assert fresh(batch, *lines) == ["review", "batched", "batched"]
    assert batch.review_code == "lines_unclear"


def test_a_batch_in_progress_is_polled_and_its_lines_count_as_sent(world):
    batch, lines = make(world, webhook=False)
    world.faults({"fault": "pending", "seconds": 300, "next": 1})
    world.sweep()
    assert fresh(batch, *lines) == ["pending", "batched", "batched", "batched"]
    assert {line.first_sent_at for line in lines} == {batch.first_sent_at}
    assert 50 < (batch.next_attempt_at - batch.known_since).total_seconds() < 70
    world.settle()
    assert fresh(batch, *lines) == ["completed"] * 4


def test_failed_as_a_whole_is_for_a_person_and_their_no_fails_every_line(world):
    batch, lines = make(world)
    world.faults({"fault": "pending_failed", "seconds": 3, "next": 1})
    world.settle()
    assert fresh(batch, *lines) == ["review", "batched", "batched", "batched"]
    with pytest.raises(EvidenceNeeded):
        services.resolve_review(batch.pk, decision="fail", actor_name="Ada", reason="no")
    services.resolve_review(batch.pk, decision="fail", actor_name="Ada, Bob", reason="No card", evidence="Ticket 9")
    assert fresh(batch, *lines) == ["failed", "failed", "failed", "failed"]
    assert len(world.posts()) == 1


def test_complete_by_two_people_completes_every_open_line(world):
    batch, lines = make(world)
    world.faults({"fault": "pending_forever", "next": 1})
    world.sweep()
    services.send_to_review(batch.pk, actor_name="Ada", reason="their portal shows it")
    services.resolve_review(
        batch.pk,
        decision="complete",
        actor_name="Ada, Bob",
        reason="Portal",
        evidence="Screenshot",
        provider_order_id="ord-9",
    )
    assert fresh(batch, *lines) == ["completed"] * 4
    assert [line.provider_order_id for line in lines] == ["ord-9#1", "ord-9#2", "ord-9#3"]


# --- taken back -----------------------------------------------------------------------------------------------------------
def test_cancelling_a_line_before_anything_was_sent_gives_the_batch_up(world):
    batch, lines = make(world)
    services.cancel_order(lines[1].pk, actor_name="Finance", reason="changed my mind")
    assert fresh(batch, *lines) == ["cancelled", "draft", "cancelled", "draft"]
    services.cancel_order(lines[1].pk, actor_name="Finance", reason="again")
    world.settle()
    assert fresh(batch, *lines) == ["cancelled", "completed", "cancelled", "completed"]
    assert [request.body for request in world.posts()] == [bytes(lines[0].body), bytes(lines[2].body)]


def test_a_line_of_a_batch_that_left_cannot_be_cancelled_nor_a_batch_as_such(world):
    batch, lines = make(world)
    with pytest.raises(IllegalMove):
        services.cancel_order(batch.pk, actor_name="Finance", reason="all of it")
    world.faults({"fault": "timeout_before", "next": 1})
    world.sweep()
    with pytest.raises(IllegalMove):
        services.cancel_order(lines[0].pk, actor_name="Finance", reason="too late")
    assert fresh(*lines) == ["batched"] * 3


# --- crashes --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("crash", ["CP6", "CP7", "CP8", "CP9", "CP10", "CP11", "CP12", "CP17", "BP4", "BP5"])
def test_a_crash_while_a_batch_is_sent_loses_and_doubles_nothing(world, crash, refused):
    batch, lines = make(world, links=True)
    world.faults(*([{"fault": "400", "po": batch.po_number}] if refused else []))
    failpoints.arm(crash)
    for _ in range(30):
        try:
            world.sweep()
        except SimulatedCrash:
            fresh(batch, *lines)
            assert {line.state for line in lines} <= {"batched", "completed", "draft"}
            assert batch.state not in {"completed", "rejected"} or not any(line.state == "batched" for line in lines)
        if batch.state == "review":  # a refusal after an attempt nobody heard the end of: one person may ask again
            break
        if all(state in RewardOrder.FINAL for state in fresh(batch, *lines)):
            break
        world.advance(200)
    if refused and crash in {"CP7", "CP8", "CP9", "CP10", "CP11", "CP17", "BP4"}:
        assert (batch.state, batch.review_code) == ("review", "refused_after_unknown")
        assert fresh(*lines) == ["batched"] * 3 and world.books()["cards"] == 0
        return
    assert fresh(batch, *lines) == ["rejected" if refused else "completed", *["completed"] * 3]
    assert world.books()["cards"] == 3
    assert Card.objects.count() == 3
    assert len({link for line in lines for link in links_of(line)}) == 3


@pytest.mark.parametrize("crash", ["BP2", "BP3"])
def test_a_crash_while_a_batch_is_made_leaves_orders_of_their_own(world, crash):
    lines = [world.order(wait=WAIT) for _ in range(3)]
    failpoints.arm(crash)
    with pytest.raises(SimulatedCrash):
        services.create_batch([line.pk for line in lines])
    assert fresh(*lines) == ["draft"] * 3
    assert not RewardOrder.objects.exclude(line_count=None).exists()
    world.advance(3601)
    world.settle()
    assert fresh(*lines) == ["completed"] * 3
    assert (world.books()["orders"], world.books()["cards"]) == (3, 3)


@pytest.mark.parametrize("crash", ["CP17"])
def test_a_crash_while_a_batch_is_given_up_changes_nothing(world, crash):
    batch, lines = make(world)
    failpoints.arm(crash)
    with pytest.raises(SimulatedCrash):
        services.cancel_order(lines[0].pk, actor_name="Finance", reason="no")
    assert fresh(batch, *lines) == ["draft", "batched", "batched", "batched"]


def test_a_webhook_of_a_line_that_was_never_sent_changes_nothing(world):
    batch, lines = make(world, webhook=True)
    hook = json.loads(bytes(lines[0].body))["WebhookSettings"]["FulfillmentComplete"]
    assert world.post_hook(hook) == 204
    world.sweep()
    assert fresh(batch, *lines) == ["completed"] * 4
    assert len(world.posts()) == 1


def test_mixed_products_go_in_one_order(world):
    lines = [
        world.order(product_id="CVS"),
        world.order(product_id="HARBOR", delivery=DigitalDelivery(email="b@b.example")),
    ]
    batch = services.create_batch([line.pk for line in lines])
    assert [line["ProductId"] for line in json.loads(bytes(batch.body))["LineItems"]] == ["CVS", "HARBOR"]
