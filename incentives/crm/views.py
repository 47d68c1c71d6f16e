"""Activities, quarantine and connections."""

import contextlib
import json
import uuid

import django_filters
from django.db.models import Q
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import ActionPage, Bulk, Column, DetailPage, Guarded, Link, ListPage, Since, Tab, Until
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import words
from incentives.crm import selectors, services
from incentives.crm.forms import (
    ConnectionForm,
    ConnectionSettingsForm,
    NewSecretForm,
    ReasonForm,
    RepairForm,
)
from incentives.crm.models import Activity, Connection, Delivery

ACTIVITIES = (_("Activities"), "crm:activities")
QUARANTINE = (_("Quarantine"), "crm:quarantine")
CONNECTIONS = (_("Connections"), "crm:connections")


def link(name: str):
    """A function giving the address of a row with a public id."""
    return lambda row: reverse(name, args=[row.public_id])


class ActivityFilters(django_filters.FilterSet):
    kind = django_filters.MultipleChoiceFilter(label=_("Kind"), choices=Activity.Kind.choices)
    connection = django_filters.ModelMultipleChoiceFilter(
        label=_("Connection"), queryset=lambda request: Connection.objects.order_by("name")
    )
    since = Since(field_name="occurred_at", label=_("From"))
    until = Until(field_name="occurred_at", label=_("To"))

    class Meta:
        model = Activity
        fields: list[str] = []


class ActivitiesPage(ListPage):
    permission = "activities.view"
    title = _("Activities")
    lead = _("Every business fact as it was received and understood.")
    search = ("external_id", "object__object_id", "participant__name", "participant__external_user_id")
    search_hint = _("Record, participant or id")
    filterset_class = ActivityFilters
    export_name, export_permission = "activities", "reports.export"
    actions = (
        Link(_("Quarantine"), "crm:quarantine", "activities.view", "alert"),
        Link(_("Import a file"), "crm:import", "activities.import", "upload"),
    )
    columns = (
        Column("kind", _("What"), "get_kind_display", sort="kind", link=link("crm:activity"), note="external_id"),
        Column("external_id", _("Id"), screen=False),
        Column("participant", _("Participant"), "participant.name", sort="participant__name"),
        Column("amount", _("Amount"), lambda row: row.snapshot.get("amount"), kind="number", phone="value"),
        Column("currency", _("Currency"), lambda row: row.snapshot.get("currency", "")),
        Column("occurred_at", _("Happened"), kind="time", sort="occurred_at"),
        Column("received_at", _("Received"), kind="time", sort="received_at"),
        Column("connection", _("Connection"), "connection.name", sort="connection__name"),
    )
    empty_icon, empty_title = "activities", _("No facts yet")
    empty_text = _("Connect a system or import a file, and every deal shows here.")
    empty_action = Link(_("Import a file"), "crm:import", "activities.import")

    def get_queryset(self):
        return selectors.activities(self.request.user)


class ActivityPage(DetailPage):
    permission = "activities.view"
    template_name = "crm/activity.html"
    parent = ACTIVITIES

    def get_queryset(self):
        return selectors.activities(self.request.user).select_related("delivery")

    def get_context(self, thing) -> dict:
        history = thing.object.activities.order_by("pk")[:200]
        changes = [
            {"name": name, "before": old, "after": thing.snapshot.get(name)} for name, old in thing.previous.items()
        ]
        return {
            "activity": thing,
            "standing": thing.object,
            "changes": changes,
            "events": [
                {
                    "title": a.get_kind_display(),
                    "at": a.occurred_at,
                    "status": a.kind.split(".")[-1],
                    "text": a.external_id,
                }
                for a in history
            ],
        }


# --- quarantine -----------------------------------------------------------------------------------------------------------


class QuarantineFilters(django_filters.FilterSet):
    connection = django_filters.ModelMultipleChoiceFilter(
        label=_("Connection"), queryset=lambda request: Connection.objects.order_by("name")
    )
    code = django_filters.CharFilter(label=_("Problem"), lookup_expr="icontains")

    class Meta:
        model = Delivery
        fields: list[str] = []


