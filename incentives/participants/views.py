"""Participants: the list, one in detail, adding, changing, importing."""

import tempfile
from pathlib import Path

import django_filters
from django.conf import settings
from django.db.models import Q
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage, Tab
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.core.tables import BadFile
from incentives.core.templatetags.laurel import words
from incentives.participants import imports, services
from incentives.participants.forms import GroupFilterChoices, ImportForm, ParticipantForm
from incentives.participants.models import Participant

PARENT = (_("Participants"), "participants:list")
EDIT = "participants.edit"


def participant_url(person) -> str:
    return reverse("participants:detail", args=[person.public_id])


class ParticipantFilters(django_filters.FilterSet):
    type = django_filters.MultipleChoiceFilter(label=_("Type"), choices=Participant.Type.choices)
    team = django_filters.ModelMultipleChoiceFilter(label=_("Team"), queryset=GroupFilterChoices.teams)
    partner = django_filters.ModelMultipleChoiceFilter(label=_("Partner"), queryset=GroupFilterChoices.partners)

    class Meta:
        model = Participant
        fields: list[str] = []


def state(person) -> str:
    return "active" if person.active else "inactive"


class ParticipantsPage(ListPage):
    permission = "participants.view"
    title = _("Participants")
    lead = _("Everybody who can earn: employees, contractors and partners' people.")
    search = ("name", "email", "external_user_id", "employee_number")
    search_hint = _("Name, e-mail address or id")
    filterset_class = ParticipantFilters
    export_name = "participants"
    actions = (
        Link(_("Import"), "participants:import", EDIT, "upload"),
        Link(_("Add somebody"), "participants:add", EDIT, "plus", primary=True),
    )
    tabs = (
        Tab("all", _("All")),
        Tab("active", _("Active"), Q(active=True)),
        Tab("inactive", _("Inactive"), Q(active=False)),
    )
    default_sort = "name"
    columns = (
        Column("name", _("Name"), note="email", sort="name", link=participant_url),
        Column("email", _("E-mail address"), screen=False),
        Column("key", _("Id"), sort="external_user_id"),
        Column("type", _("Type"), "get_type_display", sort="type"),
        Column("team", _("Team"), "team.name", sort="team__name"),
        Column("partner", _("Partner"), "partner.name", sort="partner__name"),
        Column("manager", _("Manager"), "manager.name", sort="manager__name"),
        Column("state", _("State"), value=state, kind="status", sort="active", phone="value"),
    )

    def get_queryset(self):
        return Participant.objects.visible_to(self.request.user).select_related("team", "partner", "manager")


class ParticipantPage(DetailPage):
    permission = "participants.view"
    model = Participant
    template_name = "participants/detail.html"
    parent = PARENT

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.filter(target_type="participants.participant", target_id=str(thing.public_id))[:20]
        return {
            "person": thing,
            "state": state(thing),
            "people": thing.reports.order_by("name")[:100],
            "events": [{"title": words(e.action), "at": e.at, "by": e.actor_name, "text": e.reason} for e in events],
        }


class AddPage(ActionPage):
    permission = EDIT
    parent = PARENT
    form_class = ParticipantForm
    title = _("Add somebody")
    submit = _("Add")

    def perform(self, thing, data: dict) -> str:
        person = services.create_participant(actor=self.request.user, **data)
        return gettext("%(name)s is added.") % {"name": person}

    def success_url(self, thing) -> str:
        return reverse("participants:list")


class EditPage(ActionPage):
    permission = EDIT
    model = Participant
    parent = PARENT
    form_class = ParticipantForm
    title = _("Change a participant")
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"instance": thing}

    def perform(self, thing, data: dict) -> str:
        services.update_participant(thing, actor=self.request.user, **data)
        return gettext("%(name)s is saved.") % {"name": thing}

    def success_url(self, thing) -> str:
        return participant_url(thing)


class ImportPage(Guarded, View):
    """Upload, see what each row becomes, and store it: the same page answers with the result."""

    permission = EDIT
    reader = staticmethod(imports.import_participants)

    def get(self, request):
        return self.show(ImportForm())

    def post(self, request):
        form = ImportForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.show(form, status=400)
        try:
            report = self.run(form.cleaned_data["file"], form.cleaned_data["only_check"])
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        return self.show(form, report=report, checked=form.cleaned_data["only_check"])

    def run(self, file, dry_run: bool):
        if file.size > settings.MAX_IMPORT_BYTES:
            raise BadFile(f"The file is larger than {settings.MAX_IMPORT_BYTES // 1024 // 1024} MiB.")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file.name).name
            with path.open("wb") as target:
                target.writelines(file.chunks())
            return self.reader(path, actor=self.request.user, dry_run=dry_run)

    def show(self, form, status: int = 200, **more):
        context = {"form": form, "columns": imports.COLUMNS, "crumbs": crumbs(PARENT), **more}
        return render(self.request, "participants/import.html", context, status=status)
