"""Budgets: the list, one budget with its postings, and moving money in and out."""

from functools import cached_property

import django_filters
from django.db.models import Prefetch, Q
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import money_text
from incentives.ledger import alerts, panels, services, transfers, tree
from incentives.ledger.errors import BudgetInvalid, KeyReused, SecondPersonNeeded
from incentives.ledger.forms import BudgetForm, MovementForm
from incentives.ledger.models import Budget, BudgetAlert, BudgetTransfer, Posting
from incentives.ledger.selectors import BudgetFigures, budget_figures, postings_of, visible_budgets
from rewards.money import Money

PARENT = (_("Budgets"), "ledger:budgets")
BUCKETS = {
    "available": _("Available"),
    "reserved": _("Reserved"),
    "committed": _("Committed"),
    "spent": _("Spent"),
    "funding": _("Funding"),
}
KINDS = {
    "allocate": _("Funded"),
    "return": _("Withdrawn"),
    "reserve": _("Reserved"),
    "unreserve": _("Reservation released"),
    "commit": _("Committed"),
    "settle": _("Spent"),
    "release": _("Released"),
    "resolve": _("Settled"),
    "transfer": _("Transferred"),
}


def bucket_name(bucket: str) -> str:
    return str(BUCKETS.get(bucket, bucket.replace("_", " ").capitalize()))


def kind_name(kind: str) -> str:
    return str(KINDS.get(kind, kind.replace("_", " ").capitalize()))


def note_of(posting: Posting) -> str:
    """The document's reference, which the key of a funding carries, and what was noted beside it."""
    prefix, _colon, rest = posting.key.partition(":")
    reference = rest.partition(":")[2] if prefix in {"alloc", "unalloc"} else ""
    return " · ".join(dict.fromkeys(text for text in (reference, posting.memo) if text))


def place_and_owner(budget: Budget) -> str:
    """The threshold that is crossed, the budgets above it, from the top, and whose it is."""
    above = " › ".join(b.name for b in tree.path_of(budget))
    return " · ".join(text for text in (alert_of(budget), above, str(budget.owner or "")) if text)


def alert_of(budget: Budget) -> str:
    """The most severe crossed threshold in words. Of a budget read with `standing`."""
    return alerts.words_of(budget.standing[0]) if budget.standing else ""


def past_a_threshold(_user) -> Q:
    crossed = BudgetAlert.objects.filter(alerts.STANDING, budget__isnull=False)
    return Q(is_active=True, pk__in=crossed.values("budget"))


def end_of(account, budget: Budget) -> str:
    """One end of a posting as the budget's page names it: a bucket, or another budget."""
    return account.budget.name if account.budget_id not in (None, budget.pk) else bucket_name(account.bucket)


def figures_of(budget) -> BudgetFigures:
    """Of a budget read by `with_buckets`, without a query."""
    names = ("available", "reserved", "committed", "spent")
    return BudgetFigures(**{name: Money(getattr(budget, f"{name}_minor") or 0, budget.currency) for name in names})


def _column(name: str, label, **more) -> Column:
    return Column(name, label, lambda row: (getattr(row, f"{name}_minor") or 0, row.currency), kind="money", sort=f"{name}_minor", **more)  # fmt: skip


class BudgetFilters(django_filters.FilterSet):
    currency = django_filters.AllValuesMultipleFilter(label=_("Currency"))

    class Meta:
        model = Budget
        fields: list[str] = []


