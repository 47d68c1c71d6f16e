"""Who would earn what and why, what is paid twice, and what a person should look at."""

from datetime import date
from functools import cached_property
from itertools import islice

import django_filters
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import FileResponse, Http404, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import audit, exports
from incentives.core.listing import Column, Guarded, ListPage
from incentives.core.pages import crumbs
from incentives.crm.models import ObjectState
from incentives.earnings.selectors import attainment_ratio
from incentives.earnings.views import CODES
from incentives.participants.models import Team
from incentives.programs.models import Program
from incentives.programs.selectors import needs_targets, period_label
from incentives.simulations.models import Overlap, SimulatedPerson
from incentives.simulations.results import unpack
from incentives.simulations.selectors import Figures, available_in
from incentives.simulations.views import LIST, SimulationPart
from rewards.money import Money

LINES_AT_ONCE = 50
XLSX = "xlsx"


class CandidatePart(SimulationPart):
    """Mixin of a page about one candidate of a simulation that is done. Anything else answers 404."""

    @cached_property
    def figures(self) -> Figures:
        if not self.candidate.result:
            raise Http404
        return Figures(self.simulation, self.candidate, available_in(self.simulation))

    def frame(self, *more: tuple) -> dict:
        simulation, candidate = self.simulation, self.candidate
        at = simulation.get_absolute_url()
        back = f"{at}?candidate={candidate.position}" if candidate.position > 1 else at
        return {
            "simulation": simulation,
            "candidate": candidate,
            "figures": self.figures,
            "crumbs": crumbs(LIST, (simulation.name, back), *more),
        }


# --- people ----------------------------------------------------------------------------------------------------------
class PersonFilters(django_filters.FilterSet):
    team = django_filters.ModelChoiceFilter(
        field_name="participant__team", label=_("Team"), queryset=Team.objects.all(), to_field_name="code"
    )
    change = django_filters.ChoiceFilter(
        label=_("Against what runs"),
        choices=[("up", _("Earns more")), ("down", _("Earns less")), ("same", _("Earns the same"))],
        method="of_change",
    )
    earns = django_filters.ChoiceFilter(
        label=_("Earns"), choices=[("yes", _("Something")), ("no", _("Nothing"))], method="of_earning"
    )

    class Meta:
        model = SimulatedPerson
        fields: list[str] = []

    def of_change(self, queryset, _name, value):
        condition = {"up": "difference_minor__gt", "down": "difference_minor__lt", "same": "difference_minor"}[value]
        return queryset.filter(**{condition: 0})

    def of_earning(self, queryset, _name, value):
        return queryset.filter(earned_minor__gt=0) if value == "yes" else queryset.filter(earned_minor=0)


class PeoplePage(CandidatePart, ListPage):
    title = _("Who earns what")
    search = ("participant__name", "participant__external_user_id", "participant__team__name")
    search_hint = _("Name, id or team")
    filterset_class = PersonFilters
    default_sort = "-earned"
    template_name = "simulations/people.html"
    empty_icon, empty_title = "people", _("Nobody would be credited")
    empty_text = _("No activity of these days counts by this definition.")

    @property
    def export_name(self) -> str:
        return f"simulation {self.simulation.name} {self.candidate.letter or 'baseline'}"

    @cached_property
    def columns(self):
        compared = self.figures.result["changes"] is not None
        found = [
            Column("participant", _("Participant"), sort="participant__name", note="participant.team.name", link=True),
            Column("key", _("External user id"), "participant.key", screen=False),
            Column("deals", _("Activities"), kind="number", sort="deals"),
            self._measured("measure", _("Measure")),
            *([self._attainment()] if needs_targets(self.figures.definition) else []),
            self._money("low", _("Wins −20 %"), "low_minor"),
            self._money("earned", _("Earns"), "earned_minor", phone="value"),
            self._money("high", _("Wins +20 %"), "high_minor"),
        ]  # fmt: skip
        if compared:
            found += [
                self._money("before", _("Earns now"), "before_minor"),
                self._money("difference", _("Difference"), "difference_minor", template="simulations/_difference.html"),
            ]
        return tuple(found)

    @staticmethod
    def _attainment() -> Column:
        def ratio(row):
            return attainment_ratio(row.attainment)

        return Column("attainment", _("Attainment"), ratio, kind="percent", sort="attainment")

    def _money(self, key: str, label, field: str, **more) -> Column:
        def value(row):
            minor = getattr(row, field)
            return None if minor is None else Money(minor, self.simulation.currency)

        return Column(key, label, value, kind="money", sort=field, **more)

    def _measured(self, key: str, label) -> Column:
        is_money = self.figures.definition.measure.metric == "amount"
        currency = self.simulation.currency

        def value(row):
            return Money.from_decimal(row.measure, currency) if is_money else row.measure

        return Column(key, label, value, kind="money" if is_money else "number", sort=key, phone="hide")

    def get_queryset(self) -> QuerySet:
        rows = self.figures.people().select_related("participant__team", "candidate__simulation")
        return rows

    def get_context(self) -> dict:
        return self.frame()


