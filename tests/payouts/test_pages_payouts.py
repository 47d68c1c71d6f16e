"""The payouts' pages: what they show, what they decide, what they refuse and leave behind."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from incentives.core.errors import DomainError
from incentives.core.models import AuditEvent
from incentives.ledger.models import Posting
from incentives.payouts import selectors, services
from incentives.payouts.checks import check_ledger
from incentives.payouts.errors import PolicyInvalid, SelfApproval
from incentives.payouts.models import Approval, ApprovalPolicy, Hold, Payout
from rewards.models import RewardOrder
from tests.factories import make_participant, make_user, usd
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
LIST = "/payouts/"


def names(response) -> list[str]:
    return [row["object"].recipient_name for row in response.context["rows"]]


def ticked(response) -> list[str]:
    return [row["object"].recipient_name for row in response.context["rows"] if row["tick"]]


def counts(response) -> dict[str, int]:
    return {str(tab["label"]): tab["count"] for tab in response.context["tab_links"]}


def url(name, payout, *more) -> str:
    return reverse(f"payouts:{name}", args=[payout.public_id, *more])


def written() -> tuple:
    return Approval.objects.count(), Posting.objects.count(), RewardOrder.objects.count(), AuditEvent.objects.count()


# --- the list -----------------------------------------------------------------------------------------------------------
def test_the_tabs_say_what_waits_for_whom(scene, as_user):
    program = scene.program()
    mine, held, approved = (
        scene.payout(program=program, rep=make_participant(name)) for name in ("Ann", "Bob", "Cleo")
    )
    services.place_hold(payout_id=held.pk, actor=scene.manager, reason="Look")
    scene.approve(approved)
    own = scene.payout(program=scene.program(), rep=make_participant("Self", user=scene.finance))
    page = as_user(scene.finance).get(LIST)
    assert counts(page) == {
        "Waiting for me": 1, "Waiting": 3, "Held": 1, "Approved": 1, "Delivered": 0, "Ended": 0, "All": 4,
    }  # fmt: skip
    assert names(page) == ["Ann"] and page.context["bulk_shown"]
    waiting = as_user(scene.finance).get(f"{LIST}?tab=waiting")
    assert sorted(names(waiting)) == ["Ann", "Bob", "Self"] and sorted(ticked(waiting)) == ["Ann", "Bob"]
    assert (mine.status, own.status) == ("submitted", "submitted")
    auditor = as_user(scene.users["auditor"]).get(LIST)
    assert not auditor.context["bulk_shown"] and "Waiting for me" not in counts(auditor)


def test_waiting_for_me_agrees_with_what_the_service_allows(scene):
    """The query of the list and the rule of the service, over makers, receivers, earlier approvers and policy editors."""
    both = make_user("manager", "finance")
    ApprovalPolicy.objects.create(name="Two", steps=["finance", "finance"], up_to_minor=6000, position=1)
    ApprovalPolicy.objects.create(name="Manager", steps=["manager", "finance"], position=2)
    scene.payout("2500.00", actor=both)
    scene.payout("2500.00", program=scene.program(manager=both), actor=scene.manager)
    scene.payout("2500.00", rep=make_participant("Me", user=scene.finance))
    twice = scene.payout("2500.00")
    services.approve_payout(payout_id=twice.pk, actor=scene.finance)
    scene.payout("5000.00")
    services.save_policy(actor=scene.other, name="Late", steps=["finance"], position=90)
    scene.payout("2500.00")
    people = [both, scene.finance, scene.other, scene.manager, scene.users["auditor"]]
    seen = set()
    for payout in Payout.objects.filter(status="submitted"):
        for person in people:
            mine = selectors.for_decision(Payout.objects.filter(pk=payout.pk), person).get().mine
            objection = selectors.objection(payout, person)
            allowed = _would_pass(payout, person)
            assert mine == allowed == (not objection), (payout, person, str(objection))
            seen.add((allowed, str(objection)))
    assert len(seen) == 7  # allowed, and every reason against


def _would_pass(payout, person) -> bool:
    from django.db import transaction

    try:
        with transaction.atomic():
            services.approve_payout(payout_id=payout.pk, actor=person)
            transaction.set_rollback(True)
    except DomainError:
        return False
    return True


def test_search_filters_and_export(scene, as_user):
    program = scene.program(name="Spring")
    big = scene.payout("9000.00", program=program, rep=make_participant("Ann", email="ann@x.test"))
    small = scene.payout("1000.00", program=scene.program(name="Autumn"), rep=make_participant("Bob"))
    client = as_user(scene.finance)
    assert names(client.get(f"{LIST}?q=ann@x")) == ["Ann"]
    assert names(client.get(f"{LIST}?q={str(small.public_id)[:13]}")) == ["Bob"]
    assert names(client.get(f"{LIST}?program={big.program.public_id}")) == ["Ann"]
    assert names(client.get(f"{LIST}?smallest=20.01")) == ["Ann"]
    assert names(client.get(f"{LIST}?largest=20")) == ["Bob"]
    assert names(client.get(f"{LIST}?product=DEMO&sort=amount")) == ["Bob", "Ann"]
    services.place_hold(payout_id=big.pk, actor=scene.manager, reason="Look")
    assert names(client.get(f"{LIST}?tab=waiting&hold=review")) == ["Ann"]
    assert names(client.get(f"{LIST}?tab=waiting&hold=funding")) == []
    export = client.get(f"{LIST}?tab=all&export=csv&sort=-amount")
    rows = list(csv.reader(io.StringIO(b"".join(export.streaming_content).decode("utf-8-sig"))))
    assert [row[:5] for row in rows[1:]] == [
        ["Ann", "Spring", "Demo", "180.00", "USD"],
        ["Bob", "Autumn", "Demo", "20.00", "USD"],
    ]
    assert not any("@x.test" in cell for row in rows for cell in row), "an export of amounts carries no addresses"


def _queries(client, address) -> int:
    with CaptureQueriesContext(connection) as found:
        assert client.get(address).status_code == 200
    return len(found)


def test_pages_ask_the_database_as_often_for_sixty_rows_as_for_three(scene, as_user):
    program = scene.program(funded="100000.00")
    for _ in range(3):
        scene.payout("500.00", program=program)
    client = as_user(scene.finance)
    pages = [f"{LIST}?tab=waiting&per=100", "/orders/?tab=all&per=100", "/"]
    scene.approve(Payout.objects.first())
    manager, build = make_user("manager"), f"/payouts/build/?program={program.public_id}"
    scene.earn("800.00")
    few = [_queries(client, page) for page in pages]
    few += [_queries(as_user(manager), build)]
    for number in range(57):
        scene.earn("500.00", make_participant(f"P{number}"))
    built = services.build_payouts(program=program).payouts
    assert len(built) >= 57
    for payout in built[:20]:
        scene.approve(payout)
    for number in range(20):
        scene.earn("500.00", make_participant(f"Q{number}"))
    many = [_queries(as_user(scene.finance), page) for page in pages] + [_queries(as_user(manager), build)]
    assert many == few
    assert max(few) < 40


# --- one payout ---------------------------------------------------------------------------------------------------------
def test_a_payout_shows_everything_an_approver_needs(scene, as_user):
    payout = scene.payout("5000.00", actor=scene.manager)
    page = assert_page_clean(as_user(scene.finance).get(payout.get_absolute_url()))
    for words in (
        "100.00 USD", "Demo", "Ana Ruiz", "ana@example.com", "Manager Person",
        "2 % of 5,000.00 = 100.00", "Needs one more approval: Finance. You may decide.",
    ):  # fmt: skip
        assert words in page.text.replace("\xa0", " "), words
    activity = payout.allocations.get().earning.object.activities.get()
    assert f"/activities/{activity.public_id}/" in page.links
    assert as_user(scene.finance).get(f"/activities/{activity.public_id}/").status_code == 200


def test_a_payout_says_why_not_you(scene, as_user):
    author = make_user("manager", "finance")
    payout = scene.payout(program=scene.program(manager=author))
    page = assert_page_clean(as_user(author).get(payout.get_absolute_url()))
    assert "Needs one more approval: Finance. Not by you, because you wrote or published the rules." in page.text
    assert url("approve", payout) not in page.links
    assert "Needs one more approval: Finance." in as_user(scene.manager).get(payout.get_absolute_url()).content.decode()


def test_approving_on_the_page_orders_the_card(scene, as_user):
    payout = scene.payout()
    client = as_user(scene.finance)
    response = client.post(url("approve", payout), {"seen_hash": payout.content_hash}, follow=True)
    assert "Approved: 100.00 USD for Ana Ruiz will be ordered." in assert_page_clean(response).text
    payout.refresh_from_db()
    assert (payout.status, payout.order.state) == ("approved", "draft")
    assert Approval.objects.get().ip_address == "127.0.0.1"
    assert check_ledger() == []


@pytest.mark.parametrize(
    ("role", "seen", "status", "words"),
    [
        ("finance", "0" * 64, 409, "not what the page showed"),
        ("finance", "", 400, "Nothing was saved"),
        ("manager", None, 403, "belongs to another role"),
    ],
)
def test_an_approval_that_is_refused_writes_nothing(scene, as_user, role, seen, status, words):
    payout = scene.payout()
    before = written()
    data = {"seen_hash": payout.content_hash if seen is None else seen}
    response = as_user(scene.users[role]).post(url("approve", payout), data)
    assert (response.status_code, written()) == (status, before)
    assert words in assert_page_clean(response).text


def test_rejecting_needs_a_reason_and_returns_the_money(scene, as_user):
    payout = scene.payout()
    client, before = as_user(scene.finance), written()
    assert client.post(url("reject", payout), {"reason": "  "}).status_code == 400
    assert written() == before
    assert client.post(url("reject", payout), {"reason": "Wrong quarter"}).status_code == 302
    payout.refresh_from_db()
    assert (payout.status, payout.outcome) == ("rejected", "Wrong quarter")
    assert check_ledger() == []


def test_a_hold_is_placed_shown_and_lifted_with_a_reason(scene, as_user):
    payout = scene.payout()
    as_user(scene.manager).post(url("hold", payout), {"reason": "Ask Ana first"})
    hold = Hold.objects.get()
    page = assert_page_clean(as_user(scene.finance).get(payout.get_absolute_url()))
    assert "Ask Ana first" in page.text and "once the hold is lifted" in page.text
    refused = as_user(scene.finance).post(url("approve", payout), {"seen_hash": payout.content_hash})
    assert refused.status_code == 409 and "on hold" in assert_page_clean(refused).text
    assert as_user(scene.finance).post(url("lift", payout, hold.pk), {"reason": ""}).status_code == 400
    other = scene.payout(program=scene.program())
    assert as_user(scene.finance).get(url("lift", other, hold.pk)).status_code == 404
    as_user(scene.finance).post(url("lift", payout, hold.pk), {"reason": "She confirmed"})
    assert as_user(scene.finance).post(url("approve", payout), {"seen_hash": payout.content_hash}).status_code == 302


def test_cancelling_before_it_left_returns_the_money(scene, as_user):
    payout = scene.payout(approve=True)
    as_user(scene.manager).post(url("cancel", payout), {"reason": "Wrong person"})
    payout.refresh_from_db()
    assert (payout.status, payout.order.state) == ("cancelled", "cancelled")
    left = scene.payout(program=scene.program(), approve=True)
    scene.sent(left.order)
    response = as_user(scene.manager).post(url("cancel", left), {"reason": "Too late"})
    assert response.status_code == 409 and "left already" in assert_page_clean(response).text
    assert check_ledger() == []


# --- many at once -------------------------------------------------------------------------------------------------------
def decide(client, payouts, action="approve"):
    return client.post("/payouts/decide/", {"ids": [str(p.public_id) for p in payouts], "action": action})


def confirm(client, payouts, action="approve", **more):
    seen = [f"{p.public_id}:{p.content_hash}" for p in payouts]
    return client.post("/payouts/decide/confirm/", {"seen": seen, "action": action, **more})


def test_bulk_shows_a_summary_with_the_unusual_first(scene, as_user):
    program = scene.program(name="Spring")
    reps = [make_participant(f"Known {n}") for n in range(6)]
    for rep in reps:
        scene.issue(scene.payout("1000.00", program=program, rep=rep, approve=True))
    usual = scene.payout("1000.00", program=program, rep=reps[0])
    held = scene.payout("1000.00", program=program, rep=reps[1])
    services.place_hold(payout_id=held.pk, actor=scene.manager, reason="Look")
    large = scene.payout("9000.00", program=program, rep=make_participant("Nina New"))
    before = written()
    response = decide(as_user(scene.finance), [usual, held, large])
    page = assert_page_clean(response)
    assert [(look.payout.pk, [str(label) for label, _ in look.remarks]) for look in response.context["looks"]] == [
        (large.pk, ["Far above the usual", "First card for this person"]),
        (held.pk, ["Held for review"]),
        (usual.pk, []),
    ]
    assert response.context["totals"] == [usd("220.00")]
    assert response.context["by_program"] == [(program, 3, usd("220.00"))]
    assert "More than 5 times 20.00 USD, the median of the program's last" in page.text.replace("\xa0", " ")
    assert written() == before


def test_bulk_decides_each_and_says_which_were_refused_and_why(scene, as_user):
    first, second, held, own = (
        scene.payout("1000.00", program=scene.program(), rep=rep)
        for rep in (scene.rep, scene.rep, scene.rep, make_participant("Mine", user=scene.finance))
    )
    services.place_hold(payout_id=held.pk, actor=scene.manager, reason="Look")
    response = confirm(as_user(scene.finance), [first, second, held, own])
    page = assert_page_clean(response)
    assert response.context["done"] == 2 and response.context["totals"] == [usd("40.00")]
    assert "2 payouts approved" in page.text and "2 were not decided" in page.text
    assert [(o.payout.pk, o.error.code) for o in response.context["refused"]] == [
        (held.pk, "payout_on_hold"),
        (own.pk, "self_approval"),
    ]
    assert sorted(Payout.objects.filter(status="approved").values_list("pk", flat=True)) == [first.pk, second.pk]
    assert Approval.objects.count() == 2
    assert check_ledger() == []


def test_a_bulk_decision_binds_to_what_was_shown(scene, as_user):
    payout = scene.payout()
    before = written()
    response = as_user(scene.finance).post(
        "/payouts/decide/confirm/", {"seen": f"{payout.public_id}:{'0' * 64}", "action": "approve"}
    )
    assert [o.error.code for o in response.context["refused"]] == ["stale_payout"]
    assert written() == before


def test_bulk_rejection_needs_one_reason(scene, as_user):
    payouts = [scene.payout(program=scene.program()) for _ in range(2)]
    client, before = as_user(scene.finance), written()
    missing = confirm(client, payouts, "reject", reason=" ")
    assert missing.status_code == 400 and written() == before
    assert "Give a reason" in assert_page_clean(missing).text
    confirm(client, payouts, "reject", reason="Wrong quarter")
    assert set(Payout.objects.values_list("status", "outcome")) == {("rejected", "Wrong quarter")}


@pytest.mark.parametrize("data", [{}, {"ids": "nonsense", "action": "approve"}, {"ids": "x", "action": "launch"}])
def test_a_bulk_request_without_payouts_goes_back(scene, as_user, data):
    scene.payout()
    before = written()
    for address in ("/payouts/decide/", "/payouts/decide/confirm/"):
        assert as_user(scene.finance).post(address, data).status_code == 302
    assert written() == before


def test_two_steps_are_reported_as_waiting_for_another(scene, as_user):
    ApprovalPolicy.objects.create(name="Two", steps=["finance", "finance"])
    payout = scene.payout()
    response = confirm(as_user(scene.finance), [payout])
    assert (response.context["done"], response.context["waiting"]) == (1, 1)
    assert counts(as_user(scene.finance).get(LIST))["Waiting for me"] == 0
    assert counts(as_user(scene.other).get(LIST))["Waiting for me"] == 1


# --- building -----------------------------------------------------------------------------------------------------------
def test_the_preview_is_what_the_build_then_makes(scene, as_user):
    program = scene.program(payout={"when": "at_close", "minimum": "10.00"})
    scene.earn("25200.00")  # 504.00: two cards of 250.00, 4.00 carried
    scene.earn("1000.00", make_participant("Bob"))
    scene.earn("400.00", make_participant("Little"))  # 8.00, below the minimum
    scene.earn("1000.00", make_participant("Gone", active=False))
    client = as_user(scene.manager)
    response = client.get(f"/payouts/build/?program={program.public_id}")
    page = assert_page_clean(response)
    (preview,) = response.context["previews"]
    assert (preview.cards, preview.total, preview.carried) == (3, usd("520.00"), usd("32.00"))
    assert [(s.participant.name, s.code) for s in preview.skipped] == [
        ("Gone", "inactive"),
        ("Little", "below_minimum"),
    ]
    assert "below the program's minimum" in page.text and not Payout.objects.exists()
    done = client.post("/payouts/build/", {"program": program.public_id}, follow=True)
    assert "3 payouts built. 2 people got nothing this time." in assert_page_clean(done).text
    assert sorted(Payout.objects.values_list("amount_minor", flat=True)) == [2_000, 25_000, 25_000]
    assert set(Payout.objects.values_list("submitted_by", flat=True)) == {scene.manager.pk}
    client.post("/payouts/build/", {"program": program.public_id})
    assert Payout.objects.count() == 3


def test_hold_days_and_live_payouts_are_not_due(scene):
    program = scene.program(payout={"when": "at_close", "hold_days": 10})
    quick = scene.program()
    scene.earn("5000.00")
    assert selectors.preview_build(program).rows == []
    assert services.build_payouts(program=program).payouts == []
    (row,) = selectors.preview_build(quick).rows
    assert row.due == usd("100.00")
    services.build_payouts(program=quick)
    assert selectors.preview_build(quick).rows == []
    assert set(selectors.due_by_program()) == {program.pk}


def test_building_all_skips_a_program_that_cannot_pay_and_says_so(scene, as_user):
    good = scene.program(name="Good")
    scene.program(name="Bad", delivery={"type": "DigitalDelivery", "channel": "email", "products": ["NOPE"]})
    scene.earn("5000.00")
    page = assert_page_clean(as_user(scene.manager).post("/payouts/build/", {"program": ""}, follow=True))
    assert "Good: 1 payout built." in page.text and "Bad: The catalogue has no orderable NOPE" in page.text
    assert list(Payout.objects.values_list("program", flat=True)) == [good.pk]


# --- policies -----------------------------------------------------------------------------------------------------------
POLICY = {
    "name": "Large",
    "steps": "manager,finance",
    "up_to": "",
    "currency": "USD",
    "position": "5",
    "is_active": "on",
}


def test_finance_makes_a_policy_and_approves_nothing_built_after_it_until_confirmed(scene, as_user):
    old = scene.payout(program=scene.program())
    as_user(scene.finance).post("/payouts/policies/new/", {**POLICY, "steps": "finance"})
    policy = ApprovalPolicy.objects.get()
    assert (policy.steps, policy.up_to_minor, policy.edited_by) == (["finance"], None, scene.finance)
    new = scene.payout(program=scene.program())
    with pytest.raises(SelfApproval):
        services.approve_payout(payout_id=new.pk, actor=scene.finance)
    page = assert_page_clean(as_user(scene.finance).get(new.get_absolute_url()))
    assert "because you changed an approval policy that nobody has confirmed" in page.text
    services.approve_payout(payout_id=old.pk, actor=scene.finance)
    confirm_url = reverse("payouts:policy-confirm", args=[policy.pk])
    shown = {"shown": policy.edited_at.isoformat()}
    assert as_user(scene.finance).post(confirm_url, shown).status_code == 403
    assert as_user(scene.other).post(confirm_url, {"shown": "earlier"}).status_code == 400
    assert as_user(scene.other).post(confirm_url, shown).status_code == 302
    policy.refresh_from_db()
    assert policy.confirmed_by == scene.other
    later = scene.payout(program=scene.program())
    services.approve_payout(payout_id=later.pk, actor=scene.finance)
    assert list(AuditEvent.objects.filter(action__startswith="policy.").order_by("pk").values_list("action", flat=True)) == [
        "policy.created", "policy.confirmed",
    ]  # fmt: skip


def test_switching_a_policy_off_counts_as_changing_it(scene):
    policy = services.save_policy(actor=scene.other, name="Two", steps=["finance", "finance"])
    services.confirm_policy(policy=policy, actor=scene.finance)
    services.save_policy(actor=scene.finance, policy=policy, is_active=False)
    payout = scene.payout()
    assert payout.steps == ["finance"]
    with pytest.raises(SelfApproval):
        services.approve_payout(payout_id=payout.pk, actor=scene.finance)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": []}, "needs a limit"),
        ({"steps": ["boss"]}, "expected at most 5"),
        ({"steps": ["finance"] * 6}, "expected at most 5"),
        ({"steps": ["finance"], "up_to_minor": 0}, "above zero"),
        ({"steps": ["finance"], "name": "Taken"}, "has this name"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(scene, values, words):
    services.save_policy(actor=scene.finance, name="Taken", steps=["finance"])
    with pytest.raises(PolicyInvalid, match=words):
        services.save_policy(actor=scene.finance, **{"name": "New", **values})
    assert ApprovalPolicy.objects.count() == 1


def test_saving_a_policy_unchanged_changes_nothing(scene):
    policy = services.save_policy(actor=scene.finance, name="One", steps=["finance"])
    services.confirm_policy(policy=policy, actor=scene.other)
    services.save_policy(actor=scene.finance, policy=policy, steps=["finance"])
    policy.refresh_from_db()
    assert policy.confirmed_by == scene.other
    assert AuditEvent.objects.filter(action="policy.changed").count() == 0
