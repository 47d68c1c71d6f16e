"""Who may open which page: every address of payouts and portal times every role, in one table."""

import pytest
from django.urls import get_resolver, reverse
from django.utils import timezone

from incentives.ledger.models import PeriodClose
from incentives.payouts import services
from incentives.payouts.models import Delegation, Hold, Payout, Recovery, RiskRule, WriteOff
from rewards.models import RewardOrder
from tests.factories import deal, make_user, send, usd
from tests.payouts.scene import LINKS, TWO
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
    "payouts:choose": DECIDE,
    "payouts:hold": DECIDE,
    "payouts:lift": FINANCE,
    "payouts:holds": VIEW,
    "payouts:holds-lift": "404  302  404  404  404  404  404  404",
    "payouts:hold-evidence": VIEW,
    "payouts:rules": VIEW,
    "payouts:rule-new": FINANCE,
    "payouts:rule": FINANCE,
    "payouts:rule-confirm": FINANCE,
    "payouts:delegations": VIEW,
    "payouts:delegate": DECIDE,
    "payouts:mail-mode": DECIDE,
    "payouts:revoke": DECIDE,
    "payouts:schedule": VIEW,
    "payouts:recovery": VIEW,
    "payouts:recovery-one": VIEW,
    "payouts:instalments": DECIDE,
    "payouts:write-off-propose": DECIDE,
    "payouts:write-offs": VIEW,
    "payouts:write-off": VIEW,
    "payouts:write-off-approve": FINANCE,
    "payouts:write-off-decline": FINANCE,
    "payouts:write-off-withdraw": DECIDE,
    "payouts:months": VIEW,
    "payouts:month": VIEW,
    "payouts:month-close": FINANCE,
    "payouts:month-reopen": FINANCE,
    "payouts:deposit-new": FINANCE,
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
    "payouts:line": "      200  200  404  404  200  200  200  404",
    "payouts:line-json": " 200  200  404  404  200  200  200  404",
    "portal:earning": "    404  404  200  404  404  404  404  404",
    "portal:earning-json": "404  404  200  404  404  404  404  404",
    "portal:home": "       200  200  302  302  200  200  200  200",
    "portal:me": "         404  404  200  200  404  404  404  404",
    "portal:rewards": "    404  404  200  200  404  404  404  404",
    "portal:statement": "  404  404  200  200  404  404  404  404",
    "portal:statement-pdf": "404 404 200  200  404  404  404  404",
    "portal:terms": "      404  404  200  200  404  404  404  404",
    "portal:terms-text": " 404  404  200  200  404  404  404  404",
    "portal:people": "     404  404  404  200  404  404  404  404",
    "portal:reveal": "     404  404  405  405  404  404  404  404",
    "portal:choices": "    404  404  200  200  404  404  404  404",
    "portal:choose": "     404  404  200  404  404  404  404  404",
    "portal:forget-preference": "404 404 405 405  404  404  404  404",
    "portal:estimate": "   404  404  200  200  404  404  404  404",
    "portal:boards": "     404  404  200  200  404  404  404  404",
    "portal:board": "      404  404  200  200  404  404  404  404",
}


def overpaid(scene):
    """A proposed write-off of 10.00 out of 40.00 that were paid too much."""
    program = scene.program()
    send(scene.crm, deal("BACK", scene.rep, "5000.00", attributes={"for": program.name}))
    (paid,) = services.build_payouts(program=program).payouts
    scene.issue(scene.approve(paid))
    send(scene.crm, deal("BACK", scene.rep, "3000.00", version=2, attributes={"for": program.name}))
    services.follow_up()
    return services.propose_write_off(
        participation=paid.participation, amount=usd("10.00"), reason="Bankrupt customer", actor=scene.manager
    )


@pytest.fixture
def addresses(scene) -> dict[str, str]:
    """An address of a thing that exists, for every page."""
    scene.second_product()
    choosing = scene.payout(program=scene.program(delivery=TWO))
    waiting = scene.payout()
    hold = services.place_hold(payout_id=waiting.pk, actor=scene.manager, reason="Look")
    order = scene.review(scene.payout(approve=True).order)
    services.propose_decision(order=order, decision="fail", actor=scene.other, reason="No", evidence="Support said so")
    policy = services.save_policy(actor=scene.other, name="All", steps=["finance"], position=1)
    claim = scene.issue(scene.payout(program=scene.program(delivery=LINKS), approve=True))
    own = waiting.allocations.get().earning
    written_off = overpaid(scene)
    recovery = written_off.participation
    rule = services.save_rule(actor=scene.other, kind="participant", window="day", most_count=99)
    today = timezone.now().date()
    deputy = services.delegate(actor=scene.manager, deputy=make_user("manager"), starts_on=today, ends_on=today)
    month = f"{timezone.now():%Y-%m}"
    kinds = {
        **{
            name: [own.public_id]
            for name in ("payouts:line", "payouts:line-json", "portal:earning", "portal:earning-json")
        },
        "payouts:hold-evidence": [hold.pk],
        "payouts:revoke": [deputy.pk],
        **{f"payouts:{n}": [rule.pk] for n in ("rule", "rule-confirm")},
        **{f"payouts:{n}": [month] for n in ("month", "month-close", "month-reopen")},
        **{f"payouts:{n}": [recovery.public_id] for n in ("recovery-one", "instalments", "write-off-propose")},
        **{
            f"payouts:{n}": [written_off.public_id]
            for n in ("write-off", "write-off-approve", "write-off-decline", "write-off-withdraw")
        },
        "payouts:lift": [waiting.public_id, hold.pk],
        "portal:reveal": [claim.public_id],
        **{name: [choosing.public_id] for name in ("payouts:choose", "portal:choose")},
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
    screens = {name for name in named if name.startswith(("portal:screen", "portal:wall"))}  # tests/portal/test_wall.py
    assert named - screens == set(GETS)


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
        for role in shown if not name.endswith(("-json", "-pdf")) else ():
            client.force_login(scene.users[role])
            assert_page_clean(client.get(addresses[name]))


MONEY = [
    name
    for name in GETS
    if name.startswith("payouts:") and name not in {"payouts:decide", "payouts:decide-confirm", "payouts:build"}
]


@pytest.mark.parametrize("role", ["participant", "partner_admin", "administrator", "auditor", "superuser", "norole"])
def test_posts_of_others_write_nothing(client, scene, addresses, role):
    before = everything()
    client.force_login(scene.users[role])
    data = {"reason": "because", "seen_hash": "x", "shown": "1", "decision": "fail", "evidence": "e", "name": "n"}
    for name in MONEY:
        if name == "payouts:catalogue-refresh":
            continue
        assert client.post(addresses[name], data).status_code in {404, 405}, name
    for name in ("payouts:decide", "payouts:decide-confirm", "payouts:build"):
        assert client.post(addresses[name], {"action": "approve", "ids": "x", "seen": "x:y"}).status_code == 404, name
    assert everything() == before


def everything() -> list:
    """The rows that an action of these pages would change."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Payout, RewardOrder, Recovery, WriteOff, PeriodClose, Hold, RiskRule, Delegation)
    ]
