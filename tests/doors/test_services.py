"""Every service that takes an `actor`, found by looking: it refuses each role outside the table, before it looks at anything.

Browser, Django admin, tokens, commands and workers all end in these functions; a door that forgets to ask is caught here.
"""

import importlib
import inspect
import pkgutil

import pytest
from django.db import transaction
from django.utils import timezone

import incentives
from incentives.accounts.permissions import GRANTS
from incentives.claims.models import Claim, ClaimProof
from incentives.claims.services import drafts
from incentives.core.errors import NotAllowed
from incentives.disputes import services as disputes
from incentives.payouts import services as payouts
from incentives.payouts.models import Approval
from incentives.tax.models import OutsideAward
from tests.factories import make_user
from tests.payouts.scene import Scene
from tests.payouts.test_pages_access import overpaid

pytestmark = pytest.mark.django_db
APPROVE = ("payouts.approve", "payouts.approve_as_manager")

BECAUSE = {"reason": "because"}

SERVICES = {
    "accounts.services": {
        "create_machine": "tokens.edit",
        "invite send_invitation change_roles set_active": "users.edit",
    },
    "api.tokens": {
        "create_machine_token": "tokens.edit",
    },
    "awards.services": {
        "make_pot give_award upload_batch give_batch cancel_award": "awards.give",
    },
    "claims.services.drafts": {
        "start save add_proof remove_proof submit withdraw": "claims.submit",
    },
    "claims.services.review": {
        "take release approve send_back reject reverse": "claims.review",
    },
    "crm.imports": {
        "upload start": "activities.import",
    },
    "crm.services": {
        "create_connection update_connection add_secret set_signing_secret rotate_secret retire_secret": "connections.edit",
        "rotate_token pause resume": "connections.edit",
        "replay_delivery replay_deliveries repair_delivery dismiss_delivery link_identity": "activities.repair",
        "erase_person": "participants.edit",
    },
    "disputes.services": {
        "raise_dispute reply withdraw reopen": "disputes.raise",
        "explain correct ask_back note assign": "disputes.answer",
    },
    "ledger.alerts": {
        "set_thresholds": "budgets.fund",
    },
    "ledger.deposits": {
        "enter reverse_entry set_low compare": "deposits.edit",
    },
    "ledger.funding": {
        "propose_limit confirm_limit withdraw_limit": "budgets.fund",
    },
    "ledger.transfers": {
        "propose propose_funding approve decline withdraw": "budgets.fund",
    },
    "ledger.tree": {
        "place": "budgets.fund",
    },
    "notifications.channels": {
        "save_channel set_active try_channel": "notifications.edit",
    },
    "notifications.sending": {
        "send_again": "notifications.edit",
    },
    "portal.screens": {
        "create_screen change_screen renew_address revoke_screen": "programs.edit",
    },
    "reports.ageing": {
        "remind": "reports.remind",
    },
    "reports.comparisons": {
        "ask_comparison explain_difference": "reconciliation.edit",
    },
    "reports.export_services": {
        "request_export open_file": "export.everything",
    },
    "reports.journal_services": {
        "set_account remove_account use_proposal make_journal": "accounting.edit",
    },
    "ledger.exchange": {
        "set_rates change_rate remove_rate": "rates.edit",
    },
    "ledger.services": {
        "create_budget fund withdraw": "budgets.fund",
    },
    "participants.administrators": {
        "appoint dismiss": "users.edit",
    },
    "participants.imports": {
        "import_participants": "participants.edit",
    },
    "participants.partner_imports": {
        "import_partners": "participants.edit",
    },
    "participants.services": {
        "create_participant update_participant create_team update_team create_partner update_partner": "participants.edit",
    },
    "payouts.services.approve": {
        "approve_payout reject_payout": APPROVE,
        "cancel_payout": "payouts.cancel",
    },
    "payouts.services.build": {
        "build_payouts": "payouts.build",
    },
    "payouts.services.choose": {
        "choose_reward forget_preference": "me.choose",
        "choose_for": "payouts.choose",
    },
    "payouts.services.confirmed": {
        "require": "payouts.approve",
    },
    "payouts.services.delegations": {
        "delegate set_mail_mode": APPROVE,
        "revoke_delegation": "payouts.approve",
    },
    "payouts.services.holds": {
        "place_hold": "holds.place",
        "lift_hold": "holds.lift",
    },
    "payouts.services.months": {
        "close_month reopen_month": "periods.close",
    },
    "payouts.services.orders": {
        "decide_review propose_decision confirm_decision withdraw_decision ask_for_review": "orders.resolve",
        "resume open_channel stop_everything restart": "orders.resolve",
        "refresh_catalogue": "catalogue.refresh",
    },
    "payouts.services.policies": {
        "save_policy confirm_policy": "payouts.approve",
    },
    "payouts.services.recovery": {
        "propose_write_off withdraw_write_off set_instalments": "recovery.propose",
        "approve_write_off decline_write_off": "recovery.approve",
    },
    "payouts.services.rules": {
        "save_rule confirm_rule": "payouts.approve",
    },
    "programs.enrollment": {
        "set_enrollment set_enrollments": "programs.edit",
    },
    "programs.life": {
        "change_status": "programs.publish",
    },
    "programs.review": {
        "request_review withdraw_review": "programs.publish",
        "confirm_review return_review": "programs.review",
    },
    "programs.review_limits": {
        "save_limit": "review_limits.edit",
    },
    "programs.services": {
        "create_program edit_draft set_budget set_board_display": "programs.edit",
        "launch": "programs.publish",
    },
    "programs.stops": {
        "resume_stopped": "programs.publish",
    },
    "programs.targets": {
        "set_targets prorate": "programs.edit",
    },
    "programs.terms": {
        "save_terms": "programs.edit",
        "publish_terms": "programs.publish",
    },
    "simulations.services": {
        "start cancel repeat": "programs.simulate",
        "use": "programs.edit",
    },
    "tax.services.awards": {
        "add_awards cancel_award": "tax.edit",
    },
    "tax.services.exports": {
        "make_1099_export make_w2_export record_download": "tax.edit",
    },
    "tax.services.profiles": {
        "save_profile release require": "tax.edit",
    },
    "tax.services.rules": {
        "save_rule remove_rule": "tax.edit",
    },
}
"""Module below `incentives` -> functions -> the permission, or several of which any suffices."""

