"""Who may open which page of notifications, every role times every address; and that posts of others write nothing."""

import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from incentives.notifications import unsubscribe
from incentives.notifications.models import ChannelEndpoint, Delivery, Preference, Recipient
from tests.factories import make_user
from tests.notifications.conftest import NEWS, make_endpoint
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#                               M    F    P    PA   A    AU   SU   none
VIEW = "                        404  404  404  404  200  200  200  404"
EDIT = "                        404  404  404  404  200  404  200  404"
ALL = "                         200  200  200  200  200  200  200  200"
GETS = {
    "notifications:log": VIEW,
    "notifications:delivery": VIEW,
    "notifications:again": EDIT,
    "notifications:channels": VIEW,
    "notifications:channel-new": EDIT,
    "notifications:channel-edit": EDIT,
    "notifications:channel-test": EDIT,
    "notifications:channel-off": EDIT,
    "notifications:channel-on": EDIT,
    "notifications:mine": ALL,
    "notifications:unsubscribe": ALL,
}


@pytest.fixture
def users(db):
    found = {role: make_user(role) for role in ROLES if role not in {"superuser", "norole"}}
    found["superuser"] = make_user("administrator", is_superuser=True, is_staff=True)
    return found | {"norole": make_user()}


@pytest.fixture
def addresses(users):
    told = Recipient.objects.create(ref="user:0", name="Ann Lee")
    failed = Delivery.objects.create(
        channel="email", recipient=told, kind=NEWS, count=1, status="failed", ended_at=timezone.now(),
        last_error="SMTPDataError 554", address="a…@example.com",
    )  # fmt: skip
    channel = make_endpoint("https://example.com/x")
    keys = {
        "delivery": [failed.public_id], "again": [failed.public_id],
        "unsubscribe": [unsubscribe.path_for(told, [NEWS]).split("/")[-2]],
    }  # fmt: skip
    keys |= {name: [channel.public_id] for name in ("channel-edit", "channel-test", "channel-off", "channel-on")}
    return {name: reverse(name, args=keys.get(name.split(":")[1], [])) for name in GETS}


def test_every_address_stands_in_the_table():
    known = {
        f"notifications:{name}"
        for name in get_resolver("incentives.notifications.urls").reverse_dict
        if isinstance(name, str)
    }
    assert known == set(GETS)


def test_every_role_gets_what_the_table_says(client, users, addresses):
    found = {}
    for name, address in addresses.items():
        for role, wanted in zip(ROLES, GETS[name].split(), strict=True):
            client.force_login(users[role])
            response = client.get(address)
            if response.status_code == 200:
                assert_page_clean(response)
            if str(response.status_code) != wanted:
                found[name, role] = response.status_code
    assert found == {}


def test_a_visitor_signs_in_first_but_needs_no_account_to_unsubscribe(client, addresses):
    for name, address in addresses.items():
        response = client.get(address)
        assert response.status_code == (200 if name == "notifications:unsubscribe" else 302), name


@pytest.mark.parametrize("role", ["manager", "finance", "participant", "partner_admin", "auditor", "norole"])
def test_posts_of_others_write_nothing(client, users, addresses, role):
    def everything():
        return [list(model.objects.order_by("pk").values()) for model in (ChannelEndpoint, Delivery, Preference)]

    before = everything()
    client.force_login(users[role])
    for name, address in addresses.items():
        if name not in {"notifications:mine", "notifications:unsubscribe"}:
            assert client.post(address, {"name": "x", "kinds": NEWS}).status_code in {404, 405}, name
    assert everything() == before
