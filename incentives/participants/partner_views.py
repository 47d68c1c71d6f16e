"""Partner organisations: the list, one in detail with its people and administrators, adding, changing, importing."""

import django_filters
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.models import Role
from incentives.accounts.services import send_invitation
from incentives.core.listing import ActionPage, Column, DetailPage, Link, ListPage, Tab
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.participants import administrators, partner_imports, services
from incentives.participants.forms import PartnerForm
from incentives.participants.models import Participant, Partner
from incentives.participants.views import EDIT, ImportPage, state
from rewards.money import Money

PARTNERS = (_("Partners"), "participants:partners")
PEOPLE_SHOWN, HISTORY_SHOWN = 200, 50


def _known_values(name: str):
    """Choices of a filter: every value that occurs."""

    def choices():
        values = Partner.objects.exclude(**{name: ""}).order_by(name).values_list(name, flat=True).distinct()
        return [(value, value) for value in values]

    return choices


class PartnerFilters(django_filters.FilterSet):
    tier = django_filters.MultipleChoiceFilter(label=_("Tier"), choices=_known_values("tier"))
    region = django_filters.MultipleChoiceFilter(label=_("Region"), choices=_known_values("region"))
    country = django_filters.MultipleChoiceFilter(label=_("Country"), choices=_known_values("country"))

    class Meta:
        model = Partner
        fields: list[str] = []


class PartnersPage(ListPage):
    permission = "participants.view"
    title = _("Partners")
    lead = _("Resellers and distributors whose people take part in channel programs.")
    search = ("name", "code")
    search_hint = _("Name or code")
    filterset_class = PartnerFilters
    export_name = "partners"
    actions = (
        Link(_("Import"), "participants:partner-import", EDIT, "upload"),
        Link(_("Add a partner"), "participants:partner-add", EDIT, "plus", primary=True),
    )
    tabs = (
        Tab("active", _("Active"), Q(active=True)),
        Tab("inactive", _("Inactive"), Q(active=False)),
        Tab("all", _("All")),
    )
    default_sort = "name"
    columns = (
        Column("name", _("Partner"), note="code", sort="name", link=True),
        Column("code", _("Code"), screen=False),
        Column("tier", _("Tier"), sort="tier"),
        Column("region", _("Region"), sort="region"),
        Column("country", _("Country"), sort="country"),
        Column("people", _("People"), "people_count", kind="number", sort="people_count"),
        Column("administrators", _("Administrators"), "admin_count", kind="number", sort="admin_count"),
        Column("state", _("State"), value=state, kind="status", sort="active", phone="value"),
    )
    empty_icon, empty_title = "partners", _("No partner yet")
    empty_text = _("Add the organisations that sell for you, or import them from a file.")
    empty_action = Link(_("Add a partner"), "participants:partner-add", EDIT)

    def get_queryset(self):
        active = Q(participants__active=True)
        admins = active & Q(participants__user__role_set__role=Role.PARTNER_ADMIN)
        return Partner.objects.annotate(
            people_count=Count("participants", filter=active, distinct=True),
            admin_count=Count("participants", filter=admins, distinct=True),
        )


class PartnerPage(DetailPage):
    permission = "participants.view"
    template_name = "participants/partner.html"
    parent = PARTNERS

    def get_queryset(self):
        return Partner.objects.all()

    def get_context(self, thing) -> dict:
        events = list(
            AuditEvent.objects.filter(target_type="participants.partner", target_id=str(thing.public_id))[:200]
        )
        return {
            "partner": thing,
            "state": state(thing),
            "people": people_of(thing),
            "earned": earned_by(thing),
            "tiers": tier_history(events),
            "events": [_told(event) for event in events[:HISTORY_SHOWN]],
            "claims_url": _claims_url(thing) if self.request.user.can("claims.view") else "",
        }


def people_of(partner: Partner) -> list[Participant]:
    """People with `is_admin`, whether they administer the partner. One query."""
    role = Participant.objects.filter(pk=OuterRef("pk"), user__role_set__role=Role.PARTNER_ADMIN)
    people = partner.participants.annotate(is_admin=Exists(role)).select_related("user")
    return list(people.order_by("-active", "name", "pk")[:PEOPLE_SHOWN])


def earned_by(partner: Partner) -> list[Money]:
    """What its people earned, per currency. The relation is enough: the layer below keeps the participations."""
    currency, minor = "participations__program__currency", "participations__earned_minor"
    rows = partner.participants.filter(**{f"{minor}__gt": 0}).order_by().values_list(currency)
    return [Money(total, code) for code, total in rows.annotate(n=Sum(minor)).order_by(currency)]


