"""Programs: the list, one program, its versions, and the steps of its life."""

import django_filters
from django import forms
from django.db.models import Q
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.accounts.forms import ReasonForm
from incentives.core.listing import ActionPage, Column, Guarded, Link, ListPage, Tab
from incentives.ledger.models import Budget
from incentives.ledger.selectors import budget_figures
from incentives.programs import services
from incentives.programs.forms import ChooseBudgetForm
from incentives.programs.life import resumed_status
from incentives.programs.models import Program
from incentives.programs.pages import LIST, ProgramPart
from incentives.programs.selectors import draft_of, history, visible_programs, with_figures
from incentives.programs.summary import KINDS, differences, grouped
from rewards.money import Money

S = Program.Status


def _day_input():
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class ProgramFilters(django_filters.FilterSet):
    status = django_filters.MultipleChoiceFilter(label=_("Status"), choices=S.choices)
    template = django_filters.MultipleChoiceFilter(label=_("Kind"), choices=[*KINDS.items()])
    budget = django_filters.ModelChoiceFilter(
        label=_("Budget"), queryset=Budget.objects.all(), to_field_name="public_id"
    )
    since = django_filters.DateFilter(
        field_name="ends_on", lookup_expr="gte", label=_("Runs on or after"), widget=_day_input()
    )
    until = django_filters.DateFilter(
        field_name="starts_on", lookup_expr="lte", label=_("Runs on or before"), widget=_day_input()
    )

    class Meta:
        model = Program
        fields: list[str] = []


def _money(program, name: str) -> Money:
    return Money(getattr(program, name) or 0, program.currency)


