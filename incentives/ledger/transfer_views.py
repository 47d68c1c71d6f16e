"""Transfers between budgets and funding that needs a second person, a budget's place in the tree and its thresholds, and
how much one person funds alone."""

import django_filters
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import money_text
from incentives.ledger import alerts, funding, transfers, tree
from incentives.ledger.models import BudgetTransfer, FundingLimit
from incentives.ledger.selectors import budget_figures, visible_budgets
from incentives.ledger.transfer_forms import (
    FundingLimitForm,
    NoteForm,
    PlaceForm,
    ShownLimitForm,
    ThresholdsForm,
    TransferForm,
)
from rewards.money import Money

BUDGETS = (_("Budgets"), "ledger:budgets")
PARENT = (_("Transfers"), "ledger:transfers")
S = BudgetTransfer.Status


def from_where(transfer: BudgetTransfer) -> str:
    """The budget it comes from, or the document of new money."""
    return (
        gettext("New money, %(reference)s") % {"reference": transfer.reference}
        if transfer.is_funding
        else str(transfer.source)
    )


class TransferFilters(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(label=_("Status"), choices=S.choices)
    source__isnull = django_filters.BooleanFilter(
        field_name="source", lookup_expr="isnull", label=_("Funding from outside")
    )
    currency = django_filters.AllValuesMultipleFilter(label=_("Currency"))
    since = Since(field_name="proposed_at", label=_("From"))
    until = Until(field_name="proposed_at", label=_("To"))

    class Meta:
        model = BudgetTransfer
        fields: list[str] = []


class TransfersPage(ListPage):
    permission = "budgets.view"
    title = _("Transfers")
    lead = _(
        "Money moved between budgets, and funding too large for one person. One person proposes, another decides; until then "
        "nothing is held."
    )
    search = ("source__name", "destination__name", "reason", "reference", "proposed_by__name")
    search_hint = _("Budget, document, reason or who")
    filterset_class = TransferFilters
    tabs = (Tab("all", _("All")), Tab("waiting", _("Waiting"), transfers.WAITING))
    default_sort = "-proposed"
    actions = (Link(_("Funding limits"), "ledger:funding-limits", "budgets.view", "lock"),)
    export_name = "budget transfers"
    empty_icon, empty_title = "budgets", _("No transfer yet")
    empty_text = _("Propose one on the page of the budget the money should come from.")
    columns = (
        Column("source", _("From"), from_where, link=True, sort="source__name", note="reason"),
        Column("destination", _("To"), "destination.name", sort="destination__name"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("status", _("Status"), kind="status", sort="status"),
        Column("proposed", _("Proposed"), "proposed_at", kind="time", sort="proposed_at", note="proposed_by.name"),
        Column("decided", _("Decided"), "decided_at", kind="time", sort="decided_at", note="decided_by.name"),
        Column("reason", _("Reason"), screen=False),
        Column("reference", _("Document"), screen=False),
        Column("proposed_by", _("Proposed by"), screen=False),
        Column("decided_by", _("Decided by"), screen=False),
    )

    def get_queryset(self):
        found = transfers.visible_transfers(self.request.user)
        return found.select_related("source", "destination", "proposed_by", "decided_by")


class TransferPage(DetailPage):
    permission = "budgets.view"
    parent = PARENT
    template_name = "ledger/transfer.html"

    def get_queryset(self):
        found = transfers.visible_transfers(self.request.user)
        return found.select_related("source", "destination", "proposed_by", "decided_by")

    def get_context(self, thing) -> dict:
        is_open = thing.status == S.PROPOSED and self.request.user.can("budgets.fund")
        mine = thing.proposed_by_id == self.request.user.pk
        return {
            "left": None if thing.is_funding else budget_figures([thing.source])[thing.source_id].available,
            "may_decide": is_open and not mine,
            "may_withdraw": is_open and mine,
        }


class BudgetAction(ActionPage):
    permission = "budgets.fund"

    def get_queryset(self):
        return visible_budgets(self.request.user)

    def get_form_kwargs(self, thing) -> dict:
        return {"budget": thing}

    def get_context(self, thing) -> dict:
        return {
            "title": self.title % {"budget": thing.name},
            "crumbs": crumbs(BUDGETS, (thing.name, thing.get_absolute_url())),
        }


class ProposePage(BudgetAction):
    form_class = TransferForm
    title = _("Transfer from %(budget)s")
    submit = _("Propose")

    def get_context(self, thing) -> dict:
        left = money_text(budget_figures([thing])[thing.pk].available)
        text = gettext("Available now: %(amount)s. Another person of finance must approve.") % {"amount": left}
        return {**super().get_context(thing), "text": text}

    def perform(self, thing, data: dict) -> str:
        self.made = transfers.propose(source=thing, actor=self.request.user, **data)
        return gettext("Proposed. It moves once another person of finance approves it.")

    def success_url(self, thing) -> str:
        return getattr(self, "made", thing).get_absolute_url()


class PlacePage(BudgetAction):
    form_class = PlaceForm
    title = _("Place %(budget)s")
    text = _("Sums of the budgets above it change; no money moves.")
    submit = _("Place")

    def perform(self, thing, data: dict) -> str:
        tree.place(budget=thing, parent=data["parent"], actor=self.request.user)
        return gettext("Placed.")


class ThresholdsPage(BudgetAction):
    form_class = ThresholdsForm
    title = _("Alerts of %(budget)s")
    text = _(
        "Finance and the owner get one e-mail when a threshold is crossed, and the next only after money came in and it is "
        "crossed again. What counts is the budget's own money, without the budgets below it."
    )
    submit = _("Save")

    def perform(self, thing, data: dict) -> str:
        alerts.set_thresholds(budget=thing, actor=self.request.user, **data)
        return gettext("Saved.")


class TransferAction(ActionPage):
    permission = "budgets.fund"
    parent = PARENT

    def get_queryset(self):
        return transfers.visible_transfers(self.request.user)

    def get_context(self, thing) -> dict:
        return {"text": str(thing), "crumbs": crumbs(PARENT, (str(thing), thing.get_absolute_url()))}


class ApprovePage(TransferAction):
    title, submit = _("Approve the transfer?"), _("Approve")

    def perform(self, thing, data: dict) -> str:
        transfers.approve(transfer=thing, actor=self.request.user)
        return gettext("Approved: the money has moved.")


class DeclinePage(TransferAction):
    title, submit, danger, form_class = _("Decline the transfer?"), _("Decline"), True, NoteForm

    def perform(self, thing, data: dict) -> str:
        transfers.decline(transfer=thing, actor=self.request.user, note=data["note"])
        return gettext("Declined. Nothing has moved.")


class WithdrawTransferPage(TransferAction):
    title, submit = _("Withdraw your proposal?"), _("Withdraw")

    def perform(self, thing, data: dict) -> str:
        transfers.withdraw(transfer=thing, actor=self.request.user)
        return gettext("Withdrawn. Nothing has moved.")


# --- how much one person funds alone ------------------------------------------------------------------------------------
class FundingLimitsPage(ListPage):
    permission = "budgets.view"
    title = _("Funding limits")
    lead = _(
        "What one person of finance may put into budgets in 24 hours alone; more is confirmed by a second person. Where no "
        "limit is set, 100,000 in the budget's currency holds. A change holds once another person has confirmed it."
    )
    default_sort = "currency"
    actions = (Link(_("Propose a limit"), "ledger:funding-limit-new", "budgets.fund", "plus", primary=True),)
    empty_icon, empty_title = "lock", _("No limit is set")
    empty_text = _("In every currency 100,000 holds.")
    template_name = "ledger/funding_limits.html"
    columns = (
        Column("currency", _("Currency"), sort="currency"),
        Column("amount", _("Holds now"), kind="money", sort="amount_minor"),
        Column("set", _("Confirmed"), "confirmed_at", kind="time", sort="confirmed_at", note="confirmed_by.name"),
        Column("proposed", _("Proposed"), kind="money", sort="proposed_minor", note="proposed_by.name"),
    )

    def get_queryset(self):
        return FundingLimit.objects.select_related("proposed_by", "confirmed_by")

    def get_context(self) -> dict:
        waiting = FundingLimit.objects.filter(proposed_minor__isnull=False).select_related("proposed_by")
        may = self.request.user.can("budgets.fund")
        return {"crumbs": crumbs(BUDGETS, PARENT), "waiting": list(waiting) if may else []}


class LimitAction(ActionPage):
    permission = "budgets.fund"
    parent = (_("Funding limits"), "ledger:funding-limits")

    def get_queryset(self):
        return FundingLimit.objects.filter(proposed_minor__isnull=False).select_related("proposed_by")

    def success_url(self, thing) -> str:
        return reverse("ledger:funding-limits")


class ProposeLimitPage(LimitAction):
    form_class = FundingLimitForm
    title, submit = _("Propose a funding limit"), _("Propose")
    text = _("The present limit holds until another person of finance has confirmed this one.")

    def perform(self, thing, data: dict) -> str:
        funding.propose_limit(amount=data["money"], actor=self.request.user)
        return gettext("Proposed. It holds once another person of finance confirms it.")


class ConfirmLimitPage(LimitAction):
    form_class = ShownLimitForm
    title, submit = _("Confirm this limit?"), _("Confirm")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"shown": thing.proposed_minor}}

    def get_context(self, thing) -> dict:
        text = gettext("%(who)s proposed %(new)s instead of %(old)s.")
        shown = {"who": thing.proposed_by, "new": money_text(thing.proposed), "old": money_text(thing.amount)}
        return {"text": text % shown}

    def perform(self, thing, data: dict) -> str:
        shown = Money(data["shown"], thing.currency)
        funding.confirm_limit(limit=thing, shown=shown, actor=self.request.user)
        return gettext("Confirmed: the limit holds from now on.")


class WithdrawLimitPage(LimitAction):
    title, submit = _("Withdraw this proposal?"), _("Withdraw")

    def perform(self, thing, data: dict) -> str:
        funding.withdraw_limit(limit=thing, actor=self.request.user)
        return gettext("Withdrawn. The present limit stays.")
