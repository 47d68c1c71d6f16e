"""A participant's own pages: figures, plain words, and a claim link that only its recipient ever sees."""

import logging

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from incentives.core.models import AuditEvent
from incentives.payouts import services, wording
from incentives.payouts.models import Payout
from rewards.models import Card, CardReveal, RewardOrder
from tests.factories import make_participant, make_user, usd
from tests.payouts.scene import ANSWER, LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
TIERS = {"rewards": [{"type": "tiers", "mode": "each", "tiers": [
    {"at": "5000", "amount": "100.00"}, {"at": "10000", "amount": "250.00"},
]}]}  # fmt: skip


def plain(page) -> str:
    return page.text.replace("\xa0", " ")


def reveal_url(payout) -> str:
    return reverse("portal:reveal", args=[payout.public_id])


@pytest.fixture
def claim(scene) -> Payout:
    """An issued claim link of the rep's."""
    return scene.issue(scene.payout("2000.00", program=scene.program(delivery=LINKS), approve=True))


# --- the page -----------------------------------------------------------------------------------------------------------
def test_what_i_earned_what_is_on_its_way_and_how_far_i_am(scene, as_user):
    tiers = scene.program(name="Summer", **TIERS)
    scene.earn("7500.00", program=tiers)
    percent = scene.program(name="Percent")
    scene.payout("1000.00", program=percent)
    scene.issue(scene.payout("3000.00", program=percent, approve=True))
    response = as_user(scene.rep_user).get("/me/")
    page = assert_page_clean(response)
    assert response.context["earned"] == response.context["month"] == [usd("180.00")]
    assert (response.context["on_its_way"], response.context["sent"]) == ([usd("20.00")], [usd("60.00")])
    assert "2,500.00 USD more reach the next reward of 250.00 USD." in plain(page)
    assert "2 % of 3,000.00 = 60.00" in plain(page)
    assert "Being checked" in page.text and "Sent by the provider" in page.text
    assert "The provider sent it to ana@example.com." in page.text
    summer = next(s for s in response.context["standings"] if s.program == tiers)
    assert (summer.earned, summer.card.measure, summer.value) == (usd("100.00"), 7500, usd("7500.00"))


def test_a_target_is_shown_beside_the_measure(scene, as_user):
    from datetime import date

    from incentives.programs.models import Target

    reward = {"type": "tiers", "of": "target", "tiers": [{"at": "50", "amount": "100.00"}]}
    program = scene.program(rewards=[reward])
    Target.objects.create(program=program, participant=scene.rep, period_start=date(2026, 1, 1), value=20000)
    scene.earn("7500.00", program=program)
    response = as_user(scene.rep_user).get("/me/")
    (standing,) = response.context["standings"]
    assert (standing.target_value, standing.progress[0].missing) == (usd("20000.00"), usd("2500.00"))
    assert "7,500.00 USD of 20,000.00 USD" in plain(assert_page_clean(response))


def test_nobody_sees_anything_of_somebody_else(scene, as_user, claim):
    stranger = make_user("participant")
    make_participant("Stranger", user=stranger)
    for address in ("/me/", "/me/rewards/", "/me/statement/"):
        html = as_user(stranger).get(address).content.decode()
        assert "40.00" not in html and str(claim.public_id) not in html, address


def test_an_account_without_a_participant_is_told_what_is_missing(as_user, db):
    page = assert_page_clean(as_user(make_user("participant")).get("/me/"))
    assert "not linked to a participant yet" in page.text


@pytest.mark.parametrize("status", Payout.Status.values)
@pytest.mark.parametrize("delivery", ["DigitalDelivery", "Links"])
def test_no_state_claims_that_a_card_was_received(status, delivery):
    payout = Payout(status=status, delivery_type=delivery, recipient_email="a@x.test")
    look, label, words = wording.payout_for_recipient(payout)
    assert look and label and "received" not in f"{label} {words}".lower()
    assert not {"delivered", "arrived"} & set(f"{label} {words}".lower().split())


def test_an_order_in_trouble_is_still_on_its_way_and_nothing_is_lost(scene):
    payout = scene.payout(approve=True)
    scene.review(payout.order)
    assert wording.payout_for_recipient(payout)[1:] == (
        "On its way",
        "Something about it needs a person's look. Nothing is lost.",
    )


def test_payouts_withdrawn_before_a_decision_are_not_shown(scene, as_user):
    payout = scene.payout()
    services.cancel_payout(payout_id=payout.pk, actor=scene.manager, reason="Built too early")
    response = as_user(scene.rep_user).get("/me/rewards/")
    assert response.context["total"] == 0


def test_the_page_asks_as_often_for_many_rows(scene, as_user):
    client = as_user(scene.rep_user)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            for address in ("/me/", "/me/rewards/", "/me/statement/"):
                assert client.get(address).status_code == 200
        return len(found)

    program = scene.program(funded="100000.00")
    for _ in range(3):
        scene.payout("500.00", program=program, approve=True)
    few = queries()
    for number in range(20):
        if number % 4:
            scene.payout("500.00", program=program)
        else:
            scene.earn("500.00", program=scene.program(**TIERS))
    assert queries() == few


