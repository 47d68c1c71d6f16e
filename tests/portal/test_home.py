"""The first page: what each role finds there, with exact figures, and how often it asks the database."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incentives.core.models import Heartbeat
from incentives.crm.models import Delivery
from incentives.payouts import services
from incentives.portal import selectors
from rewards.money import Money
from tests.factories import deal, make_participant, make_user, send, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def test_a_manager_finds_what_is_due_drafts_quarantine_and_running_programs(scene, as_user):
    program = scene.program(name="Running", funded="500.00")
    scene.program(name="An idea", launched=False)
    scene.earn("5000.00", program=program)
    send(scene.crm, deal("Q1", "NOBODY-KNOWS", "100.00"), evaluate=False)
    response = as_user(scene.manager).get("/")
    page = assert_page_clean(response)
    home = response.context["manager"]
    assert [(p.name, people, money) for p, people, money in home["due"]] == [("Running", 1, usd("100.00"))]
    assert home["due_sums"] == [usd("100.00")]
    assert [p.name for p in home["drafts"]] == ["An idea"]
    assert home["quarantined"] == Delivery.objects.filter(status="quarantined").count() == 1
    ((running, earned, figures),) = home["running"]
    assert (running.name, earned, figures.available) == ("Running", usd("100.00"), usd("500.00"))
    assert "An idea" in page.text and response.context["finance"] is None


def test_finance_finds_decisions_holds_and_orders(scene, as_user):
    scene.payout("1000.00")
    held = scene.payout("2000.00")
    services.place_hold(payout_id=held.pk, actor=scene.manager, reason="Look")
    scene.payout("3000.00", program=scene.program(funded="10.00"))
    scene.review(scene.payout("500.00", approve=True).order)
    scene.issue(scene.payout("4000.00", approve=True))
    scene.payout("500.00", program=scene.program(funded="10.50"), approve=True)
    response = as_user(scene.finance).get("/")
    page, home = assert_page_clean(response), response.context["finance"]
    assert (home["mine"]["count"], home["mine"]["sums"]) == (2, [usd("80.00")])
    assert (home["held"]["count"], home["held"]["sums"]) == (1, [usd("40.00")])
    assert (home["unfunded"]["count"], home["unfunded"]["sums"]) == (1, [usd("60.00")])
    assert (home["approved"]["count"], home["approved"]["sums"]) == (3, [usd("100.00")])
    assert (home["delivered"]["count"], home["delivered"]["sums"]) == (1, [usd("80.00")])
    assert home["states"]["review"] == 1 and "1 orders need a person." in page.text
    assert [figures.available for _, figures in home["budgets"]] == [usd("0.50")]
    assert home["mine"]["oldest"] is not None


def test_somebody_with_several_roles_sees_all_their_sections(scene, as_user):
    response = as_user(make_user("manager", "finance", "auditor")).get("/")
    assert_page_clean(response)
    shown = [name for name in ("manager", "finance", "administrator", "auditor") if response.context[name]]
    assert shown == ["manager", "finance", "auditor"]


def test_an_administrator_sees_whether_the_installation_lives(scene, as_user):
    client = as_user(scene.users["administrator"])
    page = assert_page_clean(client.get("/"))
    assert "never" in page.text and scene.crm.name in page.text
    Heartbeat.objects.create(name="sweep", at=timezone.now())
    home = client.get("/").context["administrator"]
    assert (home["late"], home["without_roles"]) == (False, 1)


def test_an_auditor_sees_figures_and_ways_in(scene, as_user):
    scene.issue(scene.payout("4000.00", approve=True))
    response = as_user(scene.users["auditor"]).get("/")
    page = assert_page_clean(response)
    assert response.context["auditor"]["delivered"]["sums"] == [usd("80.00")]
    tiles = re.findall(r'class="card tile" href="([^"]+)".*?<b>([^<]+)</b>', response.content.decode())
    assert {("/payouts/", "Payouts"), ("/orders/", "Orders"), ("/audit/", "Audit trail")} <= set(tiles)
    assert {address for address, _ in tiles} <= set(page.links) and "None" not in dict(tiles).values()


def test_participants_are_sent_to_their_own_page(scene, as_user):
    for role in ("participant", "partner_admin"):
        response = as_user(scene.users[role]).get("/")
        assert (response.status_code, response.headers["Location"]) == (302, "/me/")


def test_somebody_without_a_role_is_told_so(scene, as_user):
    assert "have no role yet" in assert_page_clean(as_user(scene.users["norole"]).get("/")).text


def test_sums_keep_currencies_apart():
    assert selectors.sums([("USD", 5), ("EUR", 3), ("USD", -1), ("JPY", 0)]) == [Money(3, "EUR"), Money(4, "USD")]


def test_the_home_page_asks_as_often_with_many_rows(scene, as_user):
    client = as_user(make_user("manager", "finance", "administrator", "auditor"))

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get("/").status_code == 200
        return len(found)

    def grow(count: int) -> None:
        for number in range(count):
            program = scene.program(funded="10.00")
            scene.payout("500.00", program=program, rep=make_participant(f"P{number}"), approve=number % 2 == 0)
            scene.earn("500.00", program=program)
            scene.program(launched=False)

    grow(2)
    few = queries()
    grow(10)
    assert queries() == few < 60
