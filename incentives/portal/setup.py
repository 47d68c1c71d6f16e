"""From an empty installation to the first card: what is done, what is next and whose turn it is. Read only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import Role, User
from incentives.crm.models import Connection, Delivery
from incentives.ledger.models import Account
from incentives.participants.models import Participant
from incentives.payouts.models import Payout
from incentives.programs.models import Program
from rewards.models import Product


@dataclass(frozen=True, slots=True)
class Step:
    """`permission` says whose turn it is; `where` is the page that does it, or None where it is done outside."""

    code: str
    title: Any
    text: Any
    permission: str
    where: str | None
    is_done: Callable[[], bool]
    who: Any


@dataclass(frozen=True, slots=True)
class Shown:
    step: Step
    done: bool
    url: str
    """Empty when it is another role's turn."""


def people_ready() -> bool:
    """A manager, and two of finance, because nobody approves what they had a hand in."""
    counts = User.objects.filter(is_active=True).aggregate(
        managers=Count("pk", filter=Q(role_set__role=Role.MANAGER), distinct=True),
        finance=Count("pk", filter=Q(role_set__role=Role.FINANCE), distinct=True),
    )
    return counts["managers"] >= 1 and counts["finance"] >= 2


def provider_ready() -> bool:
    return bool(settings.E2R_BASE_URL and settings.E2R_EMAIL) and Product.objects.exists()


def budget_ready() -> bool:
    return Account.objects.filter(book=Account.Book.BUDGET, balance_minor__gt=0).exists()


def facts_ready() -> bool:
    return (
        Delivery.objects.filter(status=Delivery.Status.PROCESSED).exclude(connection__kind__in=Connection.OWN).exists()
    )


STEPS = (
    Step("people", _("Invite a program manager and two people of finance"),
         _("Two of finance, because nobody approves what they had a hand in."),
         "users.edit", "accounts:people", people_ready, _("an administrator")),
    Step("provider", _("Connect the gift card provider and read its catalogue"),
         _("Set E2R_BASE_URL, E2R_EMAIL and E2R_ACCESS_TOKEN, restart, then refresh the catalogue."),
         "catalogue.refresh", "payouts:catalogue-refresh", provider_ready, _("an administrator")),
    Step("budget", _("Fund the first budget"),
         _("Programs pay from budgets; no budget is ever overspent."),
         "budgets.fund", "ledger:budgets", budget_ready, _("finance")),
    Step("participants", _("Add the people who can earn"),
         _("One by one, or from a file with a preview."),
         "participants.edit", "participants:import", Participant.objects.filter(active=True).exists, _("a program manager")),
    Step("connection", _("Let the CRM send its first fact"),
         _("Make a connection and send a test event, or import a file of last quarter's deals."),
         "connections.edit", "crm:connections", facts_ready, _("an administrator")),
    Step("program", _("Launch the first program"),
         _("Start from an example, try it on the deals received, then launch."),
         "programs.edit", "programs:new", Program.objects.filter(launched_at__isnull=False).exists, _("a program manager")),
    Step("payout", _("Approve the first payout"),
         _("The card is ordered as soon as it is approved."),
         "payouts.approve", "payouts:list", Payout.objects.filter(status=Payout.Status.FULFILLED).exists, _("finance")),
)  # fmt: skip


def checklist(user) -> list[Shown]:
    """Every step as this person sees it; empty once the first card was delivered, or for somebody with no turn at all.

    One query then; until then one per step.
    """
    if not any(user.can(step.permission) for step in STEPS) or STEPS[-1].is_done():
        return []
    return [_shown(step, user) for step in STEPS]


def _shown(step: Step, user) -> Shown:
    done = step.is_done()
    may = user.can(step.permission) and step.where and not done
    return Shown(step, done, reverse(step.where) if may else "")
