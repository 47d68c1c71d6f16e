"""Earnings, payouts, budgets and orders over the API."""

import json

import pytest

from incentives.accounts.services import set_active
from incentives.api.models import ApiToken
from incentives.core.models import AuditEvent
from incentives.ledger.models import Posting
from incentives.payouts import selectors
from incentives.payouts import services as payouts
from incentives.payouts.errors import SelfApproval
from incentives.payouts.models import Approval, Payout
from tests.api.conftest import problem
from tests.factories import make_user
from tests.payouts.scene import ANSWER, LINK, LINKS, Scene

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene():
    return Scene()


def usd(text: str) -> dict:
    return {"amount": text, "minor": int(text.replace(".", "")), "currency": "USD"}


# --- earnings -----------------------------------------------------------------------------------------------------------
def test_earnings_are_listed_with_their_explanation_and_the_chain(api, scene):
    payout = scene.payout("5000.00")
    caller = api(scene.manager, "earnings:read")
    (row,) = caller.get("/earnings").json()["data"]
    earning = payout.allocations.get().earning
    assert row == {
        "id": str(earning.public_id),
        "program": {"id": str(payout.program.public_id), "name": payout.program.name},
        "participant": {"id": str(scene.rep.public_id), "name": "Ana Ruiz"},
        "period_start": "2026-01-01",
        "amount": usd("100.00"),
        "explanation": earning.explanation,
        "posted_at": earning.posted_at.isoformat(),
        "booked_on": str(earning.booked_on),
    }
    whole = caller.get(f"/earnings/{earning.public_id}").json()
    assert {name: whole[name] for name in row} == row
    assert whole["chain"]["line"]["amount"] == {"amount": "100.00", "currency": "USD"}
    assert (
        whole["chain"]["payouts"]["payouts"][0]["status"] == "submitted"
        if "payouts" in whole["chain"]["payouts"]
        else True
    )
    for query, count in (
        ({"program": str(payout.program.public_id)}, 1), ({"participant": str(scene.boss.public_id)}, 0),
        ({"period_start": "2026-01-01"}, 1), ({"posted_before": "2020-01-01T00:00:00Z"}, 0),
    ):  # fmt: skip
        assert len(caller.get("/earnings", **query).json()["data"]) == count, query


def test_a_participant_sees_their_own_and_nothing_of_others(api, scene):
    mine, other = scene.payout("5000.00"), scene.payout("3000.00", rep=scene.boss)
    caller = api(scene.rep_user, "earnings:read")
    (row,) = caller.get("/earnings").json()["data"]
    assert row["participant"]["name"] == "Ana Ruiz"
    own = caller.get(f"/earnings/{mine.allocations.get().earning.public_id}")
    assert own.status_code == 200 and "Pat Acme" not in own.content.decode()
    assert problem(caller.get(f"/earnings/{other.allocations.get().earning.public_id}")) == (404, "not_found")
    assert caller.get("/earnings", participant=str(scene.boss.public_id)).json()["data"] == []


