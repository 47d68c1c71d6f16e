"""Trying definitions on the past: the list, the form, a run with its result, and what to do with it."""

from functools import cached_property

import django_filters
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, Guarded, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.pages import LIST as PROGRAMS
from incentives.programs.pages import ProgramPart
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.selectors import draft_of, visible_programs
from incentives.programs.summary import differences, grouped
from incentives.simulations import services
from incentives.simulations.forms import SimulateForm, key_of, text_of
from incentives.simulations.models import Candidate, Simulation
from incentives.simulations.selectors import Figures, figures_of, visible, with_cost
from incentives.simulations.windows import windows
from rewards.money import Money

S = Simulation.Status
LIST = (_("Simulations"), "simulations:list")


class SimulationFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        label=_("Program"), queryset=Program.objects.order_by("name"), to_field_name="public_id", method="of_program"
    )
    since = Since(field_name="created_at", label=_("From"))
    until = Until(field_name="created_at", label=_("To"))

    class Meta:
        model = Simulation
        fields: list[str] = []

    def of_program(self, queryset, _name, program):
        tried = Candidate.objects.filter(program=program, position__gt=0)
        return queryset.filter(pk__in=tried.values("simulation"))


class SimulationsPage(ListPage):
    permission = "programs.simulate"
    title = _("Simulations")
    lead = _("What a program would have cost, and who would have earned what, on days that are over.")
    search = ("name", "created_by__name")
    search_hint = _("Name or who ran it")
    filterset_class = SimulationFilters
    default_sort = "-created"
    actions = (Link(_("New simulation"), "simulations:new", "programs.simulate", "plus", primary=True),)
    export_name = "simulations"
    empty_icon, empty_title = "flask", _("Nothing was tried yet")
    empty_text = _("Try a draft on last quarter's deals: what it costs, who wins, and whether the budget holds.")
    empty_action = Link(_("New simulation"), "simulations:new", "programs.simulate")
    tabs = (
        Tab("all", _("All")),
        Tab("open", _("Running"), lambda user: Q(status__in=Simulation.OPEN)),
        Tab("mine", _("Mine"), lambda user: Q(created_by=user)),
    )
    columns = (
        Column("name", _("Simulation"), link=True, sort="name", note=lambda row: row.program_name or ""),
        Column("status", _("Status"), kind="status", sort="status"),
        Column("first", _("From"), "starts_on", kind="date", sort="starts_on"),
        Column("last", _("To"), "ends_on", kind="date", sort="ends_on"),
        Column(
            "cost", _("Cost"), lambda row: Money(row.cost_minor, row.currency) if row.cost_minor is not None else None,
            kind="money", sort="cost_minor",
        ),
        Column("by", _("Who"), "created_by", sort="created_by__name"),
        Column("created", _("When"), "created_at", kind="time", sort=("created_at", "pk")),
        Column("id", _("Id"), "public_id", screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return with_cost(visible(self.request.user)).select_related("created_by")


# --- start -----------------------------------------------------------------------------------------------------------
class NewPage(Guarded, View):
    """GET shows the form, POST queues the run. `?version=` names the version to try, `?starts_on=&ends_on=` the days."""

    permission = "programs.simulate"
    program: Program | None = None

    def get(self, request, *args, **kwargs):
        return self.show(self.form(initial=self.initial()))

    def post(self, request, *args, **kwargs):
        form = self.form(request.POST)
        if not form.is_valid():
            return self.show(form, status=422)
        data = form.cleaned_data
        try:
            simulation = services.start(
                actor=request.user, candidates=form.sources, baseline=form.baseline, name=data["name"],
                first=data["starts_on"], last=data["ends_on"], budget=data["budget"], targets=data["targets"],
                target_value=data["target_value"], percent=data["percent"],
            )  # fmt: skip
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        return redirect(simulation)

    def form(self, *args, **kwargs) -> SimulateForm:
        programs = visible_programs(self.request.user)
        return SimulateForm(*args, programs=programs, program=self.program, **kwargs)

    def version(self) -> ProgramVersion | None:
        """What the form begins with: the version asked for, else the draft, else the one in force."""
        if self.program is None:
            return None
        wanted = self.request.GET.get("version", "")
        if wanted.isdecimal():
            return get_object_or_404(self.program.versions.select_related("program"), number=int(wanted[:9]))
        return draft_of(self.program) or self.program.current_version

    def initial(self) -> dict:
        version = self.version()
        definition = parse_definition(version.definition) if version else None
        window = windows(definition, timezone.localdate())[0]
        found = {
            "starts_on": self.request.GET.get("starts_on") or window.first,
            "ends_on": self.request.GET.get("ends_on") or window.last,
        }
        if version is not None:
            running = self.program.current_version
            found |= {"first": key_of(version), "changed": text_of(version), "budget": self.program.budget}
            found["baseline"] = key_of(running) if running and running != version else ""
        return found

    def show(self, form: SimulateForm, status: int = 200):
        version = self.version()
        definition = parse_definition(version.definition) if version else None
        context = {
            "form": form,
            "program": self.program,
            "version": version,
            "windows": windows(definition, timezone.localdate()),
            "asked": self.request.GET.get("version", ""),
            "crumbs": self.crumbs(),
            "cancel_url": self.program.get_absolute_url() if self.program else reverse("simulations:list"),
        }
        return render(self.request, "simulations/new.html", context, status=status)

    def crumbs(self) -> list:
        return crumbs(LIST)


class SimulatePage(ProgramPart, NewPage):
    """From a program: its draft, else what runs, is filled in."""

    permission = "programs.simulate"

    def crumbs(self) -> list:
        return crumbs(PROGRAMS, (self.program.name, self.program.get_absolute_url()))


# --- one simulation ----------------------------------------------------------------------------------------------------
class SimulationPart:
    """Mixin of a page about one simulation; goes before Guarded. One that may not be seen answers 404."""

    permission = "programs.simulate"

    @cached_property
    def simulation(self) -> Simulation:
        rows = visible(self.request.user).select_related("budget", "created_by")
        return get_object_or_404(rows, public_id=self.kwargs["public_id"])

    @cached_property
    def candidate(self) -> Candidate:
        rows = self.simulation.candidates.select_related("program", "version")
        found = get_object_or_404(rows, position=self.kwargs["position"])
        found.simulation = self.simulation
        return found


class SimulationPage(SimulationPart, Guarded, View):
    def get(self, request, *args, **kwargs):
        simulation = self.simulation
        context = {"simulation": simulation, "crumbs": crumbs(LIST)}
        if simulation.status == S.DONE:
            context |= self.figures()
        return render(request, "simulations/simulation.html", context)

    def figures(self) -> dict:
        views = figures_of(self.simulation)
        candidates = [view for view in views if not view.candidate.is_baseline]
        wanted = self.request.GET.get("candidate", "")
        shown = next((view for view in candidates if str(view.candidate.position) == wanted), candidates[0])
        return {
            "views": candidates,
            "baseline": next((view for view in views if view.candidate.is_baseline), None),
            "all_views": views,
            "shown": shown,
            "candidate_tabs": self.tabs(candidates, shown) if len(candidates) > 1 else [],
            "costs": [{"label": view.candidate.letter or gettext("Now"), "value": view.cost} for view in views],
            "outline": grouped(parse_definition(shown.candidate.document)),
        }

    def tabs(self, views: list[Figures], shown: Figures) -> list[dict]:
        at = self.simulation.get_absolute_url()
        return [
            {"url": f"{at}?candidate={view.candidate.position}", "label": _headed(view), "current": view is shown}
            for view in views
        ]


def _headed(view: Figures) -> str:
    """`A: Security SPIFF (draft)`"""
    letter = view.candidate.letter or gettext("Now")
    return f"{letter}: {view.candidate.label}"


class SimulationAction(SimulationPart, ActionPage):
    parent = LIST

    def get_object(self) -> Simulation:
        return self.simulation


class CancelPage(SimulationAction):
    title = _("Cancel this simulation?")
    text = _("Nothing it computed so far is kept.")
    submit = _("Cancel the simulation")
    danger = True

    def perform(self, thing, data: dict) -> str:
        services.cancel(simulation=thing, actor=self.request.user)
        return gettext("%(name)s is cancelled.") % {"name": thing.name}


class AgainPage(SimulationAction):
    title = _("Run it again?")
    text = _(
        "The same definitions on the same days, with the facts, people and targets as they are now. This result stays."
    )
    submit = _("Run again")

    def perform(self, thing, data: dict) -> str:
        self.fresh = services.repeat(simulation=thing, actor=self.request.user)
        return ""

    def success_url(self, thing) -> str:
        return getattr(self, "fresh", thing).get_absolute_url()


class UsePage(SimulationPart, ActionPage):
    """Makes a candidate the draft, and goes on to the launch."""

    permission = "programs.edit"
    template_name = "simulations/use.html"
    parent = LIST
    submit = _("Use it")
    title = _("Use “%(label)s”?")

    def allowed(self, user) -> bool:
        return super().allowed(user) and user.can("programs.simulate")

    def get_object(self) -> Candidate:
        return self.candidate

    def get_context(self, thing) -> dict:
        program = thing.program if services.goes_into(thing) else None
        draft = draft_of(program) if program else None
        before = (draft or program.current_version) if program else None
        return {
            "simulation": self.simulation,
            "program": program,
            "draft": draft,
            "changes": differences(before.definition, thing.document) if before else [],
            "outline": [] if before else grouped(parse_definition(thing.document)),
            "title": self.title % {"label": thing.label},
            "crumbs": crumbs(LIST, (self.simulation.name, self.simulation.get_absolute_url())),
        }

    def perform(self, thing, data: dict) -> str:
        self.program = services.use(candidate=thing, actor=self.request.user)
        return gettext("It is the draft of %(program)s now. Look at it once more and launch it.") % {
            "program": self.program
        }

    def success_url(self, thing) -> str:
        if hasattr(self, "program"):
            return reverse("programs:launch", args=[self.program.public_id])
        return self.simulation.get_absolute_url()
