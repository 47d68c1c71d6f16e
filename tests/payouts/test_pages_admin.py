"""The Django admin is a door to the same services: no self-approval, a reason to reject, nothing edited, superusers included."""

import pytest
from django.contrib import admin
from django.urls import reverse

from incentives.payouts.checks import check_ledger
from incentives.payouts.models import Approval, ApprovalPolicy, Hold, OrderDecision, Payout, PayoutEarning
from tests.factories import make_user

pytestmark = pytest.mark.django_db
CHANGELIST = reverse("admin:payouts_payout_changelist")


@pytest.fixture
def staff(scene):
    """Finance with the admin's door open."""
    return make_user("finance", is_staff=True)


def act(client, action, payout, **more):
    data = {"action": action, "_selected_action": [payout.pk], **more}
    return client.post(CHANGELIST, data, follow=True)


def test_approving_goes_through_the_service(scene, as_user, staff):
    payout = scene.payout()
    act(as_user(staff), "approve_selected", payout)
    payout.refresh_from_db()
    assert (payout.status, payout.order.state, Approval.objects.get().actor) == ("approved", "draft", staff)
    assert check_ledger() == []


def test_nobody_approves_their_own_through_the_admin(scene, as_user):
    both = make_user("manager", "finance", is_staff=True, is_superuser=True)
    payout = scene.payout(actor=both)
    response = act(as_user(both), "approve_selected", payout)
    payout.refresh_from_db()
    assert (payout.status, Approval.objects.count()) == ("submitted", 0)
    assert "somebody else must decide" in response.content.decode()


def test_rejecting_asks_for_a_reason(scene, as_user, staff):
    payout = scene.payout()
    asked = act(as_user(staff), "reject_selected", payout)
    assert "reason" in asked.content.decode().lower() and not Approval.objects.exists()
    act(as_user(staff), "reject_selected", payout, confirmed="yes", reason="  ")
    assert not Approval.objects.exists()
    act(as_user(staff), "reject_selected", payout, confirmed="yes", reason="Wrong quarter")
    payout.refresh_from_db()
    assert (payout.status, payout.outcome) == ("rejected", "Wrong quarter")


@pytest.mark.parametrize("roles", [("administrator",), ("administrator", "auditor"), ()])
def test_a_superuser_approves_nothing(scene, as_user, roles):
    payout = scene.payout()
    boss = make_user(*roles, is_staff=True, is_superuser=True)
    for action in ("approve_selected", "reject_selected"):
        act(as_user(boss), action, payout, confirmed="yes", reason="Because I can")
    payout.refresh_from_db()
    assert (payout.status, Approval.objects.count()) == ("submitted", 0)


@pytest.mark.parametrize("model", [Payout, Approval, Hold, ApprovalPolicy])
def test_nothing_is_added_changed_or_deleted_even_by_a_superuser(scene, as_user, model):
    payout = scene.payout(approve=True)
    Hold.objects.create(payout=payout, kind="review", reason="x")
    ApprovalPolicy.objects.create(name="One", steps=["finance"])
    boss = make_user("finance", "administrator", "auditor", is_staff=True, is_superuser=True)
    client, row = as_user(boss), model.objects.first()
    name = f"admin:payouts_{model._meta.model_name}"
    before = list(model.objects.values())
    assert client.get(reverse(f"{name}_changelist")).status_code == 200
    assert client.get(reverse(f"{name}_add")).status_code == 403
    assert client.post(reverse(f"{name}_add"), {}).status_code == 403
    change = reverse(f"{name}_change", args=[row.pk])
    shown = client.get(change)
    assert shown.status_code == 200 and b'name="amount_minor"' not in shown.content
    assert client.post(change, {"amount_minor": 1, "status": "fulfilled", "steps": "[]"}).status_code == 403
    delete = reverse(f"{name}_delete", args=[row.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403
    client.post(
        reverse(f"{name}_changelist"), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    )
    assert list(model.objects.values()) == before


def test_allocations_and_decisions_have_no_door_in_the_admin():
    assert not {PayoutEarning, OrderDecision} & set(admin.site._registry)
