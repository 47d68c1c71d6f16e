"""One journey in a real browser: a draft is reviewed by another manager, runs, changes from a day on, and a rep accepts its
terms on a phone. The new pages are accessible and fit at both widths."""

from datetime import date
from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from incentives.payouts import services as payouts
from incentives.programs import review, services, terms
from incentives.programs.models import Program, TermsAcceptance
from incentives.programs.services import TargetRow
from tests.factories import (
    deal,
    definition,
    make_budget,
    make_connection,
    make_participant,
    make_product,
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


def test_from_a_draft_to_accepted_terms(new_page, sign_in):
    maya, sam = make_user("manager", name="Maya"), make_user("manager", name="Sam")
    ana = make_participant("Ana", user=make_user("participant", name="Ana"))
    make_product()
    budget = make_budget(funded="20000.00")
    program = services.create_program(document=definition(name="Big bonus"), actor=maya, budget=budget)
    send(make_connection(), deal("D1", ana, "1000.00", occurred_at="2026-02-01T10:00:00Z"))
    desk = new_page()
    # the author asks, the second manager publishes
    sign_in(desk, maya)
    desk.goto(program.get_absolute_url())
    desk.get_by_role("link", name="Launch").click()
    desk.get_by_role("button", name="Ask for a review").click()
    expect(desk.get_by_text("A second manager is asked to review it.")).to_be_visible()
    sign_in(desk, sam)
    desk.goto("/")
    desk.get_by_role("link", name="Big bonus").first.click()
    desk.get_by_role("button", name="Publish").click()
    expect(desk.get_by_text("It is published, with you as its second manager.")).to_be_visible()
    # the terms
    sign_in(desk, maya)
    desk.goto(f"{program.get_absolute_url()}terms/")
    desk.get_by_role("link", name="Write the terms").click()
    desk.get_by_label("Title").fill("Bonus terms")
    desk.get_by_label("Text").fill("# Rules\n\nBe **fair**.")
    desk.get_by_role("button", name="Save as draft").click()
    desk.get_by_role("link", name="Publish text 1").click()
    desk.get_by_role("button", name="Publish the text").click()
    expect(desk.get_by_text("It never changes now.")).to_be_visible()
    # another version, from a day on: again with the second manager
    services.edit_draft(program=program, document=definition(name="Big bonus", caps={"deal": "10.00"}), actor=maya)
    desk.goto(f"{program.get_absolute_url()}launch/")
    desk.get_by_label("from a day on").check()
    desk.get_by_label("That day").fill("2026-01-15")
    desk.get_by_role("button", name="Show whom this changes").click()
    expect(desk.get_by_text("People who lose")).to_be_visible()
    expect(desk.get_by_role("cell", name="Ana")).to_be_visible()
    desk.get_by_role("button", name="Ask for a review").click()
    sign_in(desk, sam)
    desk.goto(f"{program.get_absolute_url()}review/")
    desk.get_by_role("button", name="Publish").click()
    version = Program.objects.get().newest_version
    assert (version.number, version.starts_at.date(), version.reviewed_by) == (2, date(2026, 1, 15), sam)
    # the rep accepts on a phone, and the payout is free
    send(make_connection())
    payout = payouts.build_payouts(program=Program.objects.get()).payouts[0]
    assert payout.holds.get().kind == "terms"
    phone = new_page(width=390, height=800, java_script_enabled=False)
    sign_in(phone, ana.user)
    phone.goto("/me/")
    phone.get_by_role("link", name="Read and accept").click()
    phone.get_by_label("I have read this text and accept it.").check()
    phone.get_by_role("button", name="Accept").click()
    expect(phone.get_by_text("You have accepted “Bonus terms”.")).to_be_visible()
    assert TermsAcceptance.objects.get().participant == ana
    assert payout.holds.get().lifted_at is not None


@pytest.fixture
def scene():
    """A running program with targets, people by name, terms and a draft, and one in review."""
    maya, ana = make_user("manager", name="Maya"), make_participant("Ana", started_on=date(2026, 8, 15))
    rep = make_user("participant", name="Rep")
    make_participant("Rep", user=rep)
    tiers = [{"type": "tiers", "of": "target", "tiers": [{"at": "100", "amount": "500.00"}]}]
    quota = make_program(name="Quota", manager=maya, period="quarter", rewards=tiers)
    services.set_targets(program=quota, rows=[TargetRow(ana, date(2026, 7, 1), Decimal(1000))], actor=maya)
    services.set_enrollment(program=quota, participant=ana, state="invited", reason="On loan", actor=maya)
    terms.save_terms(program=quota, title="Terms", body="# A\n\n- b\n- c", actor=maya)
    text = terms.publish_terms(program=quota, actor=maya)
    terms.save_terms(program=quota, title="Next", body="d", actor=maya)
    big = make_program(name="Big", manager=maya, funded="20000.00", launched=False)
    review.request_review(program=big, actor=maya)
    return {"maya": maya, "sam": make_user("manager"), "rep": rep, "quota": quota, "big": big, "text": text}


@pytest.mark.parametrize(("width", "colors"), [(1280, "light"), (390, "dark")])
def test_the_pages_are_accessible_and_fit(new_page, sign_in, scene, width, colors):
    page, at = new_page(width=width, colors=colors), scene["quota"].get_absolute_url()
    parts = [
        "people/?tab=all", "people/add/", "people/import/", "terms/", "terms/edit/", "terms/publish/", "terms/people/",
        "targets/grid/?from=2026-07-01", "targets/prorate/?period=2026-07-01", "targets/history/", "versions/",
    ]  # fmt: skip
    addresses = {
        "maya": [*(at + part for part in parts), f"{scene['big'].get_absolute_url()}review/"],
        "sam": [f"{scene['big'].get_absolute_url()}review/", "/programs/review-limits/"],
        "rep": ["/me/", "/me/terms/", f"/me/terms/{scene['text'].public_id}/"],
    }
    found = []
    for who, places in addresses.items():
        sign_in(page, scene[who])
        for address in places:
            response = page.goto(address)
            page.wait_for_load_state("networkidle")
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            result = Axe().run(page, options=RULES).response
            found += [f"{address} {item['id']}: {item['nodes'][0]['html'][:150]}" for item in result["violations"]]
            found += [f"{address} too wide"] if wide > 0 else []
            found += [] if response.ok else [f"{address} {response.status}"]
    assert found == []
