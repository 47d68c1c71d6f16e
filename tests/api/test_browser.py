"""In a real browser: a token is made and revoked, and every page fits a phone, light and dark."""

import os
import re

import pytest

from incentives.api.models import ApiToken
from tests.api.conftest import machine_for, token_for
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PICTURES = os.environ.get("LAUREL_PICTURES", "")


def test_a_manager_makes_and_revokes_a_token(page, sign_in):
    sign_in(page, make_user("manager"))
    page.goto("/profile/")
    page.get_by_role("link", name="My API tokens").click()
    page.get_by_role("link", name="New token").first.click()
    page.get_by_label("Name").fill("Nightly export")
    page.get_by_label("Read programs and their versions").check()
    page.get_by_role("button", name="Make the token").click()
    page.get_by_text(re.compile("lrl_[A-Za-z0-9_-]{43}")).first.wait_for()
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("Revoked. The token opens nothing any more.").wait_for()
    assert ApiToken.objects.get().status == "revoked"


@pytest.mark.parametrize(("width", "colors"), [(1280, "light"), (390, "dark")])
def test_every_page_fits(new_page, sign_in, width, colors):
    administrator = make_user("administrator")
    machine = machine_for(administrator, "participants:read", "programs:read", "payouts:build", name="ERP nightly sync")
    token_for(administrator, "participants:read", name="My own script")
    screen = new_page(width=width, colors=colors)
    sign_in(screen, administrator)
    for name, path in {
        "own": "/profile/tokens/", "new": "/profile/tokens/new/", "all": "/tokens/", "one": f"/tokens/{machine.token.public_id}/",
        "docs": "/api/v1/docs",
    }.items():  # fmt: skip
        screen.goto(path)
        if PICTURES:
            screen.screenshot(path=f"{PICTURES}/{name}-{width}-{colors}.png")
        wide = screen.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, (path, wide)
