"""In a real browser: finance approves one and many, a rep reveals a claim link on a phone."""

import re

import pytest

from incentives.payouts.models import Hold, Payout
from rewards.models import CardReveal
from tests.factories import make_participant
from tests.payouts.scene import ANSWER, LINK, LINKS, Scene
from tests.payouts.test_pages_access import overpaid

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_finance_approves_one_then_rejects_one_in_a_dialog_then_approves_the_rest(page, sign_in):
    scene = Scene()
    program = scene.program()
    for number in range(4):
        scene.payout("5000.00", program=program, rep=make_participant(f"Rep {number}"))
    sign_in(page, scene.finance)
    page.goto("/payouts/")
    page.get_by_role("link", name="Rep 0").click()
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Approved: 100.00 USD for Rep 0 will be ordered.").wait_for()
    page.goto("/payouts/")
    page.get_by_role("link", name="Rep 1").click()
    page.get_by_role("link", name="Reject").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Wrong quarter")
    dialog.get_by_role("button", name="Reject").click()
    page.get_by_text("Rejected. The amount is due again.").wait_for()
    page.goto("/payouts/")
    page.get_by_label("Tick all rows of this page").check()
    page.get_by_text(re.compile(r"2 ticked.*200\.00")).wait_for()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="Approve 2 payouts?").wait_for()
    page.get_by_role("button", name="Approve all 2 payouts").click()
    page.get_by_role("heading", name="2 payouts approved").wait_for()
    found = sorted(Payout.objects.values_list("recipient_name", "status"))
    assert found == [("Rep 0", "approved"), ("Rep 1", "rejected"), ("Rep 2", "approved"), ("Rep 3", "approved")]


def test_a_rep_reveals_a_claim_link_on_a_phone(new_page, sign_in):
    scene = Scene()
    scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    page = new_page(width=390, height=844)
    sign_in(page, scene.rep_user)
    page.goto("/me/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert LINK not in page.content()
    page.get_by_role("button", name="Show my card").click()
    link = page.get_by_role("link", name="Open the card")
    assert link.get_attribute("href") == LINK and link.get_attribute("rel") == "noopener noreferrer"
    assert ANSWER in page.content()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert CardReveal.objects.count() == 1
    page.goto("/me/")
    assert LINK not in page.content()


def test_finance_lifts_holds_and_two_people_write_off_what_was_paid_too_much(page, sign_in):
    scene = Scene()
    proposal = overpaid(scene)
    make_participant("Double", email="ana+two@example.com")
    program = scene.program()
    for _ in range(2):
        scene.payout("5000.00", program=program)
    sign_in(page, scene.finance)
    page.goto("/payouts/holds/")
    page.get_by_label("Tick all rows of this page").check()
    page.get_by_role("button", name="Lift").click()
    page.get_by_role("heading", name="Lift 2 holds?").wait_for()
    page.get_by_label("Reason").fill("Two accounts of one person")
    page.get_by_role("button", name="Lift").click()
    page.get_by_text("2 holds lifted.").wait_for()
    page.goto("/payouts/recovery/")
    page.get_by_role("link", name="Ana Ruiz").click()
    page.get_by_role("link", name="Look at it").click()
    page.get_by_role("button", name="Write off").click()
    page.get_by_text("It no longer reduces later payouts.").wait_for()
    proposal.refresh_from_db()
    assert (proposal.status, proposal.decided_by) == ("approved", scene.finance)
    assert Hold.objects.filter(lifted_at__isnull=True).count() == 0