# --- payouts ------------------------------------------------------------------------------------------------------------
def test_build_submits_what_is_due_once_and_says_what_it_left(api, scene):
    program = scene.program()
    scene.earn("5000.00", program=program)
    scene.earn("10.00", rep=scene.boss, program=program)
    caller = api(scene.manager, "payouts:build", "payouts:read")
    body = {"program": str(program.public_id)}
    answer = caller.post("/payouts/build", body, key="b-1")
    payout = Payout.objects.get()
    assert answer.status_code == 200, answer.content
    built = answer.json()
    assert (built["total"], [row["id"] for row in built["payouts"]]) == (usd("100.00"), [str(payout.public_id)])
    assert [(row["participant"]["name"], row["due"]) for row in built["skipped"]] == [("Pat Acme", usd("0.20"))]
    assert (payout.status, payout.submitted_by, payout.reserved) == ("submitted", scene.manager, True)
    assert caller.post("/payouts/build", body, key="b-1").content == answer.content
    assert caller.post("/payouts/build", body).json()["payouts"] == []
    assert Payout.objects.count() == 1
    row = caller.get(f"/payouts/{payout.public_id}").json()
    assert row == built["payouts"][0] | {
        "earnings": [{"earning": str(payout.allocations.get().earning.public_id), "amount": usd("100.00")}]
    }
    assert (row["amount"], row["version"], row["steps"], row["approvals"], row["holds"], row["order"]) == (
        usd("100.00"), payout.content_hash, 1, [], [], None,
    )  # fmt: skip
    assert scene.rep.email not in json.dumps(row)
    draft = scene.program(launched=False)
    assert problem(caller.post("/payouts/build", {"program": str(draft.public_id)})) == (409, "cannot_build")
    assert problem(caller.post("/payouts/build", {"program": str(payout.public_id)})) == (404, "not_found")


def approve(caller, payout, version=None, **more):
    return caller.post(f"/payouts/{payout.public_id}/approve", {"version": version or payout.content_hash}, **more)


def test_a_persons_token_approves_with_the_evidence_of_the_browser(api, scene):
    payout = scene.payout()
    caller = api(scene.finance, "payouts:approve", "payouts:read")
    answer = approve(caller, payout, key="a-1")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["status"], [a["by"] for a in answer.json()["approvals"]]) == (
        "approved",
        [str(scene.finance)],
    )
    approval = Approval.objects.get()
    assert (approval.actor, approval.seen_hash, approval.ip_address) == (
        scene.finance,
        payout.content_hash,
        "127.0.0.1",
    )
    event = AuditEvent.objects.get(action="payout.decided_by_token")
    assert (event.actor, event.after["token"]) == (scene.finance, str(caller.token.public_id))
    assert approve(caller, payout, key="a-1").content == answer.content
    assert Approval.objects.count() == 1


def nothing_happened(payout) -> bool:
    payout.refresh_from_db()
    trail = AuditEvent.objects.filter(action="payout.decided_by_token")
    return payout.status == "submitted" and not (Approval.objects.exists() or payout.order_id or trail.exists())


def test_an_approval_names_the_version_that_was_looked_at(api, scene):
    payout, caller = scene.payout(), api(scene.finance, "payouts:approve")
    assert problem(approve(caller, payout, "0" * 64)) == (409, "stale_payout")
    assert problem(caller.post(f"/payouts/{payout.public_id}/approve", {})) == (422, "invalid")
    assert problem(approve(caller, payout, key=None)) == (400, "idempotency_key_missing")
    assert nothing_happened(payout)


def test_a_hold_keeps_a_token_from_approving_too(api, scene):
    payout = scene.payout()
    payouts.place_hold(payout_id=payout.pk, actor=scene.other, reason="Look again")
    answer = approve(api(scene.finance, "payouts:approve"), payout)
    assert problem(answer) == (409, "payout_on_hold")
    assert nothing_happened(payout)


def test_nobody_approves_by_token_what_they_made_or_receive(api, scene):
    """A manager's step, by who submitted it and by who receives it."""
    submitter, recipient = make_user("manager", "finance"), make_user("finance")
    payout = scene.payout(actor=submitter)
    assert problem(approve(api(submitter, "payouts:approve"), payout)) == (403, "self_approval")
    scene.rep.user = recipient
    scene.rep.save()
    assert problem(approve(api(recipient, "payouts:approve"), payout)) == (403, "self_approval")
    assert nothing_happened(payout)


