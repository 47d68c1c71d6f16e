"""In a real browser: a transfer is proposed by one and approved by another; a deposit is entered and orders are resumed."""

import pytest

from incentives.ledger.selectors import budget_figures
from rewards.models import Channel, RewardOrder
from tests.factories import make_budget, usd
from tests.payouts.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_one_proposes_a_transfer_and_another_approves_it(page, new_page, sign_in):
    scene = Scene()
    company, region = make_budget(name="Company", funded="1000.00"), make_budget(name="EMEA")
    sign_in(page, scene.finance)
    page.goto(region.get_absolute_url())
    page.get_by_role("link", name="Place").click()
    page.get_by_label("Under").select_option("Company")
    page.get_by_role("button", name="Place").click()
    page.get_by_text("Placed.").wait_for()
    page.goto(company.get_absolute_url())
    page.get_by_role("link", name="Transfer").click()
    page.get_by_label("To").select_option("EMEA")
    page.get_by_label("Amount").fill("400")
    page.get_by_label("Reason").fill("Second half")
    page.get_by_role("button", name="Propose").click()
    page.get_by_text("Proposed. It moves once another person").wait_for()
    other = new_page(width=390, height=844)
    sign_in(other, scene.other)
    other.goto("/")
    other.get_by_role("link", name="from Company to EMEA").click()
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    other.get_by_role("link", name="Approve").click()
    other.get_by_role("button", name="Approve").click()
    other.get_by_text("Approved: the money has moved.").wait_for()
    left = budget_figures([company, region])
    assert (left[company.pk].available, left[region.pk].available) == (usd("600.00"), usd("400.00"))
    other.goto(company.get_absolute_url())
    other.get_by_text("Show the numbers").click()
    assert other.evaluate("document.documentElement.scrollWidth") <= 390


def test_finance_enters_a_deposit_and_resumes(page, sign_in):
    scene = Scene()
    order = scene.payout(approve=True).order
    RewardOrder.objects.update(state="unfunded", next_attempt_at=None)
    Channel.objects.update(state="paused", code="funding")
    sign_in(page, scene.finance)
    page.goto("/reports/deposits/")
    page.get_by_role("link", name="Enter a deposit and resume").click()
    assert page.get_by_label("Resume 1 order that waits for funds").is_checked()
    page.get_by_label("Amount").fill("500.00")
    page.get_by_label("Reference").fill("WIRE 7")
    page.get_by_role("button", name="Enter").click()
    page.get_by_text("1 order is sent again.").wait_for()
    order.refresh_from_db()
    assert (Channel.objects.get().state, order.next_attempt_at is not None) == ("open", True)