class QuarantinePage(ListPage):
    permission = "activities.view"
    title = _("Quarantine")
    lead = _("Facts that were received and wait for a person. Mend them, or replay them once the cause is gone.")
    search = ("external_id", "object_id", "code", "message")
    search_hint = _("Record, problem or id")
    filterset_class = QuarantineFilters
    bulk = Bulk("crm:replay", (("replay", _("Replay"), "primary"),), "activities.repair")
    columns = (
        Column("name", _("Record"), lambda row: row.object_id or str(row), link=link("crm:delivery"), sort="object_id"),
        Column("message", _("Problem"), note="code", sort="code"),
        Column("connection", _("Connection"), "connection.name", sort="connection__name"),
        Column("received_at", _("Received"), kind="time", sort="received_at"),
        Column("status", _("State"), kind="status", sort="status", phone="value"),
    )
    empty_icon, empty_title = "done", _("Nothing waits for a person")

    def get_queryset(self):
        return selectors.quarantine(self.request.user)


def uuids(texts: list[str]) -> list[uuid.UUID]:
    """Those that are ids, at most a page of them."""
    found = []
    for text in texts[:100]:
        with contextlib.suppress(ValueError):
            found.append(uuid.UUID(text))
    return found


class ReplayPage(ActionPage):
    """Replays the ticked deliveries, one record each."""

    permission = "activities.repair"
    parent = QUARANTINE
    title = _("Replay the ticked deliveries?")
    submit = _("Replay")

    def get_object(self):
        return None

    def perform(self, thing, data: dict) -> str:
        rows = selectors.quarantine(self.request.user).filter(public_id__in=uuids(self.request.POST.getlist("ids")))
        rows = list(rows)
        services.replay_deliveries(rows, actor=self.request.user)
        return gettext("%(n)s deliveries are processed again.") % {"n": len(rows)}

    def success_url(self, thing) -> str:
        return reverse("crm:quarantine")


class DeliveryPage(DetailPage):
    permission = "activities.view"
    template_name = "crm/delivery.html"
    parent = QUARANTINE

    def get_queryset(self):
        return Delivery.objects.select_related("connection", "import_job")

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.filter(target_type="crm.delivery", target_id=str(thing.public_id))[:20]
        return {
            "delivery": thing,
            "understood": json.dumps({**thing.event, **thing.overrides}, indent=2, ensure_ascii=False),
            "raw": thing.raw[:20_000],
            "troubled": thing.status in selectors.TROUBLED,
            "events": [{"title": words(e.action), "at": e.at, "by": e.actor_name, "text": e.reason} for e in events],
        }


class DeliveryAction(ActionPage):
    permission = "activities.repair"
    parent = QUARANTINE

    def get_queryset(self):
        return selectors.quarantine(self.request.user)

    def success_url(self, thing) -> str:
        return reverse("crm:quarantine")

    def cancel_url(self, thing) -> str:
        return reverse("crm:delivery", args=[thing.public_id])


class RepairPage(DeliveryAction):
    form_class = RepairForm
    title = _("Mend and replay")

    def get_context(self, thing) -> dict:
        return {"text": thing.message}

    def perform(self, thing, data: dict) -> str:
        changes = {k: v for k, v in data.items() if v and k not in ("reason", "remember")}
        stated = thing.event.get("participant", {}).get("external_user_id", "")
        if data["participant"] and data["remember"] and stated:
            services.link_identity(
                thing.connection, stated, changes.pop("participant"), actor=self.request.user, reason=data["reason"]
            )
            if not changes:
                return gettext("The id is linked, and what waited for it is processed again.")
        services.repair_delivery(thing, changes, actor=self.request.user, reason=data["reason"])
        return gettext("The delivery is mended and processed again.")


class DismissPage(DeliveryAction):
    form_class = ReasonForm
    title = _("Dismiss this delivery?")
    text = _("It counts for nothing. It stays stored.")
    submit = _("Dismiss")
    danger = True

    def perform(self, thing, data: dict) -> str:
        services.dismiss_delivery(thing, actor=self.request.user, reason=data["reason"])
        return gettext("The delivery is dismissed.")


# --- connections -----------------------------------------------------------------------------------------------------------


class ConnectionsPage(ListPage):
    permission = "connections.view"
    title = _("Connections")
    lead = _("Systems and files that send facts.")
    search = ("name",)
    default_sort = "name"
    actions = (Link(_("New connection"), "crm:connection-add", "connections.edit", "plus", primary=True),)
    columns = (
        Column("name", _("Name"), sort="name", link=link("crm:connection")),
        Column("kind", _("Kind"), "get_kind_display", sort="kind"),
        Column("currency", _("Currency"), sort="currency"),
        Column("last", _("Last received"), "last_received_at", kind="time", sort="last_received_at"),
        Column("waiting", _("Waiting"), kind="number", sort="waiting"),
        Column("troubled", _("Quarantined"), kind="number", sort="troubled"),
        Column("refused", _("Refused sign-ins"), "refused_count", kind="number", sort="refused_count"),
        Column("status", _("State"), kind="status", sort="status", phone="value"),
    )
    tabs = (
        Tab("all", _("All")),
        Tab("paused", _("Paused"), Q(status=Connection.Status.PAUSED)),
    )
    empty_icon, empty_title = "connections", _("Nothing is connected yet")
    empty_action = Link(_("New connection"), "crm:connection-add", "connections.edit")

    def get_queryset(self):
        return selectors.connections(self.request.user)


