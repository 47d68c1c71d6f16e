"""Exchange rates in a real browser: a file is looked at, set, and one rate of it is changed."""

import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.factories import make_user
from tests.ledger.test_rate_pages import FILE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def looked_at(page, name: str) -> None:
    assert Axe().run(page, options=RULES).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize(("width", "colors"), [(1280, "light"), (390, "dark")])
def test_a_file_of_rates_is_looked_at_and_set_and_a_rate_changed(new_page, sign_in, width, colors):
    page = new_page(width=width, colors=colors)
    sign_in(page, make_user("finance", name="Fay", password="correct horse battery"))
    page.goto("/reports/rates/")
    looked_at(page, f"{width}-empty")
    page.goto("/reports/rates/import/")
    page.get_by_label("Or paste the lines").fill(FILE + "EUR;USD;2026-07-31;;1.1;ECB\n")
    page.get_by_role("button", name="Look at the rows").click()
    expect(page.get_by_text("1 of 3 rows cannot be set")).to_be_visible()
    looked_at(page, f"{width}-bad")
    page.get_by_label("Or paste the lines").fill(FILE)
    page.get_by_role("button", name="Look at the rows").click()
    expect(page.get_by_role("button", name="Set 2 rates")).to_be_visible()
    looked_at(page, f"{width}-preview")
    page.get_by_role("button", name="Set 2 rates").click()
    expect(page.get_by_text("2 rates are added.")).to_be_visible()
    looked_at(page, f"{width}-list")
    page.get_by_role("link", name="GBP → USD").click()
    expect(page.get_by_role("button", name="Save")).to_be_visible()
    looked_at(page, f"{width}-edit")
    page.get_by_label("Rate").fill("1.28")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("1.28").first).to_be_visible()
