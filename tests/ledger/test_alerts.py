"""One e-mail for each threshold that is crossed, until money came in."""

import itertools
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.ledger import alerts, services, transfers
from incentives.ledger.accounts import budget_accounts
from incentives.ledger.errors import BudgetInvalid
from incentives.ledger.models import Budget, BudgetAlert
from incentives.ledger.posting import post
from incentives.notifications import channels, gather, sending
from incentives.notifications.models import Delivery, Notification
from tests.factories import make_budget, make_user, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def fay():
    return make_user("finance", name="Fay", email="fay@example.com")


def move(budget, amount: str, source="available", destination="spent") -> None:
    own = budget_accounts(budget)
    with transaction.atomic():
        key = f"test:{Budget.objects.count()}:{AuditEvent.objects.count()}:{amount}:{source}:{timezone.now()}"
        post(key, usd(amount), own[source], own[destination], kind="settle", cause="t")


ROUNDS = itertools.count(1)


def sent() -> list[tuple[str, str]]:
    """What leaves now; each round ten minutes after the one before, so that nothing is collected for later."""
    sending.deliver(timezone.now() + timedelta(minutes=10) * next(ROUNDS))
    found = [(message.to[0], message.subject) for message in mail.outbox]
    mail.outbox.clear()
    return sorted(found)


def test_each_crossing_is_told_once_to_finance_and_the_owner(fay):
    budget = make_budget(funded="100.00", name="EMEA", finance=fay)
    Budget.objects.update(owner=make_user("manager", email="max@example.com"))
    move(budget, "74.99")
    assert alerts.sweep_once() == {"alerts": 0}
    move(budget, "0.01")
    assert alerts.sweep_once() == {"alerts": 1}
    assert sent() == [("fay@example.com", "EMEA: 75 % used"), ("max@example.com", "EMEA: 75 % used")]
    assert alerts.sweep_once() == {"alerts": 0}
    move(budget, "25.00")
    assert alerts.sweep_once() == {"alerts": 2}  # 90 and 100 at once are one mail
    assert sent() == [("fay@example.com", "EMEA: 100 % used"), ("max@example.com", "EMEA: 100 % used")]
    assert AuditEvent.objects.filter(action="budget.alert").count() == 3


def test_what_is_released_and_taken_again_is_no_news_but_a_replenishment_is(fay):
    budget = make_budget(funded="100.00", name="EMEA", finance=fay)
    move(budget, "80.00")
    alerts.sweep_once()
    sent()
    move(budget, "80.00", "spent", "available")
    alerts.sweep_once()
    assert alerts.standing_alerts() == []
    move(budget, "80.00")
    assert alerts.sweep_once() == {"alerts": 0} and len(alerts.standing_alerts()) == 1
    services.fund(budget=budget, amount=usd("100.00"), reference="MORE", actor=fay)
    assert alerts.sweep_once() == {"alerts": 0} and alerts.standing_alerts() == []
    move(budget, "70.00")
    assert alerts.sweep_once() == {"alerts": 1} and sent() == [("fay@example.com", "EMEA: 75 % used")]


def test_an_amount_left_and_other_percentages_and_what_is_refused(fay):
    budget = make_budget(funded="100.00", name="EMEA", finance=fay)
    for percents, left in (([0], None), ([101], None), ([1, 2, 3, 4, 5, 6, 7], None), ([50], usd("0"))):
        with pytest.raises(BudgetInvalid):
            alerts.set_thresholds(budget=budget, percents=percents, left=left, actor=fay)
    with pytest.raises(NotAllowed):
        alerts.set_thresholds(budget=budget, percents=[50], left=None, actor=make_user("manager"))
    assert Budget.objects.get().alert_percents == [75, 90, 100] and not AuditEvent.objects.filter(
        action="budget.thresholds_set"
    )
    for _ in range(2):
        alerts.set_thresholds(budget=budget, percents=[], left=usd("30.00"), actor=fay)
    assert AuditEvent.objects.filter(action="budget.thresholds_set").count() == 1
    move(budget, "70.00")
    assert alerts.sweep_once()["alerts"] == 0
    move(budget, "0.01")
    assert alerts.sweep_once()["alerts"] == 1 and sent() == [("fay@example.com", "EMEA: Below 30.00 USD left")]
    alerts.set_thresholds(budget=budget, percents=[50], left=None, actor=fay)
    assert alerts.sweep_once()["alerts"] == 1 and sent() == [("fay@example.com", "EMEA: 50 % used")]


