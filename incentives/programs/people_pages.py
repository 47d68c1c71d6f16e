"""Who can earn in a program: the rule in words, everybody with why, and inviting or excluding one, many or a file."""

from collections import defaultdict
from functools import cached_property
from uuid import UUID

import django_filters
from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import Bulk, Column, Guarded, ListPage, Tab
from incentives.core.row_files import UNCHANGED, RowsPage
from incentives.participants.models import Participant, Partner, Team
from incentives.programs import eligibility, services
from incentives.programs.pages import ProgramPart
from incentives.programs.people_forms import ACTIONS, AddPersonForm, DecideForm, PeopleFileForm
from incentives.programs.summary import outline
from incentives.programs.views import ProgramAction

MOST = 1000
"""People ticked at once; more come by a file."""
CHANGED = (_("Changed"), "info", "edit")


class PeopleFilters(django_filters.FilterSet):
    team = django_filters.ModelChoiceFilter(label=_("Team"), queryset=Team.objects.all(), to_field_name="code")
    partner = django_filters.ModelChoiceFilter(label=_("Partner"), queryset=Partner.objects.all(), to_field_name="code")
    type = django_filters.ChoiceFilter(label=_("Kind"), choices=Participant.Type.choices)
    active = django_filters.BooleanFilter(label=_("Active"))

    class Meta:
        model = Participant
        fields: list[str] = []


def state_of(row) -> str:
    """invited, excluded, eligible (by the rule) or not_eligible, of a row of eligibility.people."""
    return row.enrolled or ("eligible" if row.matches else "not_eligible")


STATES = {
    "eligible": _("By the rule"),
    "invited": _("Invited"),
    "excluded": _("Excluded"),
    "not_eligible": _("Cannot earn"),
}


class PeoplePage(ProgramPart, ListPage):
    part = "people"
    template_name = "programs/people.html"
    title = _("Who can earn")
    search = ("name", "email", "external_user_id", "team__name", "partner__name")
    search_hint = _("Name, address, id, team or partner")
    filterset_class = PeopleFilters
    default_sort = "name"
    empty_icon, empty_title = "participants", _("Nobody is here yet")
    empty_text = _("People come from the page Participants.")
    tabs = (
        Tab("can", _("Can earn"), Q(can_earn=True)),
        Tab("invited", _("Invited"), Q(enrolled="invited")),
        Tab("excluded", _("Excluded"), Q(enrolled="excluded")),
        Tab("cannot", _("Cannot earn"), Q(can_earn=False)),
        Tab("all", _("All")),
    )
    bulk = Bulk(
        to="",
        buttons=(
            ("invite", _("Invite"), ""),
            ("exclude", _("Exclude"), "danger"),
            ("remove", _("Leave to the rule"), ""),
        ),
        permission="programs.edit",
    )

    @property
    def bulk_url(self) -> str:
        return reverse("programs:decide-people", args=[self.program.public_id])

    @property
    def export_name(self) -> str:
        return f"people {self.program.name}"

    @cached_property
    def columns(self):
        def why(row):
            return eligibility.why(self.definition, row, row.enrolled, row.enrolled_reason or "")

        return (
            Column("name", _("Participant"), sort="name", note="team.name", phone="title"),
            Column("key", _("External user id"), screen=False),
            Column("email", _("E-mail"), screen=False),
            Column("type", _("Kind"), "get_type_display", sort="type"),
            Column("partner", _("Partner"), "partner.name", sort="partner__name"),
            Column("tier", _("Tier"), "partner.tier", screen=False),
            Column("region", _("Region"), "own_region", sort="own_region"),
            Column("state", _("State"), state_of, kind="status", words=STATES),
            Column("why", _("Why"), why),
        )

    def get_queryset(self):
        return eligibility.people(self.program, self.definition)

    def get_context(self) -> dict:
        told = [item.text for item in outline(self.definition) if item.part == gettext("Who earns")]
        return {**self.frame(), "rule": told}


class PeopleAction(ProgramAction):
    permission = "programs.edit"
    part = "people"

    def success_url(self, thing) -> str:
        return reverse("programs:people", args=[thing.public_id])


