"""Who may open which page: every address of payouts and portal times every role, in one table."""

import pytest
from django.urls import get_resolver, reverse

from incentives.payouts import services
from incentives.payouts.models import Payout
from rewards.models import RewardOrder
from tests.payouts.scene import LINKS
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db

ROLES = ("manager", "finance", "participant", "partner_admin", "administrator", "auditor", "superuser", "norole")
#                       M    F    P    PA   A    AU   SU   none
VIEW = "                200  200  404  404  404  200  404  404"
DECIDE = "              200  200  404  404  404  404  404  404"
FINANCE = "             404  200  404  404  404  404  404  404"
POSTED = "              302  302  404  404  404  404  404  404"
GETS = {
    "payouts:list": VIEW,
    "payouts:detail": VIEW,
    "payouts:policies": VIEW,
    "payouts:policy": FINANCE,
    "payouts:policy-new": FINANCE,
    "payouts:policy-confirm": FINANCE,
    "payouts:build": "     200  404  404  404  404  404  404  404",
    "payouts:decide": POSTED,
    "payouts:decide-confirm": POSTED,
    "payouts:approve": DECIDE,
    "payouts:reject": DECIDE,
    "payouts:cancel": DECIDE,
    "payouts:hold": DECIDE,
    "payouts:lift": FINANCE,
    "payouts:orders": VIEW,
    "payouts:order": VIEW,
    "payouts:catalogue": " 200  200  404  404  200  200  200  404",
    "payouts:catalogue-refresh": "200  200  404  404  200  404  200  404",
    "payouts:resume": FINANCE,
    "payouts:open-channel": FINANCE,
    "payouts:stop": FINANCE,
    "payouts:restart": FINANCE,
    "payouts:review": FINANCE,
    "payouts:resolve": FINANCE,
    "payouts:confirm-decision": FINANCE,
    "payouts:withdraw-decision": FINANCE,
    "portal:home": "       200  200  302  302  200  200  200  200",
    "portal:me": "         404  404  200  200  404  404  404  404",
    "portal:rewards": "    404  404  200  200  404  404  404  404",
    "portal:statement": "  404  404  200  200  404  404  404  404",
    "portal:terms": "      404  404  200  200  404  404  404  404",
    "portal:terms-text": " 404  404  200  200  404  404  404  404",
    "portal:people": "     404  404  404  200  404  404  404  404",
    "portal:reveal": "     404  404  405  405  404  404  404  404",
    "portal:boards": "     404  404  200  200  404  404  404  404",
    "portal:board": "      404  404  200  200  404  404  404  404",
}


@pytest.fixture
def addresses(scene) -> dict[str, str]:
    """An address of a thing that exists, for every page."""
    waiting = scene.payout()
    hold = services.place_hold(payout_id=waiting.pk, actor=scene.manager, reason="Look")
    order = scene.review(scene.payout(approve=True).order)
    services.propose_decision(order=order, decision="fail", actor=scene.other, reason="No", evidence="Support said so")
    policy = services.save_policy(actor=scene.other, name="All", steps=["finance"], position=1)
    claim = scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    kinds = {
        "payouts:lift": [waiting.public_id, hold.pk],
        "portal:reveal": [claim.public_id],
        "portal:terms-text": [scene.terms(claim.program).public_id],
        "portal:board": [waiting.program.public_id],
        **{f"payouts:{n}": [policy.pk] for n in ("policy", "policy-confirm")},
        **{f"payouts:{n}": [waiting.public_id] for n in ("detail", "approve", "reject", "cancel", "hold")},
        **{
            f"payouts:{n}": [order.public_id]
            for n in ("order", "review", "resolve", "confirm-decision", "withdraw-decision")
        },
    }
    return {name: reverse(name, args=kinds.get(name, [])) for name in GETS}


def test_every_address_is_in_the_table():
    named = set()
    for app in ("payouts", "portal"):
        patterns = get_resolver().namespace_dict[app][1].url_patterns
        named |= {f"{app}:{pattern.name}" for pattern in patterns}
    assert named == set(GETS)


def test_every_page_for_every_role(client, scene, addresses):
    found, wanted = {}, {}
    for role in ROLES:
        client.force_login(scene.users[role])
        for name, address in addresses.items():
            found[name, role] = client.get(address).status_code
            wanted[name, role] = int(GETS[name].split()[ROLES.index(role)])
    assert {key: (got, wanted[key]) for key, got in found.items() if got != wanted[key]} == {}


def test_a_visitor_is_sent_to_sign_in(client, addresses):
    answers = {name: client.get(address) for name, address in addresses.items()}
    assert {name for name, r in answers.items() if not (r.status_code == 302 and "/accounts/login/" in r.url)} == set()


def test_every_page_is_clean(client, scene, addresses):
    for name, row in GETS.items():
        shown = [role for role in ROLES if row.split()[ROLES.index(role)] == "200"]
        for role in shown:
            client.force_login(scene.users[role])
            assert_page_clean(client.get(addresses[name]))


MONEY = [
    name
    for name in GETS
    if name.startswith("payouts:") and name not in {"payouts:decide", "payouts:decide-confirm", "payouts:build"}
]


@pytest.mark.parametrize("role", ["participant", "partner_admin", "administrator", "auditor", "superuser", "norole"])
def test_posts_of_others_write_nothing(client, scene, addresses, role):
    before = list(Payout.objects.values_list("pk", "status")), list(RewardOrder.objects.values_list("pk", "state"))
    client.force_login(scene.users[role])
    data = {"reason": "because", "seen_hash": "x", "shown": "1", "decision": "fail", "evidence": "e", "name": "n"}
    for name in MONEY:
        if name == "payouts:catalogue-refresh":
            continue
        assert client.post(addresses[name], data).status_code in {404, 405}, name
    for name in ("payouts:decide", "payouts:decide-confirm", "payouts:build"):
        assert client.post(addresses[name], {"action": "approve", "ids": "x", "seen": "x:y"}).status_code == 404, name
    after = list(Payout.objects.values_list("pk", "status")), list(RewardOrder.objects.values_list("pk", "state"))
    assert after == before