class BudgetsPage(ListPage):
    permission = "budgets.view"
    title = _("Budgets")
    lead = _(
        "Money set aside for programs: available, reserved, committed or spent. A budget above others shows their sums with its own."
    )
    search = ("name", "note", "owner__name")
    search_hint = _("Name, note or owner")
    filterset_class = BudgetFilters
    default_sort = "name"
    tabs = (
        Tab("active", _("Active"), Q(is_active=True)),
        Tab("alerts", _("Past a threshold"), past_a_threshold),
        Tab("inactive", _("Inactive"), Q(is_active=False)),
    )
    actions = (
        Link(_("Transfers"), "ledger:transfers", "budgets.view", "budgets"),
        Link(_("New budget"), "ledger:new", "budgets.fund", "plus", primary=True),
    )
    export_name = "budgets"
    empty_icon, empty_title = "budgets", _("No budget yet")
    empty_text = _("Finance makes budgets and funds them; programs are paid from them.")
    empty_action = Link(_("New budget"), "ledger:new", "budgets.fund")
    columns = (
        Column("name", _("Budget"), link=True, sort=tree.TREE_ORDER, note=place_and_owner),
        Column("currency", _("Currency"), screen=False),
        _column("allocated", _("Allocated"), phone="more"),
        _column("available", _("Available"), phone="value"),
        _column("reserved", _("Reserved")),
        _column("committed", _("Committed")),
        _column("spent", _("Spent")),
        Column("used", _("Used"), figures_of, template="ledger/_used.html", export=False),
        Column("parent", _("Under"), "parent.name", screen=False),
        Column("alert", _("Alert"), alert_of, screen=False),
    )

    COSTS = (
        ("face", _("Face value")), ("discount", _("Discount")), ("fee", _("Fees")), ("shipping", _("Shipping")),
        ("cost", _("Cost")), ("expected", _("Committed, expected cost")),
    )  # fmt: skip

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.columns = (*type(self).columns, *(self.cost_column(name, label) for name, label in self.COSTS))

    def cost_column(self, name: str, label) -> Column:
        return Column(name, label, lambda row: getattr(self.costs[row.pk], name), kind="money", screen=False)

    @cached_property
    def costs(self) -> dict:
        """Face value and cost of each budget with those below it; read for exports alone."""
        return panels.costs_with_children(Budget.objects.all())

    def get_queryset(self):
        found = tree.in_tree_order(tree.with_tree_sums(visible_budgets(self.request.user)))
        open_ones = BudgetAlert.objects.filter(alerts.STANDING)
        return found.select_related("owner", tree.PARENTS).prefetch_related(
            Prefetch("alerts", open_ones.order_by("-at", "-pk"), to_attr="standing")
        )


class PostingFilters(django_filters.FilterSet):
    kind = django_filters.MultipleChoiceFilter(label=_("What happened"), choices=[*KINDS.items()])
    bucket = django_filters.ChoiceFilter(label=_("Bucket"), choices=[*BUCKETS.items()][:4], method="of_bucket")
    since = Since(field_name="posted_at", label=_("From"))
    until = Until(field_name="posted_at", label=_("To"))

    class Meta:
        model = Posting
        fields: list[str] = []

    def of_bucket(self, queryset, _name, value):
        return queryset.filter(Q(source__bucket=value) | Q(destination__bucket=value))


class BudgetPage(ListPage):
    """One budget: its figures, its programs and every posting."""

    permission = "budgets.view"
    template_name = "ledger/budget.html"
    search = ("key", "memo", "cause", "actor__name")
    search_hint = _("Reference, note or who")
    filterset_class = PostingFilters
    default_sort = "-posted"
    empty_icon, empty_title = "budgets", _("Nothing was posted yet")
    empty_text = _("Fund the budget; then payouts can be reserved from it.")

    @cached_property
    def columns(self):
        return (
            Column("kind", _("What happened"), lambda row: kind_name(row.kind), sort="kind", note=note_of),
            Column("source", _("From"), lambda row: end_of(row.source, self.budget)),
            Column("destination", _("To"), lambda row: end_of(row.destination, self.budget)),
            Column("actor", _("Who"), lambda row: row.actor or "Laurel", sort="actor__name"),
            Column("posted", _("When"), "posted_at", kind="time", sort=("posted_at", "pk")),
            Column("amount", _("Amount"), kind="money", sort="amount_minor"),
            Column("cause", _("Cause"), screen=False),
            Column("key", _("Key"), screen=False),
        )

    @cached_property
    def budget(self) -> Budget:
        found = visible_budgets(self.request.user).select_related("owner", tree.PARENTS)
        return get_object_or_404(found, public_id=self.kwargs["public_id"])

    @property
    def title(self) -> str:
        return self.budget.name

    @property
    def export_name(self) -> str:
        return f"postings {self.budget.name}"

    def get_queryset(self):
        return postings_of(self.budget)

    def get_context(self) -> dict:
        figures, children = budget_figures([self.budget])[self.budget.pk], self._children()
        return {
            "budget": self.budget,
            "figures": figures,
            "together": self._together() if children else None,
            "crossed": [
                alerts.words_of(a) for a in self.budget.alerts.filter(alerts.STANDING).order_by("-at", "-pk")[:1]
            ],
            "waiting": list(
                BudgetTransfer.objects.filter(transfers.WAITING)
                .filter(Q(source=self.budget) | Q(destination=self.budget))
                .select_related("source", "destination")[:10]
            ),
            "panels": panels.of(self.budget),
            "programs": list(self.budget.programs.all()[:50]),
            "children": children,
            "crumbs": crumbs(PARENT, *((b.name, b.get_absolute_url()) for b in tree.path_of(self.budget))),
        }

    def _children(self) -> list[tuple[Budget, BudgetFigures]]:
        return [(b, figures_of(b)) for b in tree.with_tree_sums(self.budget.children.order_by("name"))[:50]]

    def _together(self) -> BudgetFigures:
        """Its own figures and those of everything below it."""
        return figures_of(tree.with_tree_sums(Budget.objects.filter(pk=self.budget.pk)).get())