class AddPersonPage(PeopleAction):
    form_class = AddPersonForm
    title = _("Invite or exclude somebody in %(program)s")
    text = _("What they have already sold counts too, or no longer does: earnings are computed again.")
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"participant": self.request.GET.get("participant", "")[:254]}}

    def perform(self, thing, data: dict) -> str:
        services.set_enrollment(
            program=thing,
            participant=data["participant"],
            state=data["state"],
            reason=data["reason"],
            actor=self.request.user,
        )
        if data["state"] == "invited":
            return gettext("%(name)s is invited.") % {"name": data["participant"]}
        return gettext("%(name)s is excluded.") % {"name": data["participant"]}


class DecidePeoplePage(ProgramPart, Guarded, View):
    """The ticked people once more, with a reason; POST with `confirmed` does it, for all of them or none."""

    permission = "programs.edit"
    part = "people"

    def get(self, request, *args, **kwargs) -> HttpResponse:
        return redirect("programs:people", self.program.public_id)

    def post(self, request, *args, **kwargs) -> HttpResponse:
        people = self.people()
        if not people or request.POST.get("action") not in ACTIONS:
            messages.error(request, gettext("Nothing was changed: tick the people first."))
            return redirect("programs:people", self.program.public_id)
        if "confirmed" not in request.POST:
            return self.show(people, DecideForm(initial={"action": request.POST["action"]}))
        form = DecideForm(request.POST)
        if not form.is_valid():
            return self.show(people, form, status=400)
        data = form.cleaned_data
        try:
            changed = services.set_enrollments(
                program=self.program,
                people=people,
                state=ACTIONS[data["action"]],
                reason=data["reason"],
                actor=request.user,
            )
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(people, form, status=exc.status)
        messages.success(request, _told(changed, len(people)))
        return redirect("programs:people", self.program.public_id)

    def people(self) -> list[Participant]:
        ids = {found for text in self.request.POST.getlist("ids")[:MOST] if (found := _uuid(text))}
        return list(Participant.objects.filter(public_id__in=ids).select_related("team").order_by("name", "pk"))

    def show(self, people: list[Participant], form: DecideForm, status: int = 200) -> HttpResponse:
        action = form["action"].value()
        titles = {
            "invite": ngettext("Invite %(n)s person?", "Invite %(n)s people?", len(people)),
            "exclude": ngettext("Exclude %(n)s person?", "Exclude %(n)s people?", len(people)),
            "remove": ngettext("Leave %(n)s person to the rule?", "Leave %(n)s people to the rule?", len(people)),
        }
        context = {
            **self.frame(),
            "people": people,
            "form": form,
            "action": action,
            "title": titles[action] % {"n": len(people)},
            "cancel_url": reverse("programs:people", args=[self.program.public_id]),
        }
        return render(self.request, "programs/people_decide.html", context, status=status)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _told(changed: int, asked: int) -> str:
    text = ngettext("%(n)s person is changed.", "%(n)s people are changed.", changed) % {"n": changed}
    if asked == changed:
        return text
    same = ngettext("%(n)s stood so already.", "%(n)s stood so already.", asked - changed)
    return f"{text} {same % {'n': asked - changed}}"


class ImportPeoplePage(ProgramPart, RowsPage):
    permission = "programs.edit"
    part = "people"
    form_class = PeopleFileForm
    template_name = "programs/people_import.html"

    def apply(self, form: PeopleFileForm) -> str:
        groups: dict[tuple, list[Participant]] = defaultdict(list)
        for row in form.rows:
            groups[row.state, row.reason].append(row.person)
        with transaction.atomic():
            changed = sum(
                services.set_enrollments(
                    program=self.program, people=people, state=state, reason=reason, actor=self.request.user
                )
                for (state, reason), people in groups.items()
            )
        return _told(changed, len(form.rows))

    def done_url(self) -> str:
        return reverse("programs:people", args=[self.program.public_id])

    def lines(self, form: PeopleFileForm, rows: list) -> list[dict]:
        standing = dict(self.program.enrollments.values_list("participant", "state"))
        return [
            {
                "item": row,
                "before": STATES.get(standing.get(row.person.pk), _("Left to the rule")) if row.person else "",
                "after": STATES[row.state] if row.state else _("Left to the rule"),
                "result": UNCHANGED if row.person and standing.get(row.person.pk) == row.state else CHANGED,
            }
            for row in rows
        ]
