"""In a real browser: a rep asks from the page that explains an amount, a manager answers with a correction, the rep reads it;
a manager gives an award and finance approves it."""

import pytest

from incentives.awards.models import Award
from incentives.disputes.models import Dispute
from incentives.payouts import services as payouts
from incentives.payouts.models import Payout
from tests.awards.conftest import Pots, settle
from tests.disputes.conftest import Desk
from tests.payouts.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_from_the_question_on_a_phone_to_the_correction_and_back(new_page, sign_in):
    desk = Desk(Scene())
    phone = new_page(width=390, height=844)
    sign_in(phone, desk.rep)
    phone.goto("/me/")
    phone.get_by_role("link", name="2 % of 5,000.00 = 100.00").click()
    phone.get_by_role("heading", name="How was this earned?").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.get_by_role("link", name="Question this").click()
    phone.get_by_label("What do you think is wrong?").fill("The deal was 7,000")
    phone.get_by_role("button", name="Send").click()
    phone.get_by_text("Sent. You will find the answer here.").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    desk.fix()
    page = new_page()
    sign_in(page, desk.manager)
    page.goto("/disputes/")
    page.get_by_role("link", name="deal D1").click()
    page.get_by_text("Worth 140.00").wait_for()
    page.locator("#correct_correction").select_option(label="Deal updated: deal D1")
    page.locator("#correct_text").fill("You were right, the record is corrected")
    page.get_by_role("button", name="Close as corrected").click()
    page.get_by_text("Closed as corrected.").wait_for()
    phone.goto("/me/")
    phone.get_by_role("link", name="1 of your questions has news").click()
    phone.get_by_role("link", name="deal D1").click()
    phone.get_by_text("You were right, the record is corrected").wait_for()
    assert Dispute.objects.get().difference.minor == 4000


def test_a_manager_gives_an_award_and_finance_approves_it(page, sign_in, new_page):
    scene = Scene()
    pots = Pots(scene)
    program = pots.make()
    sign_in(page, scene.manager)
    page.goto("/awards/give/")
    page.get_by_label("Who").press_sequentially("Ruiz")
    page.get_by_label("Ana Ruiz").check()
    page.get_by_label("Amount").fill("75")
    page.get_by_label("Reason").fill("Saved the Acme renewal")
    page.get_by_role("button", name="Give the award").click()
    page.get_by_text("Given: 75.00 USD for Ana Ruiz").wait_for()
    settle()
    payouts.build_payouts(program=program)
    finance = new_page()
    sign_in(finance, scene.finance)
    finance.goto("/payouts/")
    finance.get_by_role("link", name="Ana Ruiz").click()
    finance.get_by_role("button", name="Approve").click()
    finance.get_by_text("Approved: 75.00 USD for Ana Ruiz will be ordered.").wait_for()
    assert (Award.objects.get().status, Payout.objects.get().status) == ("given", "approved")
