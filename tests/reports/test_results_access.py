"""Who may open results, statements, approvals and unclaimed rewards: every address times every role."""

import pytest
from django.urls import reverse

from tests.payouts.scene import ANSWER, LINK, LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db

ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#                       M    F    P    PA   A    AU   SU   none
VIEW = "                200  200  404  404  404  200  404  404"
GETS = {
    "reports:results": VIEW,
    "reports:result": VIEW,
    "reports:statements": VIEW,
    "reports:statement": VIEW,
    "reports:statement-pdf": VIEW,
    "reports:approvals": VIEW,
    "reports:approvals-waiting": VIEW,
    "reports:ageing": VIEW,
    "reports:remind": "     302  302  404  404  404  404  404  404",
}


@pytest.fixture
def addresses(scene) -> dict[str, str]:
    claim = scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    scene.payout()
    kinds = {
        "reports:result": [claim.program.public_id],
        **{f"reports:{name}": [scene.rep.public_id] for name in ("statement", "statement-pdf")},
    }
    return {name: reverse(name, args=kinds.get(name, [])) for name in GETS}


def test_every_page_for_every_role(client, scene, addresses):
    found, wanted = {}, {}
    for role in ROLES:
        client.force_login(scene.users[role])
        for name, address in addresses.items():
            answer = client.get(address)
            found[name, role] = answer.status_code
            wanted[name, role] = int(GETS[name].split()[ROLES.index(role)])
            if answer.status_code == 200 and not name.endswith("-pdf"):
                assert_page_clean(answer)
                assert LINK not in answer.content.decode() and ANSWER not in answer.content.decode()
    assert {key: (got, wanted[key]) for key, got in found.items() if got != wanted[key]} == {}


def test_a_visitor_is_sent_to_sign_in(client, addresses):
    answers = {name: client.get(address) for name, address in addresses.items()}
    assert {name for name, r in answers.items() if not (r.status_code == 302 and "/accounts/login/" in r.url)} == set()


@pytest.mark.parametrize("role", ["participant", "partner_admin", "administrator", "superuser", "norole"])
def test_who_may_not_see_a_report_gets_no_file_of_it_either(client, scene, addresses, role):
    client.force_login(scene.users[role])
    for name, address in addresses.items():
        assert client.get(f"{address}?export=csv").status_code == 404, name
