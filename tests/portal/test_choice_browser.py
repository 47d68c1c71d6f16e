"""In a real browser: a rep is told, chooses on a phone with the keyboard alone, changes it, and gets what was chosen."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from incentives.payouts.models import Payout, RewardPreference
from tests.payouts.scene import TWO, Scene
from tests.support.flush import allow_flush_of_append_only_tables

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(autouse=True)
def flushable(chromium, transactional_db):
    """The browser's event loop gives this thread another database connection than the one prepared for flushing."""
    allow_flush_of_append_only_tables()


@pytest.fixture
def scene(db) -> Scene:
    scene = Scene()
    scene.second_product("BOOKS", name="Bluebird Books", description="Good in every shop. " * 12)
    scene.second_product("TRAVEL", name="Staywell Hotels")
    scene.chosen = scene.payout(program=scene.program(name="Free choice", delivery=TWO | {"products": "any"}))
    return scene


def assert_accessible_and_fits(page, width: int = 390) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def press_until(page, key: str, locator, most: int = 60) -> None:
    """Move the focus with one key until it stands on `locator`."""
    for _ in range(most):
        if locator.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {locator}")


@pytest.mark.parametrize("colors", ["light", "dark"])
def test_a_rep_chooses_with_the_keyboard_on_a_phone_and_finance_approves_it(scene, new_page, sign_in, colors):
    phone = new_page(width=390, height=844, colors=colors)
    sign_in(phone, scene.rep_user)
    phone.goto("/me/")
    expect(phone.get_by_text("A reward waits: choose which card it becomes.")).to_be_visible()
    assert_accessible_and_fits(phone)
    press_until(phone, "Tab", phone.get_by_role("link", name="Choose your reward"))
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("heading", name="Choose your reward")).to_be_visible()
    expect(phone.get_by_text("Not chosen yet.")).to_be_visible()
    expect(phone.get_by_text("Otherwise you get Bluebird Books.")).to_be_visible()
    assert_accessible_and_fits(phone)
    # without a card ticked nothing is sent: the browser asks first
    button = phone.get_by_role("button", name="Choose this card")
    first = phone.get_by_role("radio", name="Bluebird Books")
    press_until(phone, "Tab", first)
    phone.keyboard.press("Space")
    phone.keyboard.press("ArrowDown")
    phone.keyboard.press("ArrowDown")
    expect(phone.get_by_role("radio", name="Staywell Hotels")).to_be_checked()
    press_until(phone, "Tab", phone.get_by_label("Always send me this card"))
    phone.keyboard.press("Space")
    press_until(phone, "Tab", button)
    phone.keyboard.press("Enter")
    expect(phone.get_by_text("You get Staywell Hotels.")).to_be_visible()
    assert_accessible_and_fits(phone)
    payout = Payout.objects.get()
    assert (payout.product_code, payout.choice.how, payout.choice.chosen_by) == ("TRAVEL", "recipient", scene.rep_user)
    assert RewardPreference.objects.get().product_code == "TRAVEL"
    # changed, by the whole card as a target
    phone.get_by_role("link", name="Change the card").click()
    expect(phone.get_by_text("Now it is Staywell Hotels")).to_be_visible()
    phone.get_by_text("Good in every shop.").click()
    phone.get_by_role("button", name="Change the card").click()
    expect(phone.get_by_text("You get Bluebird Books.")).to_be_visible()
    phone.get_by_role("button", name="Ask me again").click()
    expect(phone.get_by_text("New rewards ask you again.")).to_be_visible()
    assert not RewardPreference.objects.exists()

    desk = new_page(colors=colors)
    sign_in(desk, scene.finance)
    desk.goto(payout.get_absolute_url())
    expect(desk.get_by_text("Chosen by the recipient")).to_be_visible()
    assert_accessible_and_fits(desk, 1280)
    desk.get_by_role("button", name="Approve").click()
    expect(desk.get_by_text("will be ordered.")).to_be_visible()
    payout.refresh_from_db()
    assert payout.order.product.product_id == "BOOKS"
    phone.goto(f"/me/choices/{payout.public_id}/")
    expect(phone.get_by_text("It is Bluebird Books.")).to_be_visible()
    expect(phone.get_by_text("It cannot be changed any more")).to_be_visible()
    assert_accessible_and_fits(phone)


def test_it_works_without_scripts(scene, new_page, sign_in):
    phone = new_page(width=390, height=844, java_script_enabled=False)
    sign_in(phone, scene.rep_user)
    phone.goto("/me/choices/")
    phone.get_by_role("link", name="Choose a card").click()
    phone.get_by_label("Staywell Hotels").check()
    phone.get_by_role("button", name="Choose this card").click()
    expect(phone.get_by_text("You get Staywell Hotels.")).to_be_visible()
    assert Payout.objects.get().product_code == "TRAVEL"


def test_staff_choose_for_somebody_and_see_the_hold_with_its_evidence(scene, new_page, sign_in):
    desk = new_page()
    sign_in(desk, scene.finance)
    desk.goto("/payouts/holds/?tab=waiting")
    desk.get_by_role("link", name="Ana Ruiz").click()
    expect(desk.get_by_text("Sent otherwise")).to_be_visible()
    assert_accessible_and_fits(desk, 1280)
    desk.get_by_role("link", name="Show the payout").click()
    desk.get_by_role("link", name="Choose for the recipient").click()
    desk.get_by_label("Staywell Hotels").check()
    desk.get_by_label("Reason").fill("She asked me on the phone")
    assert_accessible_and_fits(desk, 1280)
    desk.get_by_role("button", name="Choose").click()
    expect(desk.get_by_text("It becomes Staywell Hotels.")).to_be_visible()
    expect(desk.get_by_text("Not by you, because you chose its card for the recipient.").first).to_be_visible()
    assert Payout.objects.get().choice.how == "staff"
