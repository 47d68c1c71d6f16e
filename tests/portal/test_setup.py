"""The checklist of a new installation: true at every step, with a way on for whose turn it is, gone after the first card."""

import pytest

from incentives.portal import setup
from tests.factories import (
    deal,
    make_budget,
    make_connection,
    make_participant,
    make_product,
    make_program,
    make_user,
    send,
)
from tests.payouts.conftest import as_user, quiet_nudges, scene  # noqa: F401
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


def done(user) -> list[str]:
    return [one.step.code for one in setup.checklist(user) if one.done]


def test_each_step_is_done_when_it_is_done(settings):
    settings.E2R_BASE_URL, settings.E2R_EMAIL = "https://provider.example", "a@example.com"
    admin = make_user("administrator")
    assert done(admin) == []
    make_user("manager"), make_user("finance")
    assert done(admin) == []
    finance = make_user("finance")
    assert done(admin) == ["people"]
    make_product()
    assert done(admin) == ["people", "provider"]
    budget = make_budget(funded="100.00", finance=finance)
    rep = make_participant("Ana")
    send(make_connection(), deal("D1", rep, "100.00"))
    assert done(admin) == ["people", "provider", "budget", "participants", "connection"]
    make_program(budget=budget)
    assert done(admin) == ["people", "provider", "budget", "participants", "connection", "program"]


@pytest.mark.parametrize(
    ("role", "turns"),
    [("administrator", {"people", "provider", "participants", "connection"}), ("finance", {"provider", "budget", "payout"}),
     ("manager", {"provider", "participants", "program"})],
)  # fmt: skip
def test_each_role_is_led_to_its_own_steps_and_every_link_opens(client, role, turns):
    user = make_user(role)
    client.force_login(user)
    page = assert_page_clean(client.get("/"))
    shown = {one.step.code: one.url for one in setup.checklist(user) if one.url}
    assert set(shown) == turns
    assert set(shown.values()) <= set(page.links)
    assert {client.get(url).status_code for url in shown.values()} == {200}


def test_it_is_gone_after_the_first_card_and_for_auditors(scene, as_user, django_assert_num_queries):  # noqa: F811
    auditor = make_user("auditor")
    assert setup.checklist(auditor) == []
    scene.issue(scene.payout("4000.00", approve=True))
    manager = make_user("manager")
    manager.can("programs.edit")
    with django_assert_num_queries(1):
        assert setup.checklist(manager) == []
    assert "To the first card" not in as_user(manager).get("/").content.decode()