NO_DOOR = {
    "awards.files.rows_of": "reads what a file would give",
    "awards.services.check": "says what giving would refuse",
    "core.audit.build": "writes down who acted",
    "core.audit.record": "writes down who acted",
    "api.tokens.create_token": "one's own, or a machine's for tokens.edit (tests/api/test_tokens.py)",
    "api.tokens.revoke_token": "one's own, or anybody's for tokens.edit (tests/api/test_tokens.py)",
    "crm.imports.import_file": "the command line and the demo; pages call upload and start",
    "crm.imports.require": "the check itself, of upload and start",
    "claims.services.states.move": "the step of a service that checked",
    "ledger.funding.alone_lately": "answers with an amount",
    "ledger.funding.needs_second": "answers yes or no",
    "ledger.funding.hold_still": "the step of a service that checked",
    "notifications.preferences.choose": "one's own choices",
    "notifications.preferences.set_mode": "the step of choose and of an unsubscription",
    "reports.ageing.remind_many": "one remind per card",
    "reports.journal_services.record_fetch": "writes down who fetched; the page asks accounting.view",
    "ledger.posting.post": "the step of a service that checked",
    "ledger.posting.post_all": "the step of a service that checked",
    "payouts.policies.may_decide": "answers yes or no",
    "payouts.services.approve.withdraw": "the step of a service that checked",
    "payouts.services.approve.authorise": "the step behind the last approval",
    "payouts.services.approve.approve_many": "one approve_payout per payout; tried below",
    "payouts.services.approve.reject_many": "one reject_payout per payout; tried below",
    "payouts.services.build.build_one": "one participation of build_payouts",
    "payouts.services.confirmed.write_change": "the step of save_policy and save_rule",
    "payouts.services.confirmed.confirm_change": "the step of confirm_policy and confirm_rule",
    "payouts.services.orders.identity": "how somebody is called",
    "payouts.services.orders.receives": "answers yes or no",
    "payouts.services.risk.require_within_limits": "a check within approve_payout",
    "payouts.services.states.change_status": "the step of a service that checked",
    "payouts.services.states.reserve": "the step of a service that checked",
    "payouts.services.states.commit": "the step of a service that checked",
    "payouts.services.states.unreserve": "the step of a service that checked",
    "payouts.services.states.release": "the step of a service that checked",
    "payouts.services.tax_holds.follow": "called by tax.services, which checked",
    "payouts.services.tax_holds.release": "called by tax.services, which checked",
    "programs.life.move": "the step of a service that checked, and of the calendar",
    "programs.review_limits.limit_for": "answers with a limit",
    "programs.review_limits.asks": "answers yes or no",
    "programs.services.take_back_review": "the step of a service that checked",
}
"""Function with an `actor` that decides nothing by itself -> why it does not ask for a permission."""