# --- what finance does -------------------------------------------------------------------------------------------------
class NewBudgetPage(ActionPage):
    permission = "budgets.fund"
    parent = PARENT
    form_class = BudgetForm
    title = _("New budget")
    submit = _("Make the budget")

    def perform(self, thing, data: dict) -> str:
        self.made = services.create_budget(
            name=data["name"], currency=data["currency"], note=data["note"], actor=self.request.user
        )
        return gettext("The budget %(name)s is there, and empty. Fund it next.") % {"name": self.made}

    def success_url(self, thing) -> str:
        return self.made.get_absolute_url() if hasattr(self, "made") else reverse("ledger:budgets")


class MovementPage(ActionPage):
    """Money in or out, with the document behind it. A reference that was booked already moves nothing."""

    permission = "budgets.fund"
    form_class = MovementForm
    service = None
    key = done = ""

    def get_queryset(self):
        return visible_budgets(self.request.user)

    def get_form_kwargs(self, thing) -> dict:
        return {"budget": thing}

    def get_context(self, thing) -> dict:
        figures = budget_figures([thing])[thing.pk]
        text = gettext("Available now: %(amount)s.") % {"amount": money_text(figures.available)}
        return {
            "title": self.title % {"budget": thing.name},
            "text": text,
            "crumbs": crumbs(PARENT, (thing.name, thing.get_absolute_url())),
        }

    def perform(self, thing, data: dict) -> str:
        reference, money = data["reference"].strip(), data["amount"]
        values = {"reference": reference, "amount": money_text(money), "budget": thing}
        booked = Posting.objects.filter(key=f"{self.key}:{thing.public_id}:{reference}").exists()
        try:
            type(self).service(
                budget=thing, amount=money, reference=reference, memo=data["memo"], actor=self.request.user
            )
        except KeyReused as exc:
            message = gettext(
                "The reference %(reference)s was booked already, with another amount. Nothing was changed."
            )
            raise BudgetInvalid(message % values) from exc
        if booked:
            return gettext("The reference %(reference)s was booked already; nothing was changed.") % values
        return self.done % values


class FundPage(MovementPage):
    """More than one person may fund alone becomes a proposal that another person confirms."""

    title = _("Fund %(budget)s")
    submit = _("Fund")
    service, key = services.fund, "alloc"
    done = _("%(amount)s were added to %(budget)s.")

    def perform(self, thing, data: dict) -> str:
        try:
            return super().perform(thing, data)
        except SecondPersonNeeded:
            self.made = transfers.propose_funding(budget=thing, actor=self.request.user, **data)
            return gettext("That is more than one person funds alone: proposed. Another person of finance confirms it.")

    def success_url(self, thing) -> str:
        return getattr(self, "made", thing).get_absolute_url()


class WithdrawPage(MovementPage):
    title = _("Withdraw from %(budget)s")
    submit = _("Withdraw")
    service, key = services.withdraw, "unalloc"
    done = _("%(amount)s were returned from %(budget)s.")
    danger = True
