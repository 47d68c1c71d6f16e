"""Transfers between budgets, and a budget's place in the tree."""

import django_filters
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, DetailPage, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import money_text
from incentives.ledger import transfers, tree
from incentives.ledger.models import BudgetTransfer
from incentives.ledger.selectors import budget_figures, visible_budgets
from incentives.ledger.transfer_forms import NoteForm, PlaceForm, TransferForm

BUDGETS = (_("Budgets"), "ledger:budgets")
PARENT = (_("Transfers"), "ledger:transfers")
S = BudgetTransfer.Status


class TransferFilters(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(label=_("Status"), choices=S.choices)
    currency = django_filters.AllValuesMultipleFilter(label=_("Currency"))
    since = Since(field_name="proposed_at", label=_("From"))
    until = Until(field_name="proposed_at", label=_("To"))

    class Meta:
        model = BudgetTransfer
        fields: list[str] = []


class TransfersPage(ListPage):
    permission = "budgets.view"
    title = _("Transfers")
    lead = _("Available money moved between budgets. One person proposes, another decides; until then nothing is held.")
    search = ("source__name", "destination__name", "reason", "proposed_by__name")
    search_hint = _("Budget, reason or who")
    filterset_class = TransferFilters
    tabs = (Tab("all", _("All")), Tab("waiting", _("Waiting"), transfers.WAITING))
    default_sort = "-proposed"
    export_name = "budget transfers"
    empty_icon, empty_title = "budgets", _("No transfer yet")
    empty_text = _("Propose one on the page of the budget the money should come from.")
    columns = (
        Column("source", _("From"), "source.name", link=True, sort="source__name", note="reason"),
        Column("destination", _("To"), "destination.name", sort="destination__name"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("status", _("Status"), kind="status", sort="status"),
        Column("proposed", _("Proposed"), "proposed_at", kind="time", sort="proposed_at", note="proposed_by.name"),
        Column("decided", _("Decided"), "decided_at", kind="time", sort="decided_at", note="decided_by.name"),
        Column("reason", _("Reason"), screen=False),
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
            "left": budget_figures([thing.source])[thing.source_id].available,
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
