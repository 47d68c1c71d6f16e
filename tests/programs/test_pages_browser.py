"""The pages of programs and budgets in a real browser: accessible on a phone and a desk, and whole without scripts."""

from datetime import date
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from incentives.crm.models import ObjectState
from incentives.programs import services
from incentives.programs.models import Program, Target
from incentives.programs.services import TargetRow
from tests.factories import (
    deal,
    definition,
    make_budget,
    make_connection,
    make_participant,
    make_program,
    make_user,
    send,
)
from tests.support.flush import allow_flush_of_append_only_tables

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(autouse=True)
def flushable(chromium, transactional_db):
    """The browser's event loop gives this thread another database connection than the one prepared for flushing."""
    allow_flush_of_append_only_tables()


@pytest.fixture
def quota():
    """A program with a target, an earning, a correction, two exceptions and a draft beside the published version."""
    manager, ana, crm = (
        make_user("manager", name="Maya"),
        make_participant("Ana", external_user_id="U-1"),
        make_connection(),
    )
    tiers = [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}]
    document = {"name": "Quota", "period": "quarter", "rewards": [*tiers, {"type": "percent", "rate": "1"}]}
    program = make_program(manager=manager, budget=make_budget(funded="900.00", name="FY26"), **document)
    services.set_targets(program=program, rows=[TargetRow(ana, date(2026, 7, 1), Decimal(1000))], actor=manager)
    send(
        crm,
        deal("D1", ana, "1500.00"),
        deal("D2", make_participant("Ben"), "100.00"),
        deal("D3", ana, "5.00", currency="EUR"),
    )
    send(crm, deal("D1", ana, "1200.00", version=2))
    services.edit_draft(program=program, document=definition(**document, caps={"deal": "5.00"}), actor=manager)
    return program


def problems(page, address: str) -> list[str]:
    response = page.goto(address)
    page.wait_for_load_state("networkidle")
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    result = Axe().run(page, options=RULES).response
    found = [f"{address} {item['id']}: {item['nodes'][0]['html'][:150]}" for item in result["violations"]]
    return (
        found
        + ([f"{address} too wide"] if wide > 0 else [])
        + ([] if response.ok else [f"{address} {response.status}"])
    )


@pytest.mark.parametrize(("width", "colors"), [(1280, "light"), (390, "dark")])
def test_the_pages_are_accessible_and_fit(new_page, sign_in, quota, width, colors):
    page = new_page(width=width, colors=colors)
    at, why = quota.get_absolute_url(), ObjectState.objects.get(object_id="D1").public_id
    sign_in(page, quota.owner)
    parts = [
        "",
        "participants/",
        "earnings/",
        "targets/",
        "targets/import/",
        "exceptions/",
        "versions/",
        "edit/",
        "launch/",
        "pause/",
    ]
    found = [
        p
        for address in ["/programs/", "/programs/new/", *(at + part for part in parts)]
        for p in problems(page, address)
    ]
    found += problems(page, f"/activities/{why}/why/")
    sign_in(page, quota.budget.owner)
    for address in ("/budgets/", quota.budget.get_absolute_url(), f"{quota.budget.get_absolute_url()}fund/"):
        found += problems(page, address)
    assert found == []


def test_the_program_page_fetches_its_exceptions(page, sign_in, quota):
    sign_in(page, quota.owner)
    page.goto(quota.get_absolute_url())
    expect(page.get_by_role("link", name="Look at 2 exceptions")).to_be_visible()


def test_a_program_is_written_launched_and_given_targets_without_scripts(new_page, sign_in):
    manager = make_user("manager")
    make_budget(name="FY26")
    make_participant("Ana", external_user_id="U-1")
    page = new_page(java_script_enabled=False)
    sign_in(page, manager)
    page.goto("/programs/")
    page.get_by_role("link", name="New program").first.click()
    page.get_by_text("Quarterly target tiers").click()
    page.get_by_label("Name").fill("My tiers")
    page.get_by_label("Budget").select_option(label="FY26 (USD)")
    page.get_by_role("button", name="Check, and say what it means").click()
    expect(page.get_by_text("Pays a fixed amount by the amount per quarter")).to_be_visible()
    page.get_by_role("button", name="Save as draft").click()
    page.get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_text("My tiers is scheduled")).to_be_visible()
    page.get_by_role("link", name="Targets").click()
    page.get_by_role("link", name="Import a file").click()
    program = Program.objects.get()
    page.get_by_label("Or paste the lines").fill(f"participant,period_start,value\nU-1,{program.starts_on},5000\n")
    page.get_by_role("button", name="Look at the rows").click()
    page.get_by_role("button", name="Set 1 target").click()
    expect(page.get_by_text("1 target is set.")).to_be_visible()
    assert Target.objects.get().value == Decimal(5000)
