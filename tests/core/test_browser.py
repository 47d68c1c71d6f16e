"""The pages in a real browser: accessible in both themes and on a phone, live with scripts, whole without them."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from incentives.accounts import services
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
PASSWORD = "correct horse battery"


@pytest.fixture
def admin():
    user = make_user("administrator", name="Zoe Admin", email="zoe@example.com", password=PASSWORD)
    for n in range(30):
        services.invite(email=f"p{n:02}@example.com", name=f"Person {n:02}", roles={"finance"}, actor=user)
    return user


def violations(page) -> list[str]:
    result = Axe().run(page, options=RULES).response
    assert len(result["passes"]) > 5  # axe looked at the page
    return [f"{page.url} {found['id']}: {found['nodes'][0]['html'][:120]}" for found in result["violations"]]


def too_wide(page) -> int:
    return max(0, page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize(("width", "colors"), [(1280, "light"), (390, "dark")])
def test_pages_are_accessible_and_fit(new_page, sign_in, admin, settings, width, colors):
    settings.DEMO_SIGN_INS = [("Finance lead", "fin@example.com", "x")]
    page = new_page(width=width, colors=colors)
    found = []
    for address in ("/accounts/login/", "/accounts/password/reset/", "/nothing/"):
        page.goto(address)
        found += violations(page) + ([f"{address} too wide"] if too_wide(page) else [])
    sign_in(page, admin)
    event = "/audit/1/"
    for address in (
        "/",
        "/styleguide/",
        "/audit/",
        "/audit/?since=x",
        event,
        "/people/",
        f"/people/{admin.public_id}/",
        "/people/invite/",
        "/profile/",
    ):
        page.goto(address)
        found += violations(page) + ([f"{address} too wide"] if too_wide(page) else [])
    assert found == []


def test_open_menus_and_dialogs_are_accessible(new_page, sign_in, admin):
    page = new_page(width=390)
    sign_in(page, admin)
    page.goto("/people/")
    page.get_by_text("Menu", exact=True).click()
    found = violations(page)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.get_by_text("Filters", exact=True).click()
    found += violations(page)
    page.goto("/styleguide/")
    page.get_by_text("Reject with a reason").click()
    page.wait_for_selector("dialog[open]")
    assert found + violations(page) == []


def test_typing_in_the_search_box_narrows_the_list_and_keeps_the_focus(page, sign_in, admin):
    sign_in(page, admin)
    page.goto("/people/?per=50&sort=-name")
    page.keyboard.press("/")
    page.keyboard.type("person 07", delay=20)
    expect(page.locator("tbody tr")).to_have_count(1)
    assert page.evaluate("document.activeElement.id") == "list-q"
    expect(page.locator("#announce")).to_have_text("1 row")
    assert "q=person%2007" in page.url and "sort=-name" in page.url and "per=50" in page.url
    assert "state=" not in page.url


def test_sorting_and_paging_refresh_the_table_and_back_goes_back(page, sign_in, admin):
    sign_in(page, admin)
    page.goto("/people/")
    page.click("#page-next")
    page.wait_for_url("**/people/?page=2")
    expect(page.locator("tbody tr")).to_have_count(6)
    page.click("#sort-name")
    page.wait_for_url("**/people/?sort=-name")
    expect(page.locator("tbody tr").first).to_contain_text("Zoe Admin")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(6)
    assert page.locator("nav.nav").count() > 0


def test_everything_works_without_scripts(new_page, admin):
    page = new_page(width=390, java_script_enabled=False)
    page.goto("/people/")
    page.get_by_label("Email").fill("zoe@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Name or e-mail address").fill("person 1")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(12)  # 01, 10 to 19, 21
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("State").select_option("inactive")
    page.get_by_role("button", name="Apply").click()
    page.get_by_text("Clear search and filters").click()
    page.get_by_text("Menu", exact=True).click()
    page.locator(".top").get_by_role("link", name="Audit trail").click()
    expect(page.locator("h1")).to_have_text("Audit trail")
    page.get_by_text("Menu", exact=True).click()
    page.locator(".top").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")


def test_ticking_rows_adds_up_their_money(page, sign_in, admin):
    sign_in(page, admin)
    page.goto("/styleguide/")
    output = page.locator("output[data-bulk-count]")
    assert output.text_content() == "Nothing ticked"
    page.locator("[data-bulk]").nth(0).check()
    page.locator("[data-bulk]").nth(3).check()
    assert output.text_content() == "2 ticked · 207.50\xa0USD"
    page.locator("[data-bulk-all]").check()
    assert output.text_content() == "5 ticked · 13,757.50\xa0USD"
