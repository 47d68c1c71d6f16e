"""Policies that name people and risks, deputies, deadlines, e-mails; and no door through which one approves one's own."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.urls import reverse
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core.errors import NotAllowed
from incentives.core.models import AuditEvent
from incentives.notifications.models import Delivery, Notification
from incentives.notifications.outbox import mode_of
from incentives.notifications.sending import deliver
from incentives.payouts import selectors, services
from incentives.payouts.errors import DelegationInvalid, PolicyInvalid, SameApprover, SelfApproval
from incentives.payouts.models import Approval, ApprovalPolicy, Payout
from incentives.payouts.services.mails import tell_approvers
from tests.factories import make_participant, make_user
from tests.support.html import assert_page_clean

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(clock):
    """After the facts of the scene."""
    clock.move_to(datetime(2026, 9, 1, 12, tzinfo=UTC))
    return clock


def today(days: int = 0):
    return timezone.now().date() + timedelta(days=days)


def policy(scene, steps, **more):
    made = services.save_policy(
        actor=make_user("finance"), name=f"P{ApprovalPolicy.objects.count()}", steps=steps, **more
    )
    return services.confirm_policy(policy=made, actor=scene.other)


def agrees(payout, user) -> bool:
    """The list, the page and the service say the same; returns whether this person may decide."""
    payout = Payout.objects.get(pk=payout.pk)
    mine = selectors.for_decision(Payout.objects.filter(pk=payout.pk), user).get().mine
    assert mine is (selectors.objection(payout, user) == "")
    return mine


def refused(payout, user, error):
    before = Approval.objects.count()
    assert not agrees(payout, user)
    with pytest.raises(error):
        services.approve_payout(payout_id=payout.pk, actor=user)
    assert Approval.objects.count() == before


# --- policies -------------------------------------------------------------------------------------------------------------
def test_a_step_that_names_people_is_theirs_alone(scene):
    one, two = make_user("finance"), make_user("manager")
    policy(scene, ["finance", {"who": "people", "people": [one.pk, two.pk], "count": 2}])
    payout = scene.payout()
    assert payout.steps == ["finance", f"people:,{one.pk},{two.pk},", f"people:,{one.pk},{two.pk},"]
    scene.approve(payout)
    refused(payout, scene.other, NotAllowed)
    assert agrees(payout, one) and agrees(payout, two)
    services.approve_payout(payout_id=payout.pk, actor=two)
    refused(payout, two, SameApprover)
    services.approve_payout(payout_id=payout.pk, actor=one)
    payout.refresh_from_db()
    assert payout.status == "approved"


def test_an_id_is_not_found_inside_another_id(scene):
    named = make_user("finance", email="named@example.com")
    policy(scene, [{"who": "people", "people": [named.pk]}])
    payout = scene.payout()
    for stranger in (scene.finance, scene.other, scene.manager):
        refused(payout, stranger, NotAllowed)


def test_policies_by_risk(scene):
    policy(scene, ["finance", "finance"], risk=["hold"], position=1)
    policy(scene, ["manager", "finance"], risk=["new_recipient"], position=2)
    policy(scene, ["finance"], position=3)
    program = scene.program()
    first = scene.payout(program=program)
    assert first.steps == ["manager", "finance"]
    services.approve_payout(payout_id=first.pk, actor=scene.manager)
    scene.issue(scene.approve(first))
    assert scene.payout(program=program).steps == ["finance"]
    make_participant("Twin", email="ana+2@example.com")
    assert scene.payout(program=program).steps == ["finance", "finance"]


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        ([{"who": "people", "people": []}], {}),
        ([{"who": "people", "people": [0]}], {}),
        ([{"who": "finance", "count": 4}], {}),
        ([{"who": "nobody"}], {}),
        ([{"who": "finance", "x": 1}], {}),
        ([{"who": "finance", "count": 3}, {"who": "manager", "count": 3}], {}),
        (["finance"], {"risk": ["bad"]}),
        (["finance"], {"escalate_after_hours": 5}),
        (["finance"], {"escalate_after_hours": 0, "escalate_to": "finance"}),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(scene, steps, more):
    with pytest.raises(PolicyInvalid):
        services.save_policy(actor=scene.finance, name="x", steps=steps, **more)
    assert ApprovalPolicy.objects.count() == 0


def test_people_of_another_role_are_not_named(scene):
    with pytest.raises(PolicyInvalid):
        services.save_policy(actor=scene.finance, name="x", steps=[{"who": "people", "people": [scene.rep_user.pk]}])


# --- deputies -------------------------------------------------------------------------------------------------------------
@pytest.fixture
def boss(scene):
    """Only the boss decides; `boss.deputy` may stand in."""
    scene.boss_user, scene.deputy = make_user("finance", name="Boss"), make_user("finance", name="Deputy")
    policy(scene, [{"who": "people", "people": [scene.boss_user.pk]}])
    return scene.boss_user


def test_a_deputy_decides_for_the_days_and_it_is_recorded_for_whom(scene, boss):
    payout = scene.payout()
    refused(payout, scene.deputy, NotAllowed)
    row = services.delegate(actor=boss, deputy=scene.deputy, starts_on=today(), ends_on=today(3), reason="Holidays")
    assert agrees(payout, scene.deputy)
    services.approve_payout(payout_id=payout.pk, actor=scene.deputy)
    approval = Approval.objects.get()
    assert (approval.actor, approval.on_behalf_of) == (scene.deputy, boss)
    services.revoke_delegation(delegation=row, actor=boss)
    refused(scene.payout(), scene.deputy, NotAllowed)
    assert set(AuditEvent.objects.filter(action__startswith="delegation.").values_list("action", flat=True)) == {
        "delegation.made",
        "delegation.revoked",
    }


def test_a_deputy_of_later_days_decides_nothing_today(scene, boss):
    services.delegate(actor=boss, deputy=scene.deputy, starts_on=today(1), ends_on=today(3))
    refused(scene.payout(), scene.deputy, NotAllowed)


def test_a_deputy_does_not_approve_what_the_delegator_made_or_receives(scene):
    both = make_user("manager", "finance")
    deputy = make_user("finance")
    services.delegate(actor=both, deputy=deputy, starts_on=today(), ends_on=today())
    payout = scene.payout(actor=both)
    refused(payout, deputy, SelfApproval)
    other = scene.payout()
    scene.rep.user = both
    scene.rep.save()
    refused(other, deputy, SelfApproval)


def test_a_deputy_is_not_the_second_person_beside_the_delegator(scene):
    boss, deputy = make_user("finance"), make_user("finance")
    policy(scene, ["finance", {"who": "people", "people": [boss.pk]}])
    services.delegate(actor=boss, deputy=deputy, starts_on=today(), ends_on=today())
    payout = scene.payout()
    services.approve_payout(payout_id=payout.pk, actor=boss)
    refused(payout, deputy, SameApprover)


@pytest.mark.parametrize(
    ("deputy", "first", "last"),
    [("self", 0, 1), ("rep", 0, 1), ("manager", 0, 1), ("other", 2, 1), ("other", -5, -1), ("other", 0, 93)],
)
def test_a_deputy_that_does_not_fit_is_refused(scene, deputy, first, last):
    people = {"self": scene.finance, "rep": scene.rep_user, "manager": scene.manager, "other": scene.other}
    with pytest.raises(DelegationInvalid):
        services.delegate(actor=scene.finance, deputy=people[deputy], starts_on=today(first), ends_on=today(last))


def test_one_deputy_at_a_time_and_only_for_approvers(scene):
    services.delegate(actor=scene.finance, deputy=scene.other, starts_on=today(), ends_on=today(5))
    with pytest.raises(DelegationInvalid):
        services.delegate(actor=scene.finance, deputy=make_user("finance"), starts_on=today(5), ends_on=today(6))
    with pytest.raises(NotAllowed):
        services.delegate(actor=scene.rep_user, deputy=scene.other, starts_on=today(), ends_on=today())


# --- deadlines ------------------------------------------------------------------------------------------------------------
def test_a_step_that_waits_too_long_is_opened_to_the_named_role(scene, boss, clock):
    ApprovalPolicy.objects.update(escalate_after_hours=24, escalate_to="finance")
    payout = scene.payout()
    clock.shift(timedelta(hours=23))
    assert services.escalate() == 0
    refused(payout, scene.finance, NotAllowed)
    clock.shift(timedelta(hours=1))
    assert (services.escalate(), services.escalate()) == (1, 0)
    payout.refresh_from_db()
    assert AuditEvent.objects.get(action="payout.escalated").reason == "Step 1 waited longer than 24 hours."
    refused(payout, scene.manager, NotAllowed)
    assert agrees(payout, scene.finance)
    scene.approve(payout)
    assert payout.status == "approved"


def test_a_held_payout_is_not_escalated(scene, boss, clock):
    ApprovalPolicy.objects.update(escalate_after_hours=1, escalate_to="finance")
    payout = scene.payout()
    hold = services.place_hold(payout_id=payout.pk, actor=scene.manager, reason="Look")
    clock.shift(timedelta(hours=5))
    assert services.escalate() == 0
    services.lift_hold(hold_id=hold.pk, actor=scene.finance, reason="ok")
    assert services.escalate() == 0
    clock.shift(timedelta(hours=1))
    assert services.escalate() == 1


# --- e-mails --------------------------------------------------------------------------------------------------------------
def send_mails() -> int:
    tell_approvers()
    return deliver()


@pytest.fixture
def only_finance(scene):
    """E-mails go to the finance person alone, and there is one program to be paid from."""
    scene.prog = scene.program()
    for user in User.objects.filter(role_set__role="finance").exclude(pk=scene.finance.pk):
        services.set_mail_mode(actor=user, mode="never")
    return scene.finance


def test_an_approver_hears_once_of_what_waits_with_a_link_and_no_address(scene, only_finance, clock):
    scene.payout(program=scene.prog)
    scene.payout(program=scene.prog)
    assert send_mails() == 1
    (message,) = mail.outbox
    assert (message.to, message.subject) == ([only_finance.email], "2 payouts wait for you")
    html = message.alternatives[0][0]
    for text in (message.body, html):
        assert "/payouts/" in text and "200.00" in text.replace("\xa0", " ")
        assert "ana@example.com" not in text and "Ana Ruiz" not in text and "approve/" not in text
    clock.shift(600)
    assert send_mails() == 0
    scene.payout(program=scene.prog)
    assert send_mails() == 1
    assert mail.outbox[-1].subject == "1 payout waits for you"


def test_an_hourly_digest_collects(scene, only_finance, clock):
    services.set_mail_mode(actor=only_finance, mode="hourly")
    scene.payout(program=scene.prog)
    assert send_mails() == 1
    for _ in range(3):
        clock.shift(600)
        scene.payout(program=scene.prog)
        assert send_mails() == 0
    clock.shift(1800)
    assert send_mails() == 1
    assert mail.outbox[-1].subject == "3 payouts wait for you"


def test_a_mail_server_that_is_away_loses_nothing(scene, only_finance, clock, settings):
    scene.payout(program=scene.prog)
    settings.EMAIL_BACKEND = "tests.payouts.test_approvals.Away"
    assert send_mails() == 0
    assert Delivery.objects.filter(status="waiting", attempts=1).count() == 1
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert send_mails() == 0
    clock.shift(600)
    assert send_mails() == 1
    assert Delivery.objects.get().status == "sent"


class Away(BaseEmailBackend):
    def send_messages(self, messages):
        raise ConnectionRefusedError


def test_nobody_hears_of_what_they_may_not_decide(scene, only_finance):
    scene.payout(program=scene.prog, actor=make_user("manager"))
    scene.rep.user = only_finance
    scene.rep.save()
    assert send_mails() == 0
    assert Notification.objects.count() == 0


def test_an_escalation_is_told_to_those_it_is_opened_to(scene, boss, clock):
    ApprovalPolicy.objects.update(escalate_after_hours=1, escalate_to="finance")
    scene.payout()
    send_mails()
    assert [message.to for message in mail.outbox] == [[boss.email]]
    clock.shift(timedelta(hours=1))
    services.escalate()
    send_mails()
    told = {message.to[0] for message in mail.outbox[1:]}
    assert scene.finance.email in told and scene.manager.email not in told
    assert "waited too long" in mail.outbox[-1].body


# --- every door -----------------------------------------------------------------------------------------------------------
def through_the_page(client, payout):
    client.post(reverse("payouts:approve", args=[payout.public_id]), {"seen_hash": payout.content_hash})


def through_the_bulk_page(client, payout):
    data = {"action": "approve", "seen": f"{payout.public_id}:{payout.content_hash}"}
    client.post(reverse("payouts:decide-confirm"), data)


def through_the_admin(client, payout):
    data = {"action": "approve_selected", "_selected_action": [payout.pk]}
    client.post(reverse("admin:payouts_payout_changelist"), data)


def through_the_service(client, payout):
    services.approve_many(seen=[(payout.pk, None)], actor=client.who)


DOORS = [through_the_page, through_the_bulk_page, through_the_admin, through_the_service]
"""No management command and no API route approves: test_no_command_approves."""
MAKERS = ["submitted", "wrote_rules", "receives", "changed_policy", "changed_limit", "deputy_of_maker"]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
@pytest.mark.parametrize("how", MAKERS)
def test_promise_6_nobody_approves_their_own_through_any_door(scene, as_user, door, how):
    who = make_user("manager", "finance", "administrator", is_staff=True, is_superuser=True)
    actor, program = None, None
    if how == "submitted":
        actor = who
    elif how == "wrote_rules":
        program = scene.program(manager=who)
    elif how == "receives":
        scene.rep.user = who
        scene.rep.save()
    elif how == "changed_policy":
        services.save_policy(actor=who, name="Mine", steps=["finance"])
    elif how == "changed_limit":
        services.save_rule(actor=who, kind="participant", window="day", most_count=99)
    else:
        actor = make_user("manager", "finance")
        services.delegate(actor=actor, deputy=who, starts_on=today(), ends_on=today())
    payout = scene.payout(program=program, actor=actor)
    client = as_user(who)
    client.who = who
    door(client, payout)
    payout.refresh_from_db()
    assert (payout.status, Approval.objects.count()) == ("submitted", 0)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_the_same_doors_are_open_to_another_approver(scene, as_user, door):
    who = make_user("finance", is_staff=True)
    payout = scene.payout()
    client = as_user(who)
    client.who = who
    door(client, payout)
    payout.refresh_from_db()
    assert (payout.status, Approval.objects.get().actor) == ("approved", who)


def test_no_command_approves():
    from pathlib import Path

    import incentives

    root = Path(incentives.__file__).parent
    commands = [*root.glob("*/management/commands/*.py"), *root.parent.glob("rewards/management/commands/*.py")]
    assert commands
    assert [path.name for path in commands if "approve" in path.read_text() and path.name != "seed_demo.py"] == []


# --- pages ----------------------------------------------------------------------------------------------------------------
def test_deputies_and_policies_on_their_pages(scene, as_user):
    client = as_user(scene.finance)
    data = {"deputy": scene.other.pk, "starts_on": str(today()), "ends_on": str(today(2)), "reason": "Away"}
    done = client.post(reverse("payouts:delegate"), data, follow=True)
    assert_page_clean(done)
    assert "Other Finance decides for you in these days." in done.content.decode()
    assert client.post(reverse("payouts:delegate"), data).status_code == 400
    client.post(reverse("payouts:mail-mode"), {"mode": "hourly"})
    assert mode_of(scene.finance, "payouts.waiting") == "hourly"
    values = {
        "name": "Big", "steps": "finance", "people": [scene.other.pk], "people_count": "1", "risk": ["hold"],
        "escalate_after_hours": "24", "escalate_to": "finance", "currency": "USD", "position": "1", "is_active": "on",
    }  # fmt: skip
    client.post(reverse("payouts:policy-new"), values)
    made = ApprovalPolicy.objects.get()
    assert made.steps == ["finance", {"who": "people", "people": [scene.other.pk], "count": 1}]
    listed = client.get(reverse("payouts:policies"))
    assert_page_clean(listed)
    assert "Finance, then Other Finance" in listed.content.decode()
    edit = client.get(reverse("payouts:policy", args=[made.pk]))
    assert_page_clean(edit)
    assert f'value="{scene.other.pk}" selected' in edit.content.decode()