def tier_history(events: list[AuditEvent]) -> list[dict]:
    """Every change of the tier, newest first: what it was, what it became, when and by whom. The audit trail keeps it."""
    found = []
    for event in events:
        old, new = event.before.get("tier", ""), event.after.get("tier", "")
        if old != new:
            found.append({"at": event.at, "by": event.actor_name, "old": old, "new": new, "reason": event.reason})
    return found


def _told(event: AuditEvent) -> dict:
    changed = [
        f"{name}: {event.before.get(name) or '–'} → {value or '–'}"
        for name, value in event.after.items()
        if event.before and event.before.get(name) != value
    ]
    text = "; ".join([*changed, event.reason] if event.reason else changed)
    words = gettext("Added") if event.action == "partner.created" else gettext("Changed")
    return {"title": words, "at": event.at, "by": event.actor_name, "text": text}


def _claims_url(partner: Partner) -> str:
    try:
        return f"{reverse('claims:list')}?tab=all&partner={partner.pk}"
    except NoReverseMatch:
        return ""


class PartnerAddPage(ActionPage):
    permission = EDIT
    parent = PARTNERS
    form_class = PartnerForm
    title = _("Add a partner")
    submit = _("Add")

    def perform(self, thing, data: dict) -> str:
        data.pop("reason")
        self.added = services.create_partner(actor=self.request.user, **data)
        return gettext("%(name)s is added.") % {"name": self.added}

    def success_url(self, thing) -> str:
        return self.added.get_absolute_url() if hasattr(self, "added") else reverse("participants:partners")


class PartnerEditPage(ActionPage):
    permission = EDIT
    model = Partner
    parent = PARTNERS
    form_class = PartnerForm
    title = _("Change a partner")
    submit = _("Save")

    def get_queryset(self):
        return Partner.objects.all()

    def get_form_kwargs(self, thing) -> dict:
        return {"instance": thing}

    def get_context(self, thing) -> dict:
        people = thing.participants.count()
        words = ngettext(
            "Another code, tier or region has what %(n)s person earned computed anew, in every program.",
            "Another code, tier or region has what %(n)s people earned computed anew, in every program.",
            people,
        )
        return {"text": words % {"n": people} if people else ""}

    def perform(self, thing, data: dict) -> str:
        services.update_partner(thing, actor=self.request.user, **data)
        return gettext("%(name)s is saved.") % {"name": data["name"]}


class _AdministratorPage(ActionPage):
    """About one person of one partner."""

    permission = "users.edit"
    model = Participant
    parent = PARTNERS

    def get_object(self):
        wanted = {"public_id": self.kwargs["person"], "partner__public_id": self.kwargs["public_id"]}
        return get_object_or_404(Participant.objects.select_related("partner", "user"), **wanted)

    def success_url(self, thing) -> str:
        return thing.partner.get_absolute_url()


class AppointPage(_AdministratorPage):
    title = _("Make an administrator of the partner?")
    text = _("They see the people and claims of their own organisation, and submit claims for their people.")
    submit = _("Make administrator")

    def perform(self, thing, data: dict) -> str:
        user, invited = administrators.appoint(thing, actor=self.request.user)
        if not invited:
            return gettext("%(name)s administers %(partner)s now.") % {"name": thing, "partner": thing.partner}
        if send_invitation(user=user, actor=self.request.user):
            return gettext("%(name)s administers %(partner)s now. An invitation is on its way by e-mail.") % {
                "name": thing, "partner": thing.partner,
            }  # fmt: skip
        return gettext(
            "%(name)s administers the partner, but the invitation could not be sent. Send it from People."
        ) % {"name": thing}


class DismissPage(_AdministratorPage):
    title = _("Take the administrator's role away?")
    text = _("They keep their account and see only what is their own.")
    submit = _("Take away")
    danger = True

    def perform(self, thing, data: dict) -> str:
        administrators.dismiss(thing, actor=self.request.user)
        return gettext("%(name)s no longer administers the partner.") % {"name": thing}


class PartnerImportPage(ImportPage):
    """Upload, see what each row becomes, and store it."""

    columns, reader = partner_imports.COLUMNS, staticmethod(partner_imports.import_partners)

    def show(self, form, status: int = 200, **more):
        context = {"form": form, "columns": self.columns, "crumbs": crumbs(PARTNERS), **more}
        return render(self.request, "participants/partner_import.html", context, status=status)
