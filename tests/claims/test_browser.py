"""In a real browser: a partner's person claims on a phone with a photo, a manager approves, the earning appears."""

import pytest

from incentives.claims.models import Claim
from tests.claims.scene import Scene, derive, photo

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_from_a_photo_on_a_phone_to_an_earning(new_page, sign_in):
    scene = Scene()
    phone = new_page(width=390, height=844, has_touch=True)
    sign_in(phone, scene.user)
    phone.goto("/me/claims/")
    phone.get_by_role("link", name="New claim").first.click()
    phone.get_by_role("button", name="Claim a sale").click()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    photos = phone.get_by_label("Take a photo")
    assert photos.get_attribute("capture") == "environment" and "image/jpeg" in photos.get_attribute("accept")
    photos.set_input_files({"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photo(size=(900, 600))})
    phone.get_by_label("Invoice number").fill("INV-77")
    phone.get_by_label("Sale date").fill("2026-07-01")
    phone.get_by_label("Total of the invoice").fill("1200.50")
    phone.get_by_label("Product number (SKU)").fill("LX-1")
    phone.get_by_label("Quantity").fill("2")
    phone.get_by_role("button", name="Add a product").click()
    phone.get_by_label("Product number (SKU)").nth(1).fill("LX-2")
    phone.get_by_role("button", name="Send", exact=True).click()
    phone.get_by_text(
        "Expected the name of the end customer."
    ).wait_for()  # the photo and what was typed are still there
    phone.get_by_role("button", name="Remove IMG_1.jpg").wait_for()
    assert phone.get_by_label("Product number (SKU)").nth(1).input_value() == "LX-2"
    phone.get_by_label("End customer").fill("Wayne Corp.")
    phone.get_by_role("button", name="Send", exact=True).click()
    phone.get_by_text("Nothing to do: somebody will look at it.").wait_for()

    desk = new_page()
    sign_in(desk, scene.manager)
    desk.goto("/claims/")
    desk.get_by_role("link", name="C-").click()
    shown = desk.get_by_role("img", name="Proof IMG_1.jpg")
    shown.scroll_into_view_if_needed()
    width = desk.locator(".proofs img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width == 900
    desk.get_by_role("link", name="Approve").click()
    desk.get_by_role("dialog").get_by_role("button", name="Approve").click()
    desk.get_by_text("is approved.").wait_for()
    derive()
    assert Claim.objects.get().status == "approved"
    phone.goto("/me/")
    phone.get_by_text("30.00").first.wait_for()
    phone.goto("/me/claims/")
    phone.get_by_text("Approved").first.wait_for()


def test_a_product_is_added_without_scripts_too(new_page, sign_in):
    scene = Scene()
    page = new_page(width=390, height=844, java_script_enabled=False)
    sign_in(page, scene.user)
    page.goto("/me/claims/new/")
    page.get_by_role("button", name="Claim a sale").click()
    page.get_by_label("End customer").fill("Wayne")
    page.get_by_label("Product number (SKU)").fill("LX-1")
    page.get_by_role("button", name="Add a product").click()
    page.get_by_label("Product number (SKU)").nth(1).fill("LX-2")
    page.get_by_role("button", name="Save for later").click()
    page.get_by_text("Saved. Send it when it is complete.").wait_for()
    assert [line.sku for line in Claim.objects.get().lines.all()] == ["LX-1", "LX-2"]
    assert Claim.objects.get().customer == "Wayne"
