"""The way to every report shows each role what it may open, and nothing that leads to a refusal."""

import re

import pytest

from tests.factories import make_user

pytestmark = pytest.mark.django_db

MAY = {"manager": 200, "finance": 200, "auditor": 200, "participant": 404, "partner_admin": 404, "administrator": 404}


@pytest.mark.parametrize(("role", "status"), MAY.items())
def test_each_role_sees_the_reports_it_may_open(client, role, status):
    client.force_login(make_user(role))
    page = client.get("/reports/")
    assert page.status_code == status
    if status != 200:
        return
    main = page.content.decode().split("<main", 1)[1]
    links = set(re.findall(r'<dt><a href="([^"]+)"', main))
    assert "/payouts/" in links and "/reports/months/" in links
    assert ("/reports/tax/" in links) == (role == "finance")
    assert ("/audit/" in links) == (role != "manager")
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)