class ProgramsPage(ListPage):
    permission = "programs.view"
    title = _("Programs")
    search = ("name", "owner__name")
    search_hint = _("Name or owner")
    filterset_class = ProgramFilters
    default_sort = "-starts"
    actions = (Link(_("New program"), "programs:new", "programs.edit", "plus", primary=True),)
    export_name = "programs"
    empty_icon, empty_title = "programs", _("No program is running")
    empty_text = _("Drafts and closed programs stand behind the other tabs.")
    empty_action = Link(_("New program"), "programs:new", "programs.edit")
    tabs = (
        Tab("running", _("Running"), Q(status__in=[S.ACTIVE, S.PAUSED])),
        Tab("scheduled", _("Scheduled"), Q(status=S.SCHEDULED)),
        Tab("drafts", _("Drafts"), Q(status__in=[S.DRAFT, S.IN_REVIEW])),
        Tab("closed", _("Closed"), Q(status__in=[S.CLOSING, S.CLOSED])),
        Tab("archived", _("Archived"), Q(status=S.ARCHIVED)),
        Tab("all", _("All")),
    )
    columns = (
        Column("name", _("Program"), sort="name", link=True, note=lambda row: KINDS.get(row.template, row.template)),
        Column("kind", _("Kind"), lambda row: KINDS.get(row.template, row.template), screen=False),
        Column("status", _("Status"), kind="status", sort="status"),
        Column("starts", _("First day"), "starts_on", kind="date", sort="starts_on"),
        Column("ends", _("Last day"), "ends_on", kind="date", sort="ends_on"),
        Column("participants", _("Earning"), lambda row: row.participants or 0, kind="number", sort="participants"),
        Column("earned", _("Earned"), lambda row: _money(row, "earned_minor"), kind="money", sort="earned_minor"),
        Column(
            "room",
            _("Budget left"),
            lambda row: _money(row, "room_minor") if row.budget_id else None,
            kind="money",
            sort="room_minor",
            note=lambda row: row.budget.name if row.budget else "",
        ),
        Column("budget", _("Budget"), screen=False),
        Column("owner", _("Owner"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return with_figures(visible_programs(self.request.user)).select_related("budget", "owner")


# --- one program -------------------------------------------------------------------------------------------------------
class ProgramPage(ProgramPart, Guarded, View):
    part = "overview"

    def get(self, request, *args, **kwargs):
        return render(request, "programs/program.html", {**self.frame(), **self.context()})

    def context(self) -> dict:
        program = get_object_or_404(with_figures(visible_programs(self.request.user)), pk=self.program.pk)
        draft = draft_of(self.program)
        published, governing = self.program.newest_version, self.program.current_version
        shown = governing or draft
        return {
            "outline": grouped(shown.definition),
            "version": shown,
            "upcoming": published if published != governing else None,
            "stops": list(self.program.stops.filter(resumed_at=None)),
            "draft": draft if published else None,
            "unpublished": draft,
            "draft_changes": differences(published.definition, draft.definition) if published and draft else [],
            "missing": services.what_is_missing(self.program, draft) if draft else [],
            "earned": _money(program, "earned_minor"),
            "earning": program.participants or 0,
            "figures": budget_figures([self.program.budget])[self.program.budget_id]
            if self.program.budget_id
            else None,
            "steps": steps_of(self.program) if self.request.user.can("programs.publish") else [],
        }


class VersionsPage(ProgramPart, Guarded, View):
    """Every version, and with `?from=1&to=3` what differs between any two of them."""

    part = "versions"

    def get(self, request, *args, **kwargs):
        versions = history(self.program)
        known = {str(row.version.number): row.version for row in versions}
        one, other = (known.get(request.GET.get(key, "")) for key in ("from", "to"))
        context = {"versions": versions, "one": one, "other": other, "may_compare": len(versions) > 1}
        if one and other:
            context["compared"] = differences(one.definition, other.definition)
        return render(request, "programs/versions.html", {**self.frame(), **context})


# --- steps of its life -------------------------------------------------------------------------------------------------
def steps_of(program: Program) -> list[dict]:
    """The buttons for what may happen next: url name, label, icon, look."""
    steps = {
        "pause": {S.ACTIVE, S.SCHEDULED},
        "resume": {S.PAUSED},
        "close": {S.ACTIVE, S.PAUSED, S.CLOSING},
        "archive": {S.DRAFT, S.CLOSED},
    }
    looks = {
        "pause": (_("Pause"), "pause", ""),
        "resume": (_("Resume"), "play", "primary"),
        "close": (_("Close"), "flag", "danger"),
        "archive": (_("Archive"), "trash", ""),
    }
    possible = [key for key, states in steps.items() if program.status in states]
    return [
        {"to": f"programs:{key}", "label": looks[key][0], "icon": looks[key][1], "look": looks[key][2]}
        for key in possible
    ]


class ProgramAction(ProgramPart, ActionPage):
    permission = "programs.publish"
    parent = LIST

    def get_object(self) -> Program:
        return self.program

    def get_context(self, thing) -> dict:
        return {**self.frame(), "title": self.title % {"program": thing.name}}


class StatusPage(ProgramAction):
    form_class = ReasonForm
    new = ""
    done = ""

    def target(self, thing) -> str:
        return self.new

    def perform(self, thing, data: dict) -> str:
        services.change_status(program=thing, new=self.target(thing), actor=self.request.user, reason=data["reason"])
        return self.done % {"program": thing.name}


class PausePage(StatusPage):
    title = _("Pause %(program)s?")
    text = _("Facts keep counting, but nothing is paid out until it is resumed.")
    submit = _("Pause")
    new, done = S.PAUSED, _("%(program)s is paused.")


class ResumePage(StatusPage):
    title = _("Resume %(program)s?")
    text = _("What was earned meanwhile is paid out by the program's rule.")
    submit = _("Resume")
    done = _("%(program)s runs again.")

    def target(self, thing) -> str:
        return resumed_status(thing)


class ResumeStoppedPage(ProgramAction):
    form_class = ReasonForm
    title = _("Let %(program)s go on?")
    text = _("What is received from now on counts again. What was received while its budget was spent stays uncounted.")
    submit = _("Let it go on")

    def perform(self, thing, data: dict) -> str:
        services.resume_stopped(program=thing, actor=self.request.user, reason=data["reason"])
        return gettext("%(program)s goes on. What was received meanwhile stays uncounted.") % {"program": thing}


class ClosePage(StatusPage):
    title = _("Close %(program)s?")
    text = _(
        "Contests are sealed and what is due at the close is paid. A closed program still takes corrections, but it never runs again."
    )
    submit = _("Close")
    danger = True
    new, done = S.CLOSED, _("%(program)s is closed.")


class ArchivePage(StatusPage):
    title = _("Archive %(program)s?")
    text = _(
        "It leaves the list of programs for the tab Archived. Nothing is deleted, and corrections of its facts still count."
    )
    submit = _("Archive")
    new, done = S.ARCHIVED, _("%(program)s is archived.")


class ChooseBudgetPage(ProgramAction):
    permission = "programs.edit"
    form_class = ChooseBudgetForm
    title = _("Budget of %(program)s")
    text = _("Payouts made from now on are paid from it. What was reserved before stays where it is.")
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"program": thing}

    def perform(self, thing, data: dict) -> str:
        services.set_budget(program=thing, budget=data["budget"], actor=self.request.user)
        if data["budget"] is None:
            return gettext("%(program)s has no budget now.") % {"program": thing}
        return gettext("%(program)s is paid from %(budget)s.") % {"program": thing, "budget": data["budget"]}
