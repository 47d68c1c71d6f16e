"""Orders at the provider: where each stands, what a person may do about it, the channel and the catalogue.

A claim link never appears on these pages: whoever has it has the money (promise 10).
"""

from functools import cached_property

import django_filters
from django.db.models import Q
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.payouts import services, wording
from incentives.payouts.forms import OrderFilters, ReasonForm, ResolveForm, ShownForm
from incentives.payouts.links import order_url
from incentives.payouts.models import OrderDecision
from incentives.payouts.services.orders import RESOLVE, receives
from rewards import channel as channels
from rewards import selectors as rewards
from rewards.models import DeliveryType, OrderAttempt, Product, RewardOrder
from rewards.money import Money

PARENT = (_("Orders"), "payouts:orders")
O = RewardOrder.State  # noqa: E741


def recipient_name(order) -> str:
    """Whom the card is for, by the payout it belongs to."""
    if order.is_batch:
        return gettext("%(n)s people’s cards") % {"n": order.line_count}
    payout = getattr(order, "payout", None)
    return payout.recipient_name if payout else ""


def product_name(order) -> str:
    """Of a batch: of its lines, where they differ."""
    if not order.is_batch:
        return order.product.name
    names = {line.product.name for line in order.lines.all()}
    return names.pop() if len(names) == 1 else gettext("Several")


def batch_number(order) -> str:
    return order.batch.po_number if order.batch else ""


ITSELF = Q(batch__isnull=True) | Q(attempt_count__gt=0) | Q(state=RewardOrder.State.DRAFT)
"""Orders that are or may be sent. The others are lines of a batch: the batch stands for them."""


def with_currency(name: str):
    def cash(order) -> Money | None:
        minor = getattr(order, name)
        return None if minor is None else Money(minor, order.currency)

    return cash


class OrdersPage(ListPage):
    permission = "orders.view"
    title = _("Orders")
    lead = _(
        "One order, one number, one card; a batch carries several as its lines. What the provider knows about each."
    )
    template_name = "orders/orders.html"
    search = ("po_number", "reference", "provider_order_id")
    search_hint = _("PONumber, payout or provider id")
    filterset_class = OrderFilters
    export_name = "orders"
    export_permission = "reports.export"
    default_sort = "-created_at"
    empty_icon, empty_title = "orders", _("No orders here")
    empty_text = _("An order is written when a payout is approved.")
    actions = (Link(_("Catalogue"), "payouts:catalogue", "orders.view", "gift"),)
    tabs = (
        Tab("flight", _("In flight"), Q(state__in=(O.DRAFT, O.SUBMITTING, O.PENDING))),
        Tab("unfunded", _("Unfunded"), Q(state=O.UNFUNDED)),
        Tab("review", _("Needs a person"), Q(state=O.REVIEW)),
        Tab("completed", _("Issued"), ITSELF & Q(state=O.COMPLETED)),
        Tab("ended", _("Ended"), Q(state__in=(O.REJECTED, O.FAILED, O.CANCELLED))),
        Tab("all", _("All")),
    )
    BASE = (
        Column("po_number", _("PONumber"), sort="po_number", link=order_url),
        Column("recipient", _("Recipient"), recipient_name),
        Column("product", _("Product"), product_name, sort="product__name"),
        Column("amount", _("Amount"), "value", kind="money", sort="amount_minor"),
        Column("state", _("State"), kind="status", sort="state", words=dict(O.choices)),
        Column("created_at", _("Written"), kind="time", sort="created_at"),
        Column("next_attempt_at", _("Next step"), kind="time", sort="next_attempt_at"),
        Column("cost", _("Cost"), kind="money", screen=False),
        Column("expected", _("Expected cost"), with_currency("expected_cost_minor"), kind="money", screen=False),
        Column("provider_id", _("Provider id"), "provider_order_id", screen=False),
        Column("reference", _("Payout"), screen=False),
        Column("batch", _("Line of"), batch_number, screen=False),
    )
    ADDRESS = Column("address", _("Address"), "recipient", screen=False)

    @cached_property
    def columns(self):
        return (*self.BASE, self.ADDRESS) if self.request.user.can(RESOLVE) else self.BASE

    def get_queryset(self):
        return rewards.orders().select_related("payout", "batch").prefetch_related("lines__product")

    def get_context(self) -> dict:
        channel = channels.current()
        return {
            "channel": channel,
            "channel_words": wording.channel_in_words(channel),
            "channel_open": channel.may_send,
            "may_resolve": self.request.user.can(RESOLVE),
            "unfunded": RewardOrder.objects.filter(state=O.UNFUNDED).count(),
        }


