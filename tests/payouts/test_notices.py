"""What recipients hear of their rewards, and channels of what waits: never a claim link, never an address."""

from datetime import UTC, datetime

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone

from incentives.notifications import Item, Reader, registry
from incentives.notifications.models import ChannelEndpoint, Delivery, Notification
from incentives.notifications.sending import deliver
from incentives.payouts import services
from incentives.payouts.kinds import ON_ITS_WAY, SENT, WAITING
from incentives.payouts.services.mails import tell_approvers
from rewards import vault
from rewards.orders import change_state
from tests.factories import make_participant
from tests.payouts.scene import ANSWER, LINK, LINKS

pytestmark = pytest.mark.django_db


@transaction.atomic
def taken(scene, payout):
    """The provider took the order and is at work."""
    order = scene.sent(payout.order)
    change_state(order, "pending", now=timezone.now(), provider_order_id=f"p-{payout.pk}", known_since=timezone.now())


def test_a_reward_is_told_when_it_is_on_its_way_and_when_it_was_sent(scene, clock):
    clock.move_to(datetime(2026, 9, 1, tzinfo=UTC))  # after the deals of the scene
    payout = scene.payout(approve=True)
    taken(scene, payout)
    assert deliver() == 1
    (message,) = mail.outbox
    assert (message.to, message.subject) == ([scene.rep_user.email], "A reward is on its way to you")
    assert "100.00 USD" in message.body.replace("\xa0", " ") and "/me/rewards/" in message.body
    change_order = payout.order
    change_order.refresh_from_db()
    with transaction.atomic():
        change_state(change_order, "completed", now=timezone.now(), cost_minor=10_000)
    clock.shift(120)
    assert deliver() == 1
    assert mail.outbox[1].subject == "Your reward was sent"
    assert "List-Unsubscribe" in mail.outbox[1].extra_headers


def test_a_reward_that_is_there_at_once_is_told_once(scene):
    payout = scene.payout(approve=True)
    taken(scene, payout)
    order = payout.order
    order.refresh_from_db()
    with transaction.atomic():
        change_state(order, "completed", now=timezone.now(), cost_minor=10_000)
    assert deliver() == 1
    assert [message.subject for message in mail.outbox] == ["Your reward was sent"]
    assert dict(Delivery.objects.values_list("kind", "status")) == {ON_ITS_WAY: "cancelled", SENT: "sent"}


def test_no_claim_link_and_no_answer_is_in_a_mail_or_in_the_outbox(scene):
    scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    assert deliver() == 1
    text = mail.outbox[0].body + mail.outbox[0].alternatives[0][0] + str(list(Notification.objects.values()))
    text += str(list(Delivery.objects.values()))
    assert LINK not in text and ANSWER not in text and "canary" not in text
    assert "/me/rewards/" in text and "ana@example.com" not in text


def test_a_recipient_without_an_account_gets_no_link_to_pages_they_cannot_open(scene):
    rep = make_participant("Ben Ode", email="ben@rep.example")
    scene.issue(scene.payout(rep=rep, approve=True))
    deliver()
    (message,) = mail.outbox
    assert message.to == ["ben@rep.example"] and "/me/" not in message.body and "from the provider" in message.body


def test_several_rewards_of_one_go_are_one_mail(scene):
    program = scene.program()
    for _ in range(3):
        scene.issue(scene.payout(program=program, approve=True))
    assert deliver() == 1
    assert mail.outbox[0].subject == "3 of your rewards were sent"


def test_a_rejected_or_failed_payout_is_told_to_nobody(scene):
    services.reject_payout(payout_id=scene.payout().pk, actor=scene.finance, reason="no")
    assert not Notification.objects.exists()


def channel(*programs) -> ChannelEndpoint:
    row = ChannelEndpoint(name=f"C{len(programs)}", channel="slack", host="x", kinds=[WAITING])
    row.programs = [str(program.public_id) for program in programs]
    row.sealed = vault.seal(row.label, {"url": "https://chat.invalid/"})
    row.save()
    return row


def test_a_channel_hears_of_what_waits_as_sums_by_program(scene):
    one, two = scene.program(name="Alpha"), scene.program(name="Beta")
    everything, alpha = channel(), channel(one)
    scene.payout(program=one)
    scene.payout("7500.00", program=one)
    scene.payout(program=two)
    held = scene.payout(program=two)
    services.place_hold(payout_id=held.pk, actor=scene.manager, reason="Look")
    tell_approvers()
    assert tell_approvers() == 0
    assert (everything.notifications.count(), alpha.notifications.count()) == (3, 2)
    items = [Item(row.key, row.data, row.created_at) for row in everything.notifications.all()]
    content = registry.get(WAITING).content(items, Reader(chat=True))
    assert content.subject == "3 payouts wait for approval"
    assert content.summary.replace("\xa0", " ") == "Alpha: 2, 250.00 USD\nBeta: 1, 100.00 USD"
    assert "Ana" not in content.summary + content.subject