class PersonPage(CandidatePart, Guarded, View):
    """Every line of one participant with its reason. `?export=csv` or `xlsx` gives all of them."""

    @cached_property
    def person(self) -> SimulatedPerson:
        rows = self.candidate.people.select_related("participant__team")
        found = get_object_or_404(rows, participant__public_id=self.kwargs["participant"])
        found.candidate = self.candidate
        return found

    def get(self, request, *args, **kwargs):
        lines = unpack(self.person.lines)
        if (kind := request.GET.get("export")) in ("csv", XLSX):
            return self.export(kind, lines)
        page = Paginator(lines, LINES_AT_ONCE).get_page(request.GET.get("page"))
        people = (gettext("Who earns what"), reverse("simulations:people", args=[self.simulation.public_id, self.candidate.position]))  # fmt: skip
        context = {
            **self.frame(people),
            "person": self.person,
            "money": {
                name: self.person.money(f"{name}_minor") for name in ("earned", "low", "high", "before", "difference")
            },
            "attainment": attainment_ratio(self.person.attainment),
            "page": page,
            "lines": self.rows(page.object_list),
            "cut": self.person.line_count > len(lines),
        }
        return render(request, "simulations/person.html", context)

    def rows(self, lines: list[list]) -> list[dict]:
        """One query for all of them."""
        objects = ObjectState.objects.in_bulk({fact for _s, _k, fact, *_ in lines if fact})
        definition, currency = self.figures.definition, self.simulation.currency
        return [
            {
                "period": period_label(definition, date.fromisoformat(start)),
                "reward": kind.replace("_", " "),
                "object": objects.get(fact),
                "day": date.fromisoformat(day),
                "amount": Money(minor, currency),
                "words": words,
            }
            for start, kind, fact, day, minor, words in lines
        ]

    def export(self, kind: str, lines: list[list]):
        person = self.person
        header = [gettext(word) for word in ("Period", "Reward", "Activity", "Day", "Amount", "Currency", "Why")]
        name = f"{slugify(f'simulation {self.simulation.name} {person}')}-{timezone.localdate():%Y-%m-%d}.{kind}"
        details = {"list": f"simulation lines of {person.participant.key}", "format": kind}
        audit.record("list.exported", self.request.user, actor=self.request.user, after=details)
        chunks = self._chunks(lines)
        if kind == XLSX:
            return FileResponse(exports.xlsx_file(str(person), header, chunks), as_attachment=True, filename=name)
        response = StreamingHttpResponse(exports.csv_chunks(header, chunks), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def _chunks(self, lines: list[list]):
        rest = iter(lines)
        while some := list(islice(rest, exports.CHUNK)):
            yield [
                [row["period"], row["reward"], str(row["object"] or ""), row["day"], row["amount"].decimal,
                 row["amount"].currency, row["words"]]
                for row in self.rows(some)
            ]  # fmt: skip


# --- overlap -----------------------------------------------------------------------------------------------------------
class OverlapFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        label=_("Program"), queryset=Program.objects.order_by("name"), to_field_name="public_id"
    )

    class Meta:
        model = Overlap
        fields: list[str] = []


class OverlapPage(CandidatePart, ListPage):
    title = _("Paid twice")
    search = ("participant__name", "object__object_id", "program__name")
    search_hint = _("Name, record or program")
    filterset_class = OverlapFilters
    default_sort = "-own"
    template_name = "simulations/people.html"
    empty_icon, empty_title = "done", _("Nothing is paid twice")
    empty_text = _("No other program has paid for an activity that counts by this definition.")

    @property
    def export_name(self) -> str:
        return f"overlap {self.simulation.name} {self.candidate.letter}"

    @cached_property
    def columns(self):
        currency = self.simulation.currency

        def own(field):
            return lambda row: Money(getattr(row, field), currency)

        def other(field):
            return lambda row: Money(getattr(row, field), row.program.currency)

        def why(row):
            return reverse("earnings:why", args=[row.object.public_id])

        return (
            Column("activity", _("Activity"), "object", sort="object__object_id", link=why),
            Column("participant", _("Participant"), sort="participant__name"),
            Column("key", _("External user id"), "participant.key", screen=False),
            Column("own", _("Would pay"), own("own_minor"), kind="money", sort="own_minor", phone="value"),
            Column("program", _("Also paid by"), "program.name", sort="program__name"),
            Column("other", _("It has paid"), other("other_minor"), kind="money", sort="other_minor"),
            Column("kept", _("Left by stacking"), own("kept_minor"), kind="money", sort="kept_minor"),
            Column("other_kept", _("Left there"), other("other_kept_minor"), kind="money", sort="other_kept_minor"),
        )

    def get_queryset(self) -> QuerySet:
        if self.candidate.is_baseline or not self.figures:
            raise Http404
        return self.candidate.overlaps.select_related("participant", "program", "object")

    def get_context(self) -> dict:
        return self.frame()


# --- exceptions --------------------------------------------------------------------------------------------------------
class ExceptionsPage(CandidatePart, Guarded, View):
    def get(self, request, *args, **kwargs):
        found = self.figures.result["exceptions"]
        objects = ObjectState.objects.in_bulk({row[2] for row in found["rows"] if row[2]})
        kinds = [
            {
                "label": CODES.get(code, code.replace("_", " ").capitalize()),
                "n": count,
                "rows": [
                    {"object": objects.get(fact), "person": person, "message": message}
                    for kind, message, fact, person in found["rows"]
                    if kind == code
                ],
            }
            for code, count in found["codes"].items()
        ]
        return render(request, "simulations/exceptions.html", {**self.frame(), "kinds": kinds})
