"""In a real browser: a manager's board refreshes by itself, and a rep's own row stays in view on a phone."""

import pytest

from incentives.earnings import board_views
from incentives.portal import board_views as portal_views
from tests.earnings.test_contests import close, contest, receive
from tests.factories import deal, make_connection, make_participant, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def quick_refresh(monkeypatch):
    monkeypatch.setattr(board_views, "REFRESH_SECONDS", 1)
    monkeypatch.setattr(portal_views, "REFRESH_SECONDS", 1)


def test_a_manager_watches_the_board_change_then_reads_the_sealed_history(page, sign_in, quick_refresh):
    crm, people = make_connection(), [make_participant(f"{n} Rep") for n in ("Ana", "Bob", "Cyd", "Dee")]
    program = contest(name="Sprint")
    receive(crm, *[deal(f"D{n}", p, f"{400 - n}.00") for n, p in enumerate(people)])
    sign_in(page, make_user("manager"))
    page.goto(f"/programs/{program.public_id}/")
    page.get_by_role("link", name="Leaderboard").click()
    page.locator(".podium .place-1").get_by_text("Ana Rep").wait_for()
    receive(crm, deal("D9", people[3], "900.00"))
    page.locator(".podium .place-1").get_by_text("Dee Rep").wait_for()  # nobody touched the page
    page.locator("main").get_by_role("searchbox").fill("cyd")
    page.get_by_text("1\u20131 of 1").wait_for()
    close(program)
    page.goto(f"/programs/{program.public_id}/leaderboard/")
    page.get_by_role("heading", name="Sealed 6 Aug 2026").wait_for()
    page.get_by_role("link", name="History and evidence").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Evidence (JSON)").click()
    assert download.value.suggested_filename == "standing-1-revision-1.json"


def test_a_reps_own_row_stays_in_view_on_a_phone(new_page, sign_in, quick_refresh):
    crm, people = make_connection(), [make_participant(f"R{n:02d} Rep") for n in range(24)]
    contest(name="Sprint")
    receive(crm, *[deal(f"D{n}", p, f"{400 - n}.00") for n, p in enumerate(people)])
    people[20].user = make_user("participant")
    people[20].save()
    page = new_page(width=390, height=560)
    sign_in(page, people[20].user)
    page.goto("/me/boards/")
    page.get_by_role("link", name="Individual contest").click()
    own = page.locator(".ranking .me")
    own.get_by_text("R20 Rep").wait_for()
    page.locator(".ranking").evaluate("list => list.scrollIntoView({block: 'start'})")
    box = own.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 560
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    receive(crm, deal("D99", people[20], "900.00"))
    page.get_by_text("leads by").first.wait_for()
