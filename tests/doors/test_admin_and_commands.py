"""The Django admin and the command line: what they show and do, and that neither decides about money.

A model registered in the admin is a `core.admin.ReadOnlyAdmin` with a permission; a command has a line in COMMANDS.
"""

import ast
import inspect
from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError
from django.test import RequestFactory
from django.urls import reverse

from incentives.accounts.permissions import GRANTS, roles_with
from incentives.core.admin import ReadOnlyAdmin
from incentives.payouts.models import Approval
from tests.doors.test_services import APPROVE
from tests.factories import make_user
from tests.payouts.scene import Scene

pytestmark = pytest.mark.django_db

ACTIONS = {"payouts.Payout": {"approve_selected": APPROVE, "reject_selected": APPROVE}}
"""Model -> the actions its admin page offers, each with the permissions of which one is needed. They call services, which ask
again."""

COMMANDS = {
    "simulate": "reads files, writes none of the application's data",
    "program_schema": "writes the schema of a program's definition into docs/",
    "import_activities": "brings in facts, by the rules of every import",
    "recompute": "scores again from what is stored; --check only compares",
    "verify_audit": "reads the audit trail",
    "sweep": "does what is due by data: derives, scores, builds, orders what was approved",
    "seed_demo": "fills an empty database; refuses one with data, and any provider but the sandbox",
    "check_ledger": "reads the ledger",
    "export": "writes everything the customer owns into a file on the server; the trail has it",
    "reconcile": "reads payouts, orders and the provider's list, and writes down the comparison",
    "sandbox": "the provider's stand-in; has a database of its own",
    "rotate_reward_keys": "encrypts claim links anew; shows none",
}
"""Command -> what it may do. None approves, rejects or lifts a hold: that takes a person who is signed in."""

DECIDING = {
    "approve_payout", "approve_many", "reject_payout", "reject_many", "lift_hold", "approve_write_off", "confirm_policy",
    "confirm_rule", "confirm_decision", "confirm_review", "reveal_card",
}  # fmt: skip
"""Services that a command must not call: somebody at a keyboard of the server is nobody who is signed in."""


# --- the Django admin -----------------------------------------------------------------------------------------------------
def test_every_model_in_the_admin_is_read_only_and_names_its_permission():
    problems = []
    for model, shown in admin.site._registry.items():
        if not isinstance(shown, ReadOnlyAdmin) or shown.permission not in GRANTS:
            problems.append(
                f"{model._meta.label} in the Django admin: derive {type(shown).__name__} from core.admin.ReadOnlyAdmin and "
                "give it a `permission` of accounts.permissions.GRANTS, or unregister it (accounts/admin.py)."
            )
        unknown = set(shown.actions or ()) - ACTIONS.get(model._meta.label, {}).keys()
        if unknown:
            problems.append(f"{model._meta.label}: name the actions {sorted(unknown)} in ACTIONS of {__name__}.")
        for name in ("has_add_permission", "has_change_permission", "has_delete_permission"):
            if getattr(type(shown), name) is not getattr(ReadOnlyAdmin, name):
                problems.append(
                    f"{type(shown).__name__}.{name} overrides the refusal; change rows by a service's page."
                )
    assert not problems, "\n".join(problems)


def test_each_role_sees_its_models_and_changes_none(people):
    request, wrong = RequestFactory().get("/admin/"), []
    for model, shown in admin.site._registry.items():
        for label, user in people.items():
            request.user = user
            sees = not user.roles.isdisjoint(roles_with(shown.permission))
            allowed = {name: value for name, value in shown.get_model_perms(request).items() if value}
            wanted = {"view": True} if sees else {}
            offered = set(shown.get_actions(request))
            actions = ACTIONS.get(model._meta.label, {})
            due = {name for name, wanted in actions.items() if any(user.can(permission) for permission in wanted)}
            if (allowed, offered) != (wanted, due):
                wrong.append((model._meta.label, label, allowed, offered))
    assert wrong == []


