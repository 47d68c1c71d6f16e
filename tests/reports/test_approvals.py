"""Who decided what and how long it waited, against a history made by hand; what waits, by its age."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incentives.payouts import services
from incentives.payouts.models import Approval, ApprovalPolicy
from tests.factories import make_participant, make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db
MONDAY = datetime(2026, 8, 3, 9, tzinfo=UTC)


def at(**after):
    return time_machine.travel(MONDAY + timedelta(**after), tick=False)


@pytest.fixture
def decided(scene):
    """Four payouts of 100.00 built on Monday at nine. Finance approves one after 30 min, rejects one after 5 h, and approves
    two with one request after 8 days, one of which another person's approval had to precede (after 2 days)."""
    program = scene.program(name="Autumn")
    with at(hours=0):
        one, two, three = (scene.payout(program=program, rep=make_participant(f"Rep {n}")) for n in range(3))
        services.save_policy(actor=scene.users["finance"], name="Two", steps=["finance", "finance"], position=1)
        services.confirm_policy(policy=ApprovalPolicy.objects.get(), actor=scene.other)
        four = scene.payout(program=program, rep=make_participant("Rep 3"))
    third = make_user("finance", name="Third Finance")
    with at(minutes=30):
        services.approve_payout(payout_id=one.pk, actor=scene.other)
    with at(hours=5):
        services.reject_payout(payout_id=two.pk, actor=scene.other, reason="Wrong quarter")
    with at(days=2):
        services.approve_payout(payout_id=four.pk, actor=third)
    with at(days=8):
        done = services.approve_many(seen=[(three.pk, None), (four.pk, None)], actor=scene.other)
    assert [outcome.error for outcome in done] == [None, None]
    return one, two, three, four


def test_each_decision_says_who_what_and_how_long(decided, scene, as_user):
    page = as_user(scene.finance).get("/reports/approvals/?sort=at")
    assert_page_clean(page)
    found = [
        (row["object"].payout.recipient_name, row["object"].actor_name, row["object"].decision, row["object"].waited,
         row["object"].seen["together"])
        for row in page.context["rows"]
    ]  # fmt: skip
    assert found == [
        ("Rep 0", "Other Finance", "approved", timedelta(minutes=30), 1),
        ("Rep 1", "Other Finance", "rejected", timedelta(hours=5), 1),
        ("Rep 3", "Third Finance", "approved", timedelta(days=2), 1),
        ("Rep 3", "Other Finance", "approved", timedelta(days=6), 2),
        ("Rep 2", "Other Finance", "approved", timedelta(days=8), 2),
    ]
    text = " ".join(page.content.decode().split())
    for words in (
        "2 of 2: Finance",
        "1 of 2: Finance",
        "1 of 1: Finance",
        "one of 2 with one request",
        "Wrong quarter",
    ):
        assert words in text, words


def test_the_sums_by_approver_and_week(decided, scene, as_user):
    client = as_user(scene.finance)
    context = client.get("/reports/approvals/").context
    assert [(b["label"], b["value"]) for b in context["bands"]] == [
        ("under 1 h", 1), ("1 to 4 h", 0), ("4 to 24 h", 1), ("1 to 3 days", 1), ("3 to 7 days", 1), ("7 days and more", 1),
    ]  # fmt: skip
    waits = timedelta(minutes=30) + timedelta(hours=5) + timedelta(days=14)
    assert [(g.label, g.approved, g.rejected, g.bulk, g.average, g.longest, [m.minor for m in g.sums])
            for g in context["approvers"]] == [
        ("Other Finance", 3, 1, 2, waits / 4, timedelta(days=8), [40000]),
        ("Third Finance", 1, 0, 0, timedelta(days=2), timedelta(days=2), [10000]),
    ]  # fmt: skip
    assert [(g.label, g.count) for g in context["weeks"]] == [("2026-08-10", 2), ("2026-08-03", 3)]
    narrow = client.get("/reports/approvals/?bulk=true").context
    assert (narrow["total"], [g.label for g in narrow["approvers"]]) == (2, ["Other Finance"])
    assert client.get("/reports/approvals/?decision=rejected").context["total"] == 1
    assert client.get("/reports/approvals/?since=2026-08-05&until=2026-08-05").context["total"] == 1