def test_the_statement_adds_up_one_year(scene, as_user):
    program = scene.program()
    scene.issue(scene.payout("1000.00", program=program, approve=True))
    scene.payout("500.00", program=program)
    response = as_user(scene.rep_user).get("/me/statement/")
    page = assert_page_clean(response)
    (balance,) = response.context["statement"].balances
    assert (balance.earned, balance.delivered, balance.closing) == (3000, 2000, 1000)
    assert f"Statement {timezone.localdate().year}" in page.text
    RewardOrder.objects.update(finished_at="2020-05-05T00:00:00Z")
    statement = as_user(scene.rep_user).get("/me/statement/").context["statement"]
    assert statement.delivered == [] and [b.opening for b in statement.balances] == [-2000]
    assert as_user(scene.rep_user).get("/me/statement/?year=9999999999").status_code == 200


# --- a partner's people -------------------------------------------------------------------------------------------------
def test_a_partner_administrator_sees_the_own_people_and_no_cards(scene, as_user):
    colleague = make_participant("Cara Acme", type="partner", partner=scene.partner, user=make_user("participant"))
    program = scene.program(delivery=LINKS)
    theirs = scene.issue(scene.payout("5000.00", program=program, rep=colleague, approve=True))
    scene.payout("9000.00", program=program)
    client = as_user(scene.users["partner_admin"])
    response = client.get("/me/people/")
    page = assert_page_clean(response)
    assert [(p.name, sums) for p, sums in response.context["people"]] == [
        ("Cara Acme", [usd("100.00")]),
        ("Pat Acme", []),
    ]
    assert "Ana Ruiz" not in page.text
    assert client.post(reveal_url(theirs)).status_code == 404
    assert not CardReveal.objects.exists()


# --- claim links --------------------------------------------------------------------------------------------------------
def test_a_link_is_on_no_page_until_its_recipient_asks_for_it(scene, as_user, claim):
    for address in ("/me/", "/me/rewards/", "/me/statement/"):
        html = as_user(scene.rep_user).get(address).content.decode()
        assert LINK not in html and ANSWER not in html
    assert reveal_url(claim) in as_user(scene.rep_user).get("/me/").content.decode()
    assert not CardReveal.objects.exists()


def test_promise_10_the_recipient_reveals_the_link_and_it_is_recorded(scene, as_user, claim, caplog):
    with caplog.at_level(logging.DEBUG):
        response = as_user(scene.rep_user).post(reveal_url(claim))
    page = assert_page_clean(response)
    assert LINK in page.links and ANSWER in page.text
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    reveal = CardReveal.objects.get()
    assert (reveal.actor_name, reveal.actor_ref) == (str(scene.rep_user), str(scene.rep_user.public_id))
    event = AuditEvent.objects.get(action="card.revealed")
    assert (event.actor, event.target_id) == (scene.rep_user, str(claim.public_id))
    stored = f"{event.before}{event.after}{event.reason}{event.target_label}{caplog.text}"
    assert LINK not in stored and ANSWER not in stored
    as_user(scene.rep_user).post(reveal_url(claim))
    assert CardReveal.objects.count() == AuditEvent.objects.filter(action="card.revealed").count() == 2


@pytest.mark.parametrize(
    "role", ["manager", "finance", "partner_admin", "administrator", "auditor", "superuser", "norole"]
)
def test_promise_10_nobody_else_reveals_it(scene, as_user, claim, role):
    response = as_user(scene.users[role]).post(reveal_url(claim))
    assert response.status_code == 404 and LINK.encode() not in response.content
    assert not CardReveal.objects.exists() and not AuditEvent.objects.filter(action="card.revealed").exists()


def test_another_participant_and_a_visitor_reveal_nothing(scene, client, as_user, claim):
    assert client.post(reveal_url(claim)).status_code == 302
    stranger = make_user("participant", "finance", "administrator", is_superuser=True, is_staff=True)
    make_participant("Stranger", user=stranger)
    assert as_user(stranger).post(reveal_url(claim)).status_code == 404
    assert not CardReveal.objects.exists()


def test_only_a_post_with_its_token_reveals(scene, claim):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(scene.rep_user)
    assert strict.post(reveal_url(claim)).status_code == 403
    assert strict.get(reveal_url(claim)).status_code == 405
    assert strict.head(reveal_url(claim)).status_code == 405
    assert not CardReveal.objects.exists()


def test_there_is_nothing_to_reveal_before_the_card_is_issued_or_without_a_link(scene, as_user):
    waiting = scene.payout(program=scene.program(delivery=LINKS), approve=True)
    by_mail = scene.issue(scene.payout(approve=True))
    for payout in (waiting, by_mail):
        assert as_user(scene.rep_user).post(reveal_url(payout)).status_code == 404
    assert not CardReveal.objects.exists()


def test_a_link_that_cannot_be_opened_records_nothing(scene, as_user, claim):
    Card.objects.update(sealed="gAAAAABnot-a-token")
    response = as_user(scene.rep_user).post(reveal_url(claim), follow=True)
    assert "cannot be shown right now" in assert_page_clean(response).text
    assert not CardReveal.objects.exists() and not AuditEvent.objects.filter(action="card.revealed").exists()