WORDS = {"reason", "text", "note", "name", "title", "body", "seen_digest", "currency", "doing"}
"""Parameters that are checked to be filled in before anything else."""

POT = {"name": "Spot", "currency": "USD", "starts_on": "2026-01-01", "ends_on": "2026-12-31"}

ROWS = {
    "awards.services.make_pot": lambda s: {"budget": None, **POT},
    **{
        f"claims.services.drafts.{name}": lambda s, more=more: {"claim_id": s.claim.pk, **more}
        for name, more in {
            "save": {"values": drafts.Values(), "seen_version": 1}, "submit": {"seen_version": 1}, "withdraw": {},
        }.items()
    },
    "claims.services.drafts.remove_proof": lambda s: {"proof": ClaimProof(claim=s.claim)},
    **{
        f"claims.services.review.{name}": lambda s, more=more: {"claim_id": s.claim.pk, "seen_version": 1, **more}
        for name, more in {
            "take": {}, "release": {}, "approve": {}, "send_back": BECAUSE, "reject": BECAUSE, "reverse": BECAUSE
        }.items()
    },
    **{
        f"disputes.services.{name}": lambda s: {"dispute": s.dispute, "text": "because"}
        for name in ("reply", "withdraw", "reopen")
    },
    "disputes.services.assign": lambda s: {"dispute": s.dispute, "to": None, "seen_version": s.dispute.version},
    "payouts.services.approve.approve_payout": lambda s: {"payout_id": s.waiting.pk},
    "payouts.services.approve.reject_payout": lambda s: {"payout_id": s.waiting.pk, **BECAUSE},
    "payouts.services.delegations.revoke_delegation": lambda s: {"delegation": s.deputy},
    **{
        f"payouts.services.orders.{name}_decision": lambda s: {"proposal": s.decision} for name in ("confirm", "withdraw")
    },
    "tax.services.awards.cancel_award": lambda s: {"award": OutsideAward(participant=s.rep), **BECAUSE},
    **{
        f"payouts.services.recovery.{name}_write_off": lambda s, more=more: {"write_off": s.write_off, **more}
        for name, more in {"approve": {}, "decline": BECAUSE, "withdraw": BECAUSE}.items()
    },
}  # fmt: skip
"""Service that has to read its row before it can ask -> the arguments, made from `rows()`. Most need none: they get
something that must not be looked at before they ask."""

NOT_BY_ROLE_ALONE = {"payouts.services.approve.approve_payout", *(
    name for name in ROWS if name.startswith(("claims.services.drafts", "disputes.services"))
)}  # fmt: skip
"""Whose permission is not enough: the step or the row is another person's, so only the refusing side is tried here."""