def test_money_from_another_budget_replenishes_too(fay):
    budget, other = make_budget(funded="100.00", finance=fay), make_budget(funded="100.00", finance=fay)
    move(budget, "90.00")
    alerts.sweep_once()
    asked = transfers.propose(source=other, destination=budget, amount=usd("50.00"), reason="R", actor=fay)
    transfers.approve(transfer=asked, actor=make_user("finance"))
    alerts.sweep_once()
    assert BudgetAlert.objects.filter(ended_at__isnull=True).count() == 0


def test_the_mail_says_what_is_left_and_chat_channels_hear_of_it_too(fay):
    budget = make_budget(funded="100.00", finance=fay)
    told = {"kinds": ["budgets.alert"], "programs": [], "url": "https://hooks.slack.com/services/T/B/x"}
    channels.save_channel(actor=make_user("administrator"), name="Finance", channel="slack", **told)
    move(budget, "80.00")
    alerts.sweep_once()
    gather.gather()
    assert Delivery.objects.filter(channel="slack").count() == 1
    Delivery.objects.filter(channel="slack").delete()  # its address is nobody's here
    sending.deliver()
    body = mail.outbox[0].body.replace("\xa0", " ")
    assert f"The budget {budget} has 20.00 USD available of 100.00 USD (75 % used)." in body
    assert f"http://localhost:8000{budget.get_absolute_url()}" in body


def test_what_money_has_mended_meanwhile_is_not_told(fay):
    budget = make_budget(funded="100.00", finance=fay)
    move(budget, "80.00")
    alerts.sweep_once()
    services.fund(budget=budget, amount=usd("900.00"), reference="MORE", actor=fay)
    alerts.sweep_once()
    assert sent() == []


def test_pages_show_it(client, fay, django_assert_max_num_queries):
    budget = make_budget(funded="100.00", name="EMEA", finance=fay)
    make_budget(funded="100.00", name="APAC")
    move(budget, "95.00")
    alerts.sweep_once()
    client.force_login(fay)
    assert "90 % used: 5.00 USD available." in assert_page_clean(client.get(budget.get_absolute_url())).text
    with django_assert_max_num_queries(14):
        listed = assert_page_clean(client.get("/budgets/?tab=alerts"))
    assert "EMEA 90 % used · Fay" in listed.text and "APAC" not in listed.text
    assert "5.00 USD left, 90 % used" in assert_page_clean(client.get("/")).text
    at = f"{budget.get_absolute_url()}thresholds/"
    assert 'value="75, 90, 100"' in client.get(at).text and assert_page_clean(client.get(at))
    assert client.post(at, {"percents": "ten"}).status_code == 400
    client.post(at, {"percents": "50, 95%", "left": "7.50"})
    budget.refresh_from_db()
    assert (budget.alert_percents, budget.alert_left_minor) == ([50, 95], 750)
    client.force_login(make_user("manager"))
    assert (client.get(at).status_code, client.post(at, {}).status_code) == (404, 404)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_tell_once(fay):
    for _ in range(3):
        move(make_budget(funded="100.00", finance=fay), "80.00")
    found, start = [], threading.Barrier(6)

    def work():
        start.wait()
        try:
            found.append(alerts.watch_budgets(timezone.now()))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert (sum(found), BudgetAlert.objects.count(), Notification.objects.count()) == (3, 3, 3)
