"""The orders' pages: states in plain words, decisions of two people, the channel, and never a claim link."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from incentives.core.models import AuditEvent
from incentives.ledger.models import Posting
from incentives.payouts import services, wording
from incentives.payouts.checks import check_ledger
from incentives.payouts.models import OrderDecision
from rewards.models import Channel, OrderAttempt, OrderEvent, Product, RewardOrder
from tests.factories import make_participant
from tests.payouts.scene import ANSWER, LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def url(name, order) -> str:
    return reverse(f"payouts:{name}", args=[order.public_id])


def written() -> tuple:
    return (
        OrderEvent.objects.count(),
        Posting.objects.count(),
        OrderDecision.objects.count(),
        AuditEvent.objects.count(),
    )


@pytest.fixture
def review(scene) -> RewardOrder:
    return scene.review(scene.payout(approve=True).order)


# --- words --------------------------------------------------------------------------------------------------------------
def test_an_order_whose_outcome_nobody_knows_says_so_and_when_it_asks_again(scene, as_user):
    order = scene.sent(scene.payout(approve=True).order)
    soon = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=30)
    RewardOrder.objects.filter(pk=order.pk).update(next_attempt_at=soon, lease_until=None)
    page = assert_page_clean(as_user(scene.finance).get(url("order", order)))
    at = f"{soon:%H:%M}"
    assert (
        f"Nobody knows yet whether the provider has this order. Laurel asks again with the same number at {at}."
        in page.text
    )


def test_an_order_that_provably_never_arrived_is_not_called_unknown(scene):
    order = scene.sent(scene.payout(approve=True).order)
    OrderAttempt.objects.update(outcome="not_sent", ended_at=timezone.now())
    assert wording.order_in_words(order).startswith("The provider does not have this order.")


@pytest.mark.parametrize("state", RewardOrder.State.values)
def test_every_state_has_words_and_none_claims_a_receipt(scene, state):
    order = RewardOrder(state=state, delivery_type="DigitalDelivery", pk=0)
    words = wording.order_in_words(order, Channel())
    assert words and "received" not in words.lower()


def test_a_stopped_channel_is_said_with_every_order_that_waits(scene):
    order = scene.payout(approve=True).order
    services.stop_everything(actor=scene.finance, reason="Odd")
    assert wording.order_in_words(order, Channel.objects.get()).endswith("the emergency stop is on.")


# --- the list -----------------------------------------------------------------------------------------------------------
def test_orders_are_found_by_number_reference_and_provider_id(scene, as_user):
    one, two = (scene.issue(scene.payout(program=scene.program(), approve=True)).order for _ in range(2))
    client = as_user(scene.users["auditor"])
    for word in (one.po_number, one.reference, one.provider_order_id):
        found = [row["object"].pk for row in client.get(f"/orders/?tab=completed&q={word}").context["rows"]]
        assert found == [one.pk], word
    assert {row["object"].pk for row in client.get("/orders/?tab=completed").context["rows"]} == {one.pk, two.pk}


def test_only_finance_exports_addresses(scene, as_user):
    scene.payout(approve=True)

    def export(role) -> str:
        response = as_user(scene.users[role]).get("/orders/?tab=all&export=csv")
        return b"".join(response.streaming_content).decode("utf-8-sig")

    for role in ("manager", "auditor"):
        assert "ana@example.com" not in export(role) and "Ana Ruiz" in export(role)
    rows = list(csv.reader(io.StringIO(export("finance"))))
    assert rows[1][-1] == "ana@example.com"


def test_a_claim_link_is_on_no_page_of_staff(scene, as_user, client):
    payout = scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    addresses = [
        "/", "/orders/?tab=all", url("order", payout.order), "/payouts/?tab=all", payout.get_absolute_url(),
        "/orders/?tab=all&export=csv", "/payouts/?tab=all&export=csv", f"/audit/?target_id={payout.public_id}",
    ]  # fmt: skip
    for role in ("manager", "finance", "administrator", "auditor", "superuser"):
        for address in addresses:
            response = as_user(scene.users[role]).get(address)
            body = b"".join(response.streaming_content) if response.streaming else response.content
            assert LINK.encode() not in body and ANSWER.encode() not in body, (role, address)


# --- a review -----------------------------------------------------------------------------------------------------------
FAIL = {"decision": "fail", "evidence": "Support: no such order, 2 July", "reason": "Never arrived"}


def test_a_final_answer_takes_two_people(scene, as_user, review):
    first, second = as_user, scene.other
    assert first(scene.finance).post(url("resolve", review), FAIL).status_code == 302
    review.refresh_from_db()
    proposal = OrderDecision.objects.get()
    assert (review.state, proposal.proposed_by) == ("review", scene.finance)
    shown = {"shown": proposal.pk}
    before = written()
    refused = first(scene.finance).post(url("confirm-decision", review), shown)
    assert refused.status_code == 403 and written() == before
    assert "another person of finance" in assert_page_clean(refused).text
    page = assert_page_clean(first(second).get(url("order", review)))
    assert "No card was issued and none will be" in page.text and url("confirm-decision", review) in page.links
    assert first(second).post(url("confirm-decision", review), shown).status_code == 302
    review.refresh_from_db()
    review.payout.refresh_from_db()
    proposal.refresh_from_db()
    assert (review.state, review.payout.status, proposal.confirmed_by) == ("failed", "failed", second)
    event = OrderEvent.objects.get(order=review, new="failed")
    assert event.actor_name == f"{scene.finance.email}, {second.email}"
    assert event.evidence["evidence"] == FAIL["evidence"]
    assert AuditEvent.objects.filter(action="order.fail", actor=second).count() == 1
    assert check_ledger() == []
    assert first(second).post(url("confirm-decision", review), shown).status_code == 404


def test_the_database_refuses_one_person_as_two(scene, review):
    proposal = services.propose_decision(order=review, actor=scene.finance, **FAIL)
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderDecision.objects.filter(pk=proposal.pk).update(confirmed_by=scene.finance)
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderDecision.objects.create(order=review, decision="fail", reason="x", evidence="x", proposed_by=scene.other)


def test_a_confirmation_binds_to_the_proposal_that_was_shown(scene, as_user, review):
    first = services.propose_decision(order=review, actor=scene.finance, **FAIL)
    services.withdraw_decision(proposal=first, actor=scene.finance)
    services.propose_decision(
        order=review, decision="complete", actor=scene.finance, reason="It is there", evidence="Seen in the portal",
        provider_order_id="P-1",
    )  # fmt: skip
    before = written()
    response = as_user(scene.other).post(url("confirm-decision", review), {"shown": first.pk})
    assert response.status_code == 400 and written() == before
    review.refresh_from_db()
    assert review.state == "review"


def test_a_confirmed_issue_is_spent(scene, as_user, review):
    data = {"decision": "complete", "evidence": "Portal, 2 July", "reason": "Issued", "provider_order_id": "P-77"}
    as_user(scene.finance).post(url("resolve", review), data)
    as_user(scene.other).post(url("confirm-decision", review), {"shown": OrderDecision.objects.get().pk})
    review.refresh_from_db()
    review.payout.refresh_from_db()
    assert (review.state, review.provider_order_id, review.payout.status) == ("completed", "P-77", "fulfilled")
    assert check_ledger() == []


def test_the_recipient_decides_nothing_about_the_own_order(scene, as_user):
    order = scene.review(scene.payout(rep=make_participant("Fin", user=scene.other), approve=True).order)
    before = written()
    for data in (FAIL, {"decision": "retry", "reason": "Again"}):
        assert as_user(scene.other).post(url("resolve", order), data).status_code == 403
    assert written() == before
    services.propose_decision(order=order, actor=scene.finance, **FAIL)
    before = written()
    shown = {"shown": OrderDecision.objects.get().pk}
    assert as_user(scene.other).post(url("confirm-decision", order), shown).status_code == 403
    assert written() == before


def test_asking_again_takes_one_person_and_keeps_the_number(scene, as_user, review):
    number, body = review.po_number, bytes(review.body)
    services.propose_decision(order=review, actor=scene.other, **FAIL)
    as_user(scene.finance).post(url("resolve", review), {"decision": "retry", "reason": "Try again"})
    review.refresh_from_db()
    assert (review.state, review.po_number, bytes(review.body)) == ("submitting", number, body)
    assert not OrderDecision.objects.filter(closed_at__isnull=True).exists()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"decision": "fail", "reason": "x"}, "Say what proves it."),
        ({"decision": "complete", "reason": "x", "evidence": "x"}, "Needed for this decision."),
        ({"decision": "adopt", "reason": "x"}, "Needed for this decision."),
        ({"decision": "retry"}, "This field is required."),
        ({"decision": "burn", "reason": "x"}, "Select a valid choice."),
        ({**FAIL, "evidence": f"See {LINK}"}, "a claim link must not be stored here"),
    ],
)
def test_a_decision_with_something_missing_is_refused(scene, as_user, review, data, words):
    before = written()
    response = as_user(scene.finance).post(url("resolve", review), data)
    assert response.status_code == 400 and words in assert_page_clean(response).text
    assert written() == before


def test_binding_an_order_that_cannot_be_read_is_refused(scene, as_user, review):
    before = written()
    data = {"decision": "adopt", "reason": "Found", "provider_order_id": "P-9"}
    response = as_user(scene.finance).post(url("resolve", review), data)
    assert response.status_code in {409, 503} and written() == before
    review.refresh_from_db()
    assert review.state == "review"


def test_a_final_answer_needs_an_order_in_review(scene, as_user):
    order = scene.payout(approve=True).order
    before = written()
    response = as_user(scene.finance).post(url("resolve", order), FAIL)
    assert response.status_code == 400 and "not in review" in assert_page_clean(response).text
    assert written() == before


# --- the channel --------------------------------------------------------------------------------------------------------
def test_stopping_is_one_persons_and_restarting_two_peoples(scene, as_user):
    scene.other.name = scene.finance.name  # two people with one name are still two
    scene.other.save()
    as_user(scene.finance).post("/orders/stop/", {"reason": "Something is wrong"})
    assert Channel.objects.get().emergency_stop
    page = assert_page_clean(as_user(scene.finance).get("/orders/"))
    assert "The emergency stop is on." in page.text
    as_user(scene.finance).post("/orders/restart/", {"reason": "Fixed"})
    again = as_user(scene.finance).post("/orders/restart/", {"reason": "Really"})
    assert again.status_code == 409 and Channel.objects.get().emergency_stop
    as_user(scene.other).post("/orders/restart/", {"reason": "I looked too"})
    assert not Channel.objects.get().emergency_stop
    assert list(AuditEvent.objects.filter(action__startswith="orders.").order_by("pk").values_list("action", flat=True)) == [
        "orders.emergency_stop", "orders.restart_asked", "orders.restarted",
    ]  # fmt: skip


def test_a_rename_does_not_make_a_second_person(scene, as_user):
    services.stop_everything(actor=scene.finance, reason="Odd")
    services.restart(actor=scene.finance, reason="Fine")
    scene.finance.name = "Somebody Else"
    scene.finance.save()
    assert as_user(scene.finance).post("/orders/restart/", {"reason": "Fine"}).status_code == 409
    assert Channel.objects.get().emergency_stop


def test_unfunded_orders_are_resumed_together(scene, as_user):
    orders = [scene.sent(scene.payout(program=scene.program(), approve=True).order) for _ in range(2)]
    RewardOrder.objects.update(state="unfunded", next_attempt_at=None)
    Channel.objects.update(state="paused", code="funding")
    page = as_user(scene.finance).post("/orders/resume/", {"reason": "Funded"}, follow=True)
    assert "2 orders are sent again." in assert_page_clean(page).text
    assert Channel.objects.get().state == "open"
    assert RewardOrder.objects.filter(next_attempt_at__isnull=False).count() == len(orders)


def test_an_order_is_taken_out_of_the_automatic_path(scene, as_user):
    order = scene.sent(scene.payout(approve=True).order)
    as_user(scene.finance).post(url("review", order), {"reason": "Provider called"})
    order.refresh_from_db()
    assert order.state == "review"


# --- the catalogue ------------------------------------------------------------------------------------------------------
def test_the_catalogue_shows_values_fees_and_what_cannot_be_ordered(scene, as_user):
    Product.objects.create(
        product_id="CVS", name="CVS", denomination_type="Fixed", denominations=[1000, 2500], delivery_types=["Links"],
        currency="USD", fee_minor=150, discount_percent="3.5", orderable=False, refreshed_at=timezone.now(),
        image_url="https://pictures.example.test/cvs.png",
    )  # fmt: skip
    client = as_user(scene.users["administrator"])
    assert "CVS" not in [row["object"].name for row in client.get("/orders/catalogue/").context["rows"]]
    page = assert_page_clean(client.get("/orders/catalogue/?tab=all"))
    for words in ("10.00 USD, 25.00 USD", "1.50 USD", "3.5%", "Not any more", "5.00 USD to 250.00 USD"):
        assert words in page.text.replace("\xa0", " "), words


def test_a_refresh_that_fails_keeps_the_old_copy_and_says_so(scene, as_user):
    response = as_user(scene.manager).post("/orders/catalogue/refresh/", follow=True)
    assert "the old copy stands" in assert_page_clean(response).text
    assert Product.objects.filter(orderable=True).count() == 1
    assert not AuditEvent.objects.filter(action="catalogue.refreshed").exists()