def rows() -> Scene:
    """A payout that waits, a claim, a question, a proposed decision and write-off, each of somebody else."""
    scene = Scene()
    scene.waiting = scene.payout()
    scene.dispute = disputes.raise_dispute(
        actor=scene.rep_user, text="Why?", earning=scene.waiting.allocations.get().earning
    )
    scene.claim = Claim.objects.create(
        program=scene.waiting.program, partner=scene.partner, participant=scene.boss, created_by=scene.users["partner_admin"],
        currency="USD",
    )  # fmt: skip
    order = scene.review(scene.payout(approve=True).order)
    scene.decision = payouts.propose_decision(
        order=order, decision="fail", actor=scene.other, reason="No", evidence="Support said so"
    )
    scene.write_off = overpaid(scene)
    today = timezone.now().date()
    scene.deputy = payouts.delegate(actor=scene.manager, deputy=make_user("manager"), starts_on=today, ends_on=today)
    return scene


class Touched(Exception):
    """The service looked at what it was given: it did not refuse first."""


class Untouched:
    """Stands for any argument and does not bear being looked at."""

    def __getattribute__(self, name):
        raise Touched(name)

    def _touched(self, *others):
        raise Touched

    __iter__ = __bool__ = __str__ = __len__ = __eq__ = __lt__ = __gt__ = __hash__ = __index__ = __format__ = _touched


TABLE = {
    f"{module}.{name}": (wanted,) if isinstance(wanted, str) else wanted
    for module, rows in SERVICES.items()
    for names, wanted in rows.items()
    for name in names.split()
}


def found() -> dict:
    """name below `incentives` -> every public function that takes an `actor`."""
    functions = {}
    for entry in pkgutil.walk_packages(incentives.__path__, "incentives."):
        if ".migrations" in entry.name or entry.name.endswith((".celery", ".wsgi", ".asgi", ".__main__")):
            continue
        module = importlib.import_module(entry.name)
        for name, function in vars(module).items():
            own = inspect.isfunction(function) and function.__module__ == entry.name and not name.startswith("_")
            if own and "actor" in inspect.signature(function).parameters:
                functions[f"{entry.name.removeprefix('incentives.')}.{name}"] = function
    return functions


DOORS = found()


def test_every_service_with_an_actor_has_an_entry():
    missing = [
        f"incentives.{name} takes an actor. Add it to SERVICES in {__name__} with the permission it asks for; if it decides "
        "nothing by itself, to NO_DOOR with the reason."
        for name in DOORS
        if name not in TABLE and name not in NO_DOOR
    ]
    assert not missing, "\n".join(missing)
    assert {wanted for row in TABLE.values() for wanted in row} <= set(GRANTS)
    assert (TABLE.keys() | NO_DOOR.keys()) - DOORS.keys() == set()
    assert TABLE.keys() & NO_DOOR.keys() == set()


def arguments(name: str, scene) -> dict:
    if name in ROWS:
        return ROWS[name](scene)
    parameters = inspect.signature(DOORS[name]).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return {p.name: "because" if p.name in WORDS else Untouched() for p in needed if p.name != "actor"}


def attempt(name: str, given: dict, actor) -> Exception | None:
    """What the call raised. Nothing of it stays."""
    try:
        with transaction.atomic():
            DOORS[name](**given, actor=actor)
            transaction.set_rollback(True)
    except Exception as exc:
        return exc
    return None


def test_every_service_refuses_the_roles_outside_the_table_and_no_other(people):
    scene, wrong = rows(), []
    for name, permissions in TABLE.items():
        given = arguments(name, scene)
        for label, user in people.items():
            outcome = attempt(name, given, user)
            admitted = any(user.can(wanted) for wanted in permissions)
            if admitted and name in NOT_BY_ROLE_ALONE:
                continue
            if isinstance(outcome, NotAllowed) == admitted:
                wrong.append((name, label, repr(outcome)))
    assert not wrong, "\n".join(map(str, wrong))


def test_many_at_once_is_no_way_around_the_table(people):
    scene = Scene()
    payout = scene.payout()
    for label in set(people) - {"finance"}:
        approved = payouts.approve_many(seen=[(payout.pk, payout.content_hash)], actor=people[label])
        assert [outcome.ok for outcome in approved] == [False], label
        if label != "manager":  # approvers of either kind may reject
            rejected = payouts.reject_many(ids=[payout.pk], actor=people[label], reason="because")
            assert [outcome.ok for outcome in rejected] == [False], label
    payout.refresh_from_db()
    assert payout.status == "submitted" and not Approval.objects.exists()