def test_a_machine_never_approves_and_its_person_not_what_it_built(api, robot, scene):
    both = make_user("administrator", "finance")
    program = scene.program()
    scene.earn(program=program)
    machine = robot(both, "payouts:build", "payouts:read")
    built = machine.post("/payouts/build", {"program": str(program.public_id)})
    assert built.status_code == 200, built.content
    payout = Payout.objects.get()
    assert (payout.submitted_by.is_service, payout.submitted_by.responsible) == (True, both)
    ApiToken.objects.filter(pk=machine.token.pk).update(
        scopes=["payouts:approve", "payouts:read"]
    )  # as if it had got one
    assert problem(approve(machine, payout)) == (403, "person_needed")
    assert problem(approve(api(both, "payouts:approve"), payout)) == (403, "self_approval")
    with pytest.raises(SelfApproval):
        payouts.approve_payout(payout_id=payout.pk, actor=both)
    assert selectors.objection(payout, both) != "" and selectors.objection(payout, scene.finance) == ""
    mine = {user: selectors.for_decision(Payout.objects.all(), user).get().mine for user in (both, scene.finance)}
    assert mine == {both: False, scene.finance: True}
    assert nothing_happened(payout)
    assert approve(api(scene.finance, "payouts:approve"), payout).status_code == 200


def test_a_token_ends_with_its_persons_access(api, scene):
    payout, caller = scene.payout(), api(scene.finance, "payouts:approve")
    set_active(user=scene.finance, active=False, actor=scene.users["administrator"])
    assert problem(approve(caller, payout)) == (401, "unauthenticated")
    assert nothing_happened(payout)


def test_reject_gives_a_reason_and_the_money_back(api, scene):
    payout, caller = scene.payout(), api(scene.finance, "payouts:approve", "payouts:read")
    assert problem(caller.post(f"/payouts/{payout.public_id}/reject", {"reason": " "})) == (400, "reason_needed")
    assert nothing_happened(payout)
    answer = caller.post(f"/payouts/{payout.public_id}/reject", {"reason": "Wrong quarter"})
    assert (answer.status_code, answer.json()["status"], answer.json()["approvals"][0]["reason"]) == (
        200,
        "rejected",
        "Wrong quarter",
    )
    assert Posting.objects.filter(key=f"unreserve:{payout.public_id}").exists()
    assert problem(approve(caller, payout)) == (409, "illegal_transition")
    assert [row["id"] for row in caller.get("/payouts", status="rejected").json()["data"]] == [str(payout.public_id)]
    assert caller.get("/payouts", status="submitted").json()["data"] == []


# --- budgets and orders -------------------------------------------------------------------------------------------------
def test_a_budgets_figures_add_up(api, scene):
    payout = scene.payout("5000.00")
    caller = api(scene.users["auditor"], "budgets:read")
    row = caller.get(f"/budgets/{payout.budget.public_id}").json()
    assert row == {
        "id": str(payout.budget.public_id), "name": payout.budget.name, "currency": "USD", "parent": None, "active": True,
        "allocated": usd("10000.00"), "available": usd("9900.00"), "reserved": usd("100.00"), "committed": usd("0.00"),
        "spent": usd("0.00"),
    }  # fmt: skip
    assert caller.get("/budgets", currency="USD").json()["data"] == [row]
    assert caller.get("/budgets", currency="EUR").json()["data"] == []


def test_an_order_is_shown_without_its_link_and_address(api, scene):
    payout = scene.payout(program=scene.program(delivery=LINKS), approve=True)
    scene.issue(payout)
    caller = api(scene.finance, "orders:read")
    answer = caller.get(f"/orders/{payout.order.public_id}")
    row, order = answer.json(), payout.order
    order.refresh_from_db()
    assert (row["po_number"], row["state"], row["payout"], row["amount"], row["delivery"]) == (
        order.po_number, "completed", str(payout.public_id), usd("100.00"), "Links",
    )  # fmt: skip
    listed = caller.get("/orders", state="completed", po_number=order.po_number)
    assert listed.json()["data"] == [row]
    for secret in (LINK, ANSWER, scene.rep.email):
        assert secret not in answer.content.decode() + listed.content.decode()
