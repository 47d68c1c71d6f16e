"""Entering a deposit and resuming what waits for it, in one step."""

import pytest

from incentives.core.models import AuditEvent
from incentives.ledger.models import DepositEntry
from incentives.payouts import services
from rewards.models import Channel, RewardOrder
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
CVS = {"delivery": {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}}
ENTRY = {"kind": "deposit", "currency": "USD", "amount": "1000.00", "on": "2026-01-05", "reference": "W-1"}


@pytest.fixture
def parked(world):
    """An order of 100.00 that the provider refused for lack of funds; the channel waits."""
    crm, finance = make_connection(), make_user("finance", name="Fay")
    program = make_program(funded="500.00", **CVS)
    send(crm, deal("D1", make_participant("Ana"), "5000.00"))
    (payout,) = services.build_payouts(program=program).payouts
    services.approve_payout(payout_id=payout.pk, actor=finance)
    world.sandbox.store.fund(-world.sandbox.store.balance_minor)
    world.sweep()
    payout.refresh_from_db()
    assert (payout.order.state, Channel.objects.get().state) == ("unfunded", "paused")
    return world, payout, finance


def test_a_deposit_and_one_click_send_what_waits(client, parked):
    world, payout, finance = parked
    client.force_login(finance)
    page = assert_page_clean(client.get("/reports/deposits/"))
    assert "1 order of 96.50 USD waits for funds" in page.text and "About 96.50 USD are missing." in page.text
    form = client.get("/reports/deposits/new/?resume=1").text
    assert "Resume 1 order that waits for funds" in form and 'name="resume" id="id_resume" checked' in form.replace(
        'aria-describedby="id_resume_helptext" ', ""
    )
    world.sandbox.store.fund(100_000)
    answer = client.post("/reports/deposits/new/", ENTRY | {"resume": "on"}, follow=True)
    assert "1 order is sent again." in assert_page_clean(answer).text
    world.sweep()
    payout.refresh_from_db()
    assert (payout.status, payout.order.state, Channel.objects.get().state) == ("fulfilled", "completed", "open")
    assert world.books()["orders"] == 1  # under its own number: one card
    event = AuditEvent.objects.get(action="orders.resumed")
    assert event.reason.replace("\xa0", " ") == "1,000.00 USD were deposited: W-1."
    assert "Estimated balance, USD 903.50 USD" in assert_page_clean(client.get("/reports/deposits/")).text


def test_a_refused_entry_resumes_nothing(client, parked):
    _world, payout, finance = parked
    client.force_login(finance)
    client.post("/reports/deposits/new/", ENTRY)
    before = (DepositEntry.objects.count(), AuditEvent.objects.count())
    answer = client.post("/reports/deposits/new/", ENTRY | {"amount": "999.00", "resume": "on"})
    assert answer.status_code == 400 and "was entered already" in assert_page_clean(answer).text
    assert (DepositEntry.objects.count(), AuditEvent.objects.count()) == before
    assert (RewardOrder.objects.get(pk=payout.order_id).state, Channel.objects.get().state) == ("unfunded", "paused")


def test_resuming_alone_is_one_click_with_a_reason_at_hand(client, parked):
    _world, _payout, finance = parked
    client.force_login(finance)
    assert "The deposit account was funded." in client.get("/orders/resume/").text
    client.post("/orders/resume/", {"reason": "The deposit account was funded."})
    assert Channel.objects.get().state == "open"