class OrderPage(DetailPage):
    permission = "orders.view"
    parent = PARENT
    template_name = "orders/order.html"

    def get_queryset(self):
        return RewardOrder.objects.select_related(
            "product", "channel", "payout__program", "payout__participant", "batch"
        )

    def get_context(self, thing) -> dict:
        payout, user = getattr(thing, "payout", None), self.request.user
        proposal = open_proposal(thing)
        resolves = user.can(RESOLVE) and not receives(user, thing)
        return {
            "order": thing,
            "words": wording.order_in_words(thing, thing.channel),
            "payout": payout,
            "lines": thing.lines.select_related("product", "payout").order_by("line") if thing.is_batch else [],
            "product": product_name(thing),
            "attempts": [attempt_row(attempt) for attempt in thing.attempts.all()],
            "events": [event_row(event) for event in thing.events.all()],
            "cost": thing.cost,
            "expected": with_currency("expected_cost_minor")(thing),
            "difference": difference(thing),
            "proposal": proposal,
            "shown_form": proposal and ShownForm(initial={"shown": proposal.pk}, auto_id="shown_%s"),
            "own_proposal": proposal and proposal.proposed_by_id == user.pk,
            "may_resolve": resolves and thing.state == O.REVIEW,
            "may_ask_review": resolves and thing.state in (O.UNFUNDED, O.PENDING, O.SUBMITTING),
            "delivery": DeliveryType(thing.delivery_type).label,
            "shows_address": user.can(RESOLVE),
        }


def open_proposal(order) -> OrderDecision | None:
    return order.decisions.filter(closed_at__isnull=True).select_related("proposed_by").first()


def difference(order) -> Money | None:
    if order.cost_minor is None or order.expected_cost_minor is None:
        return None
    return Money(order.cost_minor - order.expected_cost_minor, order.currency)


def attempt_row(attempt: OrderAttempt) -> dict:
    open_end = attempt.outcome == "" and attempt.ended_at is None
    look = {"accepted": "done", "conflict": "warning", "refused": "failed"}.get(attempt.outcome, "unknown")
    return {"attempt": attempt, "status": "unknown" if open_end else look, "label": attempt.get_outcome_display()}


def event_row(event) -> dict:
    title = dict(O.choices).get(event.new, event.new)
    return {
        "title": title,
        "status": event.new,
        "at": event.at,
        "by": event.actor_name or "Laurel",
        "text": event.reason or event.code,
    }


# --- deciding -----------------------------------------------------------------------------------------------------------
class OrderAction(ActionPage):
    permission = RESOLVE
    form_class = ReasonForm

    def get_queryset(self):
        return RewardOrder.objects.select_related("product", "channel")

    def success_url(self, thing) -> str:
        return order_url(thing)

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, (thing.po_number, order_url(thing)))}


class ResolvePage(OrderAction):
    form_class = ResolveForm
    title, submit = _("Decide about this order"), _("Decide")
    text = _("A final answer waits for a second person of finance. Asking again and binding take effect at once.")

    def perform(self, thing, data: dict) -> str:
        who = {"order": thing, "actor": self.request.user, "reason": data["reason"]}
        if data["decision"] in OrderDecision.Decision.values:
            services.propose_decision(
                decision=data["decision"],
                evidence=data["evidence"],
                provider_order_id=data["provider_order_id"],
                **who,
            )
            return gettext("Proposed. Another person of finance must confirm it; nothing has happened yet.")
        order = services.decide_review(
            decision=data["decision"], provider_order_id=data["provider_order_id"].strip(), **who
        )
        return wording.order_in_words(order)


class ProposalAction(OrderAction):
    form_class = ShownForm

    def get_object(self):
        order = super().get_object()
        self.proposal = get_object_or_404(
            OrderDecision.objects.select_related("order", "proposed_by"), order=order, closed_at__isnull=True
        )
        return order

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"shown": self.proposal.pk}}

    def require_shown(self, data: dict) -> None:
        if data["shown"] != str(self.proposal.pk):
            raise DomainError(gettext("This is another proposal than the one shown. Reload the order and look again."))

    def get_context(self, thing) -> dict:
        text = gettext("%(who)s proposed: %(what)s. Evidence: %(proof)s") % {
            "who": self.proposal.proposed_by,
            "what": self.proposal.get_decision_display(),
            "proof": self.proposal.evidence,
        }
        return {"text": text, **super().get_context(thing)}


class ConfirmDecisionPage(ProposalAction):
    title, submit, danger = _("Confirm this final answer?"), _("Confirm"), True

    def perform(self, thing, data: dict) -> str:
        self.require_shown(data)
        return wording.order_in_words(services.confirm_decision(proposal=self.proposal, actor=self.request.user))


