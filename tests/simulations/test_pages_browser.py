"""The journey: from a draft over the comparison to the launch."""

import pytest
from playwright.sync_api import expect

from incentives.programs import services as programs
from incentives.simulations import services
from tests.factories import deal, definition, make_connection, make_participant, make_program, make_user, send

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_a_draft_is_tried_compared_and_taken_to_its_launch(page, sign_in):
    manager = make_user("manager")
    ana, ben = make_participant("Ana"), make_participant("Ben")
    program = make_program(name="Deal bonus", manager=manager, funded="500.00")
    send(make_connection(), deal("D1", ana, "1000.00"), deal("D2", ben, "8000.00"))
    document = definition(name="Deal bonus", rewards=[{"type": "percent", "rate": "3"}])
    programs.edit_draft(program=program, document=document, actor=manager)
    sign_in(page, manager)
    page.goto(program.get_absolute_url())
    page.get_by_role("link", name="Simulate").click()
    page.get_by_text("Try a changed copy beside it").click()
    copy = page.get_by_label("A changed copy of the first")
    copy.fill(copy.input_value().replace('"3"', '"4"'))
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_text("It waits for a worker")).to_be_visible()
    services.carry_on()  # what the worker does; the page asks by itself
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
    expect(page.get_by_role("row", name="Cost 180.00 USD 270.00 USD 360.00 USD")).to_be_visible()
    page.get_by_role("link", name="B: Deal bonus (changed)").click()
    expect(page.get_by_text("140.00 USD left").first).to_be_visible()
    page.get_by_role("link", name="All people").click()
    page.get_by_role("link", name="Ben").click()
    expect(page.get_by_text("4 % of 8,000.00 = 320.00")).to_be_visible()
    page.go_back()
    page.go_back()
    page.get_by_role("link", name="Use B").click()
    expect(page.get_by_text("It replaces draft version 2 of Deal bonus")).to_be_visible()
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("heading", name="Publish version 2 of Deal bonus?")).to_be_visible()
    assert program.versions.get(number=2).definition["rewards"][0]["rate"] == "4"
