"""The participant hears that somebody answered, once, and not when they have read it already."""

import pytest
from django.core import mail

from incentives.core.errors import DomainError
from incentives.disputes import services
from incentives.notifications.models import Notification
from incentives.notifications.sending import deliver

pytestmark = pytest.mark.django_db


def test_an_answer_is_told_with_a_link_and_without_its_words(desk):
    dispute = desk.ask()
    services.explain(dispute=dispute, actor=desk.manager, text="The list price counts.", seen_version=1)
    assert (deliver(), deliver()) == (1, 0)
    (message,) = mail.outbox
    assert (message.to, message.subject) == ([desk.rep.email], "Your question was answered")
    for text in (message.body, message.alternatives[0][0]):
        assert f"/me/disputes/{dispute.public_id}/" in text and "list price" not in text


def test_asking_back_is_told_too(desk):
    services.ask_back(dispute=desk.ask(), actor=desk.manager, text="Which one?", seen_version=1)
    deliver()
    assert [message.subject for message in mail.outbox] == ["Somebody asks you something back"]


def test_who_has_read_it_gets_no_mail(desk):
    dispute = desk.ask()
    services.explain(dispute=dispute, actor=desk.manager, text="So.", seen_version=1)
    services.mark_seen(dispute)
    assert deliver() == 0


def test_a_refused_answer_tells_nothing(desk):
    dispute = desk.ask()
    with pytest.raises(DomainError):
        services.explain(dispute=dispute, actor=desk.manager, text="So.", seen_version=9)
    assert not Notification.objects.exists()