def test_the_files_hold_the_same_figures(decided, scene, as_user):
    client = as_user(scene.finance)

    def lines(query: str) -> list[str]:
        file = b"".join(client.get(f"/reports/approvals/?export=csv{query}").streaming_content).decode()
        return file.lstrip("\ufeff").splitlines()

    assert lines("&table=approvers")[1:] == [
        "Other Finance,3,1,0,2,85.4,192.0,400.00,USD",
        "Third Finance,1,0,0,0,48.0,48.0,100.00,USD",
    ]
    assert lines("&table=weeks")[1:] == [
        "2026-08-10,2,0,0,2,168.0,192.0,200.00,USD",
        "2026-08-03,2,1,0,0,17.8,48.0,300.00,USD",
    ]
    assert len(lines("")) == 6 and ",0.5," in lines("&sort=at")[1]
    assert client.get("/reports/approvals/?export=xlsx&table=weeks").status_code == 200
    assert client.get("/reports/approvals/?export=pdf&table=weeks").status_code == 302


def test_a_deputy_and_a_policy_are_told_apart(scene, as_user):
    program = scene.program()
    payout = scene.payout(program=program)
    boss = make_user("finance", name="The Boss")
    today = timezone.now().date()
    services.save_policy(
        actor=make_user("finance"),
        name="Boss",
        steps=[{"who": "people", "people": [boss.pk]}],
        position=1,
        up_to_minor=9000,
    )
    services.delegate(actor=boss, deputy=scene.other, starts_on=today, ends_on=today)
    named = scene.payout("4000.00", program=program, rep=make_participant("For Boss"))
    services.approve_payout(payout_id=named.pk, actor=scene.other)
    services.approve_payout(payout_id=payout.pk, actor=scene.other)
    client = as_user(scene.finance)
    page = client.get("/reports/approvals/?deputy=true")
    (row,) = page.context["rows"]
    assert (row["object"].payout, row["object"].on_behalf_of) == (named, boss)
    assert "deputy for The Boss" in page.content.decode() and "1 of 1: The Boss" in page.content.decode()
    assert page.context["approvers"][0].deputy == 1


def test_decisions_of_a_policy_have_no_wait(scene, as_user):
    services.save_policy(actor=make_user("finance"), name="Small", steps=[], position=1, up_to_minor=500_000)
    services.confirm_policy(policy=ApprovalPolicy.objects.get(), actor=scene.other)
    scene.payout()
    assert Approval.objects.filter(actor=None).count() == 1
    context = as_user(scene.finance).get("/reports/approvals/?tab=policy").context
    (group,) = context["approvers"]
    assert (group.label, group.approved, group.average, sum(b["value"] for b in context["bands"])) == (
        "Policy: Small", 1, None, 0,
    )  # fmt: skip


def test_what_waits_is_listed_by_its_age(scene, as_user):
    program = scene.program()
    with at(hours=0):
        old = scene.payout(program=program, rep=make_participant("Old"))
        services.place_hold(payout_id=old.pk, actor=scene.manager, reason="Look")
    with at(days=5):
        scene.payout(program=program, rep=make_participant("Newer"))
    with at(days=5, hours=2):
        client = as_user(scene.finance)
        page = client.get("/reports/approvals/waiting/")
        assert_page_clean(page)
        assert [row["object"].recipient_name for row in page.context["rows"]] == ["Old", "Newer"]
        assert [b["value"] for b in page.context["bands"]] == [0, 1, 0, 0, 1, 0]
        assert [client.get(f"/reports/approvals/waiting/?tab={t}").context["total"] for t in ("decision", "held")] == [
            1,
            1,
        ]
        file = b"".join(client.get("/reports/approvals/waiting/?export=csv").streaming_content).decode()
    assert ",122.0,on hold," in file and ",2.0,," in file


def test_the_pages_ask_as_often_for_many(decided, scene, as_user):
    client = as_user(scene.finance)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            for address in ("/reports/approvals/", "/reports/approvals/waiting/"):
                assert client.get(address).status_code == 200
        return len(found)

    program = scene.program()
    scene.payout(program=program, rep=make_participant("First"))
    few = queries()
    for number in range(5):
        scene.payout(program=program, rep=make_participant(f"More {number}"))
        payout = scene.payout(program=scene.program(), rep=make_participant(f"Done {number}"))
        services.approve_payout(payout_id=payout.pk, actor=scene.other)
    assert queries() == few