class WithdrawDecisionPage(ProposalAction):
    title, submit = _("Withdraw the proposal?"), _("Withdraw")

    def perform(self, thing, data: dict) -> str:
        self.require_shown(data)
        services.withdraw_decision(proposal=self.proposal, actor=self.request.user)
        return gettext("Withdrawn. The order still needs a person.")


class AskReviewPage(OrderAction):
    title, submit = _("Take this order out of the automatic path?"), _("Send to review")
    text = _("Nothing more is sent for it until a person of finance has decided.")

    def perform(self, thing, data: dict) -> str:
        services.ask_for_review(order=thing, actor=self.request.user, reason=data["reason"])
        return gettext("A person must decide about it now.")


# --- the channel --------------------------------------------------------------------------------------------------------
class ChannelAction(ActionPage):
    permission = RESOLVE
    parent = PARENT
    form_class = ReasonForm

    def success_url(self, thing) -> str:
        return reverse("payouts:orders")


class ResumePage(ChannelAction):
    title, submit = _("Resume unfunded orders?"), _("Resume")
    text = _("Do this after the deposit account was funded. Each order is sent again under its own number.")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"reason": gettext("The deposit account was funded.")}}

    def perform(self, thing, data: dict) -> str:
        count = services.resume(actor=self.request.user, reason=data["reason"])
        return ngettext("%(n)s order is sent again.", "%(n)s orders are sent again.", count) % {"n": count}


class OpenPage(ChannelAction):
    title, submit = _("Send orders again?"), _("Send again")
    text = _("The channel stopped because something was wrong. Open it once the cause is gone.")

    def perform(self, thing, data: dict) -> str:
        services.open_channel(actor=self.request.user, reason=data["reason"])
        return gettext("The channel is open.")


class StopPage(ChannelAction):
    title, submit, danger = _("Stop all orders?"), _("Stop all orders"), True
    text = _("No order is sent from this moment on. Starting again needs two people.")

    def perform(self, thing, data: dict) -> str:
        services.stop_everything(actor=self.request.user, reason=data["reason"])
        return gettext("Stopped. No order is sent until two people restart.")


class RestartPage(ChannelAction):
    title, submit = _("Restart after the emergency stop?"), _("Restart")
    text = _("One person asks, a second person confirms; only then are orders sent again.")

    def perform(self, thing, data: dict) -> str:
        if services.restart(actor=self.request.user, reason=data["reason"]):
            return gettext("Orders are sent again.")
        return gettext("Asked. A second person must confirm the restart.")


# --- the catalogue ------------------------------------------------------------------------------------------------------
class ProductFilters(django_filters.FilterSet):
    currency = django_filters.CharFilter(lookup_expr="iexact", label=_("Currency"))
    orderable = django_filters.BooleanFilter(label=_("Can be ordered"))

    class Meta:
        model = Product
        fields: list[str] = []


def deliveries(product) -> str:
    return ", ".join(str(DeliveryType(kind).label) for kind in product.delivery_types)


class CataloguePage(ListPage):
    permission = ("orders.view", "catalogue.refresh")
    title = _("Catalogue")
    template_name = "orders/catalogue.html"
    search = ("name", "product_id")
    filterset_class = ProductFilters
    default_sort = "name"
    empty_icon, empty_title = "gift", _("The catalogue is empty")
    empty_text = _("Refresh it to fetch the provider's products.")
    tabs = (Tab("now", _("Can be ordered"), Q(orderable=True)), Tab("all", _("All")))
    columns = (
        Column("name", _("Product"), template="orders/_product.html", sort="name", phone="title"),
        Column("values", _("Values"), rewards.denominations_text),
        Column("delivery", _("Delivery"), deliveries),
        Column("fee", _("Fee"), lambda p: Money(p.fee_minor, p.currency), kind="money", sort="fee_minor", phone="value"),
        Column("discount", _("Discount"), lambda p: p.discount_percent / 100, kind="percent", sort="discount_percent"),
        Column("orderable", _("State"), lambda p: "available" if p.orderable else "inactive", kind="status",
               words={"available": _("Can be ordered"), "inactive": _("Not any more")}),
    )  # fmt: skip

    def get_queryset(self):
        return Product.objects.all()

    def get_context(self) -> dict:
        return {"channel": channels.current(), "crumbs": crumbs(PARENT)}


class RefreshPage(ActionPage):
    permission = "catalogue.refresh"
    parent = PARENT
    title, submit = _("Refresh the catalogue?"), _("Refresh")
    text = _("Fetches products, values and fees from the provider. If that fails, the present copy stays.")

    def success_url(self, thing) -> str:
        return reverse("payouts:catalogue")

    def perform(self, thing, data: dict) -> str:
        count = services.refresh_catalogue(actor=self.request.user)
        return ngettext("%(n)s product in the catalogue.", "%(n)s products in the catalogue.", count) % {"n": count}