class ConnectionPage(DetailPage):
    permission = "connections.view"
    template_name = "crm/connection.html"
    parent = CONNECTIONS

    def get_queryset(self):
        return selectors.connections(self.request.user)

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.filter(target_type="crm.connection", target_id=str(thing.public_id))[:20]
        return {
            "connection": thing,
            "secrets": thing.secrets.order_by("-pk"),
            "links": thing.identity_links.select_related("participant").order_by("external_user_id")[:200],
            "events": [{"title": words(e.action), "at": e.at, "by": e.actor_name, "text": e.reason} for e in events],
        }


def show_once(request, issued: services.Issued):
    """The clear texts, in the answer to the request that made them and never again."""
    address = ""
    if issued.token:
        address = request.build_absolute_uri(reverse("crm:events", args=[issued.token]))
    context = {
        "connection": issued.connection,
        "address": address,
        "secrets": issued.secrets,
        "crumbs": crumbs(CONNECTIONS),
    }
    response = render(request, "crm/issued.html", context)
    response["Cache-Control"] = "no-store"
    return response


class IssuingPage(ActionPage):
    """An action that answers with something shown once instead of a redirect."""

    permission = "connections.edit"
    parent = CONNECTIONS

    def get_queryset(self):
        return Connection.objects.all()

    def success_url(self, thing) -> str:
        return reverse("crm:connection", args=[thing.public_id]) if thing else reverse("crm:connections")

    def perform(self, thing, data: dict) -> str:
        self.issued = self.issue(thing, data)
        return ""

    def issue(self, thing, data: dict) -> services.Issued:
        raise NotImplementedError

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        return show_once(request, self.issued) if hasattr(self, "issued") else response


class ConnectionAddPage(IssuingPage):
    form_class = ConnectionForm
    title = _("New connection")
    submit = _("Create")

    def issue(self, thing, data: dict) -> services.Issued:
        return services.create_connection(actor=self.request.user, **data)


class SecretPage(IssuingPage):
    form_class = NewSecretForm
    title = _("New secret")
    submit = _("Create")

    def issue(self, thing, data: dict) -> services.Issued:
        return services.rotate_secret(thing, data["kind"], actor=self.request.user)


class AddressPage(IssuingPage):
    title = _("New address?")
    text = _("The present address stops working at once. The sender needs the new one.")
    submit = _("Make a new address")
    danger = True

    def issue(self, thing, data: dict) -> services.Issued:
        return services.rotate_token(thing, actor=self.request.user)


class ConnectionAction(ActionPage):
    permission = "connections.edit"
    parent = CONNECTIONS

    def get_queryset(self):
        return Connection.objects.all()

    def success_url(self, thing) -> str:
        return reverse("crm:connection", args=[thing.public_id])


class ConnectionEditPage(ConnectionAction):
    form_class = ConnectionSettingsForm
    title = _("Change the connection")
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {name: getattr(thing, name) for name in ConnectionSettingsForm.base_fields}}

    def perform(self, thing, data: dict) -> str:
        services.update_connection(thing, actor=self.request.user, **data)
        return gettext("The connection is saved.")


class PausePage(ConnectionAction):
    title = _("Pause this connection?")
    text = _("What arrives is stored and waits until you resume it.")
    submit = _("Pause")

    def perform(self, thing, data: dict) -> str:
        services.pause(thing, actor=self.request.user)
        return gettext("The connection is paused.")


class ResumePage(ConnectionAction):
    title = _("Resume this connection?")
    text = _("What waited is processed now.")
    submit = _("Resume")

    def perform(self, thing, data: dict) -> str:
        services.resume(thing, actor=self.request.user)
        return gettext("The connection works again.")


class RetirePage(Guarded, View):
    """End one secret."""

    permission = "connections.edit"

    def post(self, request, public_id, secret_id):
        connection = Connection.objects.filter(public_id=public_id).first()
        secret = connection and connection.secrets.filter(public_id=secret_id).first()
        if secret:
            services.retire_secret(secret, actor=request.user)
        return redirect("crm:connection", public_id)