@pytest.mark.parametrize("roles", [(), ("administrator",)])
def test_a_superuser_adds_changes_and_deletes_nothing(client, roles):
    """By address, whatever buttons are shown; with every permission Django itself knows."""
    payout = Scene().payout()
    user = make_user(*roles, email="root@example.com", is_superuser=True, is_staff=True)
    client.force_login(user)
    for model in admin.site._registry:
        base, row = f"admin:{model._meta.app_label}_{model._meta.model_name}", model._default_manager.first()
        assert client.post(reverse(f"{base}_add"), {}).status_code == 403, model
        for page in ("change", "delete") if row else ():
            answer = client.post(
                reverse(f"{base}_{page}", args=[row.pk]), {"post": "yes", "name": "x", "email": "x@x.test"}
            )
            assert answer.status_code == 403, (model, page)
        posted = client.post(
            reverse(f"{base}_changelist"), {"action": "delete_selected", "_selected_action": [row.pk if row else 1]}
        )
        assert posted.status_code in {200, 302, 403}
        assert row is None or model._default_manager.filter(pk=row.pk).exists()
    for action in ACTIONS["payouts.Payout"]:
        client.post(
            reverse("admin:payouts_payout_changelist"),
            {"action": action, "_selected_action": [payout.pk], "confirmed": "1", "reason": "because"},
        )
    payout.refresh_from_db()
    assert payout.status == "submitted" and not Approval.objects.exists()


def test_the_admin_has_no_sign_in_and_no_password_page_of_its_own(client, people):
    """They would neither limit attempts nor record the change."""
    answer = client.post("/admin/login/?next=/admin/payouts/", {"username": "root@example.com", "password": "guess"})
    assert (answer.status_code, answer.url) == (302, "/accounts/login/?next=/admin/payouts/")
    assert client.get("/admin/").url == "/admin/login/?next=/admin/"
    client.force_login(people["finance"])
    assert client.get("/admin/login/").status_code == 404
    client.force_login(people["superuser"])
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/login/").url == "/admin/"
    assert client.get("/admin/password_change/").url == "/accounts/password/change/"


# --- the command line -----------------------------------------------------------------------------------------------------
def commands() -> dict:
    own = {config.name for config in apps.get_app_configs() if config.name.split(".")[0] in {"incentives", "rewards"}}
    return {name: load_command_class(app, name) for name, app in get_commands().items() if app in own}


def test_every_command_says_what_it_may_do():
    missing = [
        f"manage.py {name} is new: add it to COMMANDS in {__name__} with what it may do."
        for name in commands()
        if name not in COMMANDS
    ]
    assert not missing, "\n".join(missing)
    assert COMMANDS.keys() <= commands().keys()


def test_no_command_calls_what_only_a_person_decides():
    """By its source: the demo company, which acts as its own people in an empty database, is no command's code."""
    for name, command in commands().items():
        tree = ast.parse(Path(inspect.getfile(type(command))).read_text())
        names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)}
        assert names & DECIDING == set(), name


def test_no_command_approves_a_payout_that_waits(capsys):
    payout = Scene().payout()
    for name, options in {
        "sweep": [], "recompute": [], "check_ledger": [], "verify_audit": [], "rotate_reward_keys": [],
    }.items():  # fmt: skip
        try:
            call_command(name, *options, stdout=StringIO(), stderr=StringIO())
        except SystemExit as exc:
            assert not exc.code, name
    payout.refresh_from_db()
    assert payout.status == "submitted" and not Approval.objects.exists()


def test_the_demo_refuses_a_database_with_data():
    Scene()
    with pytest.raises(CommandError):
        call_command("seed_demo")


# --- the roles themselves (docs: design, section 8) -----------------------------------------------------------------------
def test_roles_keep_their_distance():
    """What no change of the table may give: whoever manages users decides nothing about money; auditors only read."""
    has = {
        role: {name for name, roles in GRANTS.items() if role in roles} for roles in GRANTS.values() for role in roles
    }
    deciding = {
        name for name in GRANTS if name.split(".")[0] in {"payouts", "holds", "budgets", "periods", "recovery", "tax"}
    }
    assert has["administrator"] & deciding == set()
    assert {name for name in has["auditor"] if not name.endswith(".view")} <= {"reports.export"}
    assert has["participant"] == has["partner_admin"]
    assert {
        name for name in has["participant"] if not name.startswith(("me.", "claims.submit", "disputes.raise"))
    } == set()
    for name in ("me.reveal", "me.choose"):
        assert GRANTS[name] == {"participant", "partner_admin"}
    for approve, make in (("payouts.approve", "payouts.build"), ("payouts.approve", "programs.publish")):
        assert GRANTS[approve] & GRANTS[make] == set()
