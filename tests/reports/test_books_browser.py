"""The books in a real browser: accounts are given, a month is closed, its journal is made; everything is asked for."""

from datetime import date

import pytest
from playwright.sync_api import expect

from incentives.payouts import services
from incentives.reports import export_services
from tests.ledger.test_rate_pages_browser import looked_at

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def look(page, name: str) -> None:
    """Once the page and its style have arrived: a click does not wait for them."""
    page.wait_for_load_state("load")
    looked_at(page, name)


@pytest.mark.parametrize(("width", "colors"), [(1280, "light"), (390, "dark")])
def test_a_month_becomes_a_journal_and_everything_a_file(new_page, sign_in, books, settings, tmp_path, width, colors):
    settings.MEDIA_ROOT = tmp_path
    finance = books.scene.finance
    services.close_month(month=date(2026, 5, 1), actor=finance)
    page = new_page(width=width, colors=colors, reduced_motion="reduce")  # a colour on its way is no colour
    sign_in(page, finance)
    page.goto("/reports/journal/")
    look(page, f"{width}-journal-unmapped")
    page.goto("/reports/journal/final/new/")
    page.get_by_role("button", name="Make the journal").click()
    expect(page.get_by_text("have no account").first).to_be_visible()
    page.goto("/reports/journal/accounts/")
    look(page, f"{width}-accounts-empty")
    page.get_by_role("link", name="Use the proposal").first.click()
    page.get_by_role("button", name="Use the proposal").click()
    expect(page.get_by_text("10 accounts were added.")).to_be_visible()
    look(page, f"{width}-accounts")
    page.goto("/reports/journal/final/new/")
    page.get_by_role("button", name="Make the journal").click()
    expect(page.get_by_role("heading", name="Journal 2026-05/1")).to_be_visible()
    look(page, f"{width}-final")
    page.goto("/reports/accrual/?month=2026-06")
    look(page, f"{width}-accrual")
    page.goto("/reports/export/")
    page.get_by_role("link", name="Export everything").click()
    expect(page.get_by_role("heading", name="Export everything?")).to_be_visible()
    look(page, f"{width}-export-new")
    page.get_by_role("button", name="Export everything").click()
    expect(page.get_by_text("waits for a worker")).to_be_visible()
    assert export_services.carry_on() == 1
    expect(page.get_by_role("link", name="Fetch the file")).to_be_visible(timeout=10_000)  # the page asks by itself
    with page.expect_download() as download:
        page.get_by_role("link", name="Fetch the file").click()
    page.wait_for_load_state("networkidle")
    assert download.value.suggested_filename.startswith("laurel-export-")
    look(page, f"{width}-export")
