"""The log of what was sent, for administrators: to whom over which channel, and what became of it. Never what it said."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Since, Tab, Until
from incentives.notifications import outbox, registry, sending
from incentives.notifications.models import ChannelEndpoint, Delivery

S = Delivery.Status
PARENT = (_("Notifications"), "notifications:log")


def kind_label(delivery: Delivery) -> str:
    if delivery.kind in (Delivery.HOURLY, Delivery.DAILY):
        return gettext("Hourly digest") if delivery.kind == Delivery.HOURLY else gettext("Daily digest")
    one = registry.find(delivery.kind)
    return str(one.label) if one else delivery.kind


def kind_choices() -> list[tuple[str, object]]:
    digests = [(Delivery.HOURLY, _("Hourly digest")), (Delivery.DAILY, _("Daily digest"))]
    return [(one.name, one.label) for one in registry.every()] + digests


class LogFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(label=_("Kind"), choices=kind_choices)
    channel = django_filters.ChoiceFilter(label=_("Channel"), choices=Delivery.Channel.choices)
    endpoint = django_filters.ModelChoiceFilter(label=_("Chat channel"), queryset=ChannelEndpoint.objects.all())
    since = Since(field_name="created_at", label=_("From"))
    until = Until(field_name="created_at", label=_("Until"))

    class Meta:
        model = Delivery
        fields: list[str] = []


class LogPage(ListPage):
    permission = "notifications.view"
    title = _("Notifications")
    lead = _(
        "Every message Laurel sent or tries to send. Addresses are shown in part; what a message said is not kept."
    )
    template_name = "notifications/log.html"
    search = ("recipient__name", "endpoint__name", "kind", "last_error")
    search_hint = _("Name, channel, kind or error")
    filterset_class = LogFilters
    default_sort = "-created_at"
    export_name = "notifications"
    empty_icon, empty_title = "mail", _("Nothing was sent yet")
    empty_text = _("Messages appear here as soon as there is something to tell.")
    actions = (Link(_("Chat channels"), "notifications:channels", "notifications.view", "message"),)
    tabs = (
        Tab("all", _("All")),
        Tab("waiting", _("Waiting"), Q(status=S.WAITING)),
        Tab("sent", _("Sent"), Q(status=S.SENT)),
        Tab("failed", _("Failed"), Q(status=S.FAILED)),
        Tab("dropped", _("No longer needed"), Q(status=S.DROPPED)),
    )
    columns = (
        Column("kind", _("Notice"), kind_label, note="last_error", sort="kind", link=True, phone="title"),
        Column("to", _("To"), lambda d: str(d.recipient or d.endpoint), note="address",
               sort=("recipient__name", "endpoint__name")),
        Column("address", _("Address, in part"), screen=False),
        Column("channel", _("Channel"), lambda d: d.get_channel_display(), sort="channel"),
        Column("count", _("Things told"), kind="number", sort="count"),
        Column("status", _("State"), kind="status", sort="status", phone="value"),
        Column("last_error", _("Last error"), screen=False),
        Column("attempts", _("Attempts"), kind="number", sort="attempts"),
        Column("next_attempt_at", _("Next attempt"), kind="time", sort="next_attempt_at"),
        Column("created_at", _("Made"), kind="time", sort="created_at"),
        Column("ended_at", _("Ended"), kind="time", sort="ended_at"),
    )  # fmt: skip

    def get_queryset(self):
        return Delivery.objects.select_related("recipient", "endpoint")

    def get_context(self) -> dict:
        return {"outbox": outbox.figures()}


class DeliveryPage(DetailPage):
    permission = "notifications.view"
    model = Delivery
    template_name = "notifications/delivery.html"
    parent = PARENT

    def get_queryset(self):
        return Delivery.objects.select_related("recipient", "endpoint")

    def get_context(self, thing) -> dict:
        rows = thing.notifications.order_by("pk")
        labels = {one.name: one.label for one in registry.every()}
        told = [{"label": labels.get(row.kind, row.kind), "key": row.key, "at": row.created_at} for row in rows[:50]]
        return {"kind_label": kind_label(thing), "told": told, "more": max(0, thing.count - len(told))}


class AgainPage(ActionPage):
    permission = "notifications.edit"
    model = Delivery
    parent = PARENT
    title, submit = _("Send it again?"), _("Send again")
    text = _("The message is made anew from what is true now; what is no longer true is left out.")

    def get_queryset(self):
        return Delivery.objects.filter(status=S.FAILED)

    def perform(self, thing, data: dict) -> str:
        sending.send_again(delivery=thing, actor=self.request.user)
        return gettext("It will be sent within a minute.")
