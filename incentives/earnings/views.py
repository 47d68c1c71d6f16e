"""Pages about earnings: the parts of a program that come from facts, and why one fact earned."""

from functools import cached_property

import django_filters
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import Column, Guarded, ListPage, Since, Until
from incentives.core.pages import crumbs
from incentives.crm.models import Activity, ObjectState
from incentives.earnings import explain
from incentives.earnings.models import Earning, Participation
from incentives.earnings.selectors import attainment_ratio, exceptions, participant_lines, program_lines, standings
from incentives.participants.models import Team
from incentives.programs.pages import ProgramPart
from incentives.programs.selectors import current_period, measure_text, period_label, periods
from rewards.money import Money


# --- participants of a program ---------------------------------------------------------------------------------------
class ParticipationFilters(django_filters.FilterSet):
    period = django_filters.ChoiceFilter(
        label=_("Period"), choices=[], method="unchanged", empty_label=_("Present one")
    )
    team = django_filters.ModelChoiceFilter(
        field_name="participant__team", label=_("Team"), queryset=Team.objects.all(), to_field_name="code"
    )
    target = django_filters.ChoiceFilter(
        label=_("Target"), choices=[("with", _("With a target")), ("without", _("Without one"))], method="by_target"
    )

    class Meta:
        model = Participation
        fields: list[str] = []

    def __init__(self, *args, choices=(), **kwargs):
        super().__init__(*args, **kwargs)
        self.filters["period"].extra["choices"] = choices

    def unchanged(self, queryset, _name, _value):
        """The period decides which scorecard is read, not which rows."""
        return queryset

    def by_target(self, queryset, _name, value):
        return queryset.filter(target__isnull=value == "without")


class ParticipantsPage(ProgramPart, ListPage):
    part = "participants"
    template_name = "programs/sublist.html"
    title = _("Participants")
    search = ("participant__name", "participant__email", "participant__external_user_id")
    search_hint = _("Name, e-mail address or id")
    default_sort = "-earned"
    empty_icon, empty_title = "participants", _("Nobody takes part yet")
    empty_text = _("People appear with the first activity that counts for them.")

    @property
    def export_name(self) -> str:
        return f"participants {self.program.name}"

    @cached_property
    def choices(self) -> list[tuple[str, str]]:
        return [(str(start), period_label(self.definition, start)) for start, _end in periods(self.definition)]

    @cached_property
    def period(self):
        wanted = self.request.GET.get("period", "")
        starts = {str(start): start for start, _end in periods(self.definition)}
        return starts.get(wanted) or current_period(self.definition, timezone.now().date())

    def filterset_class(self, data, queryset, request):
        return ParticipationFilters(data, queryset=queryset, request=request, choices=self.choices)

    @property
    def lead(self) -> str:
        return period_label(self.definition, self.period)

    @cached_property
    def columns(self):
        program = self.program
        return (
            Column(
                "participant", _("Participant"), sort="participant__name", note="participant.team.name", link=self.address_of
            ),
            Column("key", _("External user id"), "participant.key", screen=False),
            Column("deals", _("Activities"), kind="number", sort="deals"),
            self.measured("measure", _("Measure")),
            self.measured("target", _("Target")),
            Column(
                "attainment", _("Attainment"), lambda row: attainment_ratio(row.attainment), kind="percent",
                sort="attainment",
            ),
            Column(
                "period", _("Earned in the period"), lambda row: Money(row.period_minor or 0, program.currency), kind="money",
                sort="period_minor", phone="more",
            ),
            Column("earned", _("Earned in all"), "earned", kind="money", sort="earned_minor", phone="value"),
        )  # fmt: skip

    def measured(self, name: str, label) -> Column:
        """A column in units of the measure: money for amounts, else a number."""
        currency = self.program.currency

        def value(row):
            found = getattr(row, name)
            return Money.from_decimal(found, currency) if found is not None and is_money else found

        is_money = self.definition.measure.metric == "amount"
        return Column(name, label, value, kind="money" if is_money else "number", sort=name, phone="more")

    def address_of(self, row) -> str:
        return reverse("earnings:participation", args=[self.program.public_id, row.participant.public_id])

    def get_queryset(self):
        return standings(self.program, self.period)

    def get_context(self) -> dict:
        return self.frame()


# --- earnings ------------------------------------------------------------------------------------------------------------
class EarningFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(
        label=_("What"), choices=[("earned", _("Earned")), ("corrected", _("Taken back or reduced"))], method="of_kind"
    )
    since = Since(field_name="posted_at", label=_("From"))
    until = Until(field_name="posted_at", label=_("To"))

    class Meta:
        model = Earning
        fields: list[str] = []

    def of_kind(self, queryset, _name, value):
        return queryset.filter(amount_minor__gt=0) if value == "earned" else queryset.filter(amount_minor__lt=0)


def why_url(earning: Earning) -> str:
    return reverse("earnings:why", args=[earning.object.public_id]) if earning.object_id else ""


def activity_name(earning: Earning) -> str:
    return str(earning.object) if earning.object_id else gettext("The whole period")


class EarningsPage(ProgramPart, ListPage):
    """The posted lines of one program."""

    part = "earnings"
    template_name = "programs/sublist.html"
    title = _("Earnings")
    search = ("participation__participant__name", "object__object_id", "explanation")
    search_hint = _("Name, record or reason")
    filterset_class = EarningFilters
    default_sort = "-posted"
    empty_icon, empty_title = "star", _("Nothing was earned yet")
    empty_text = _("A line appears with its reason as soon as an activity counts. Lines are only ever added.")
    columns = (
        Column("participant", _("Participant"), "participation.participant", sort="participation__participant__name"),
        Column("key", _("External user id"), "participation.participant.key", screen=False),
        Column("activity", _("Activity"), activity_name, sort="object__object_id", link=why_url),
        Column("explanation", _("Why"), link=True),
        Column("period", _("Period from"), "period_start", kind="date", sort="period_start"),
        Column("posted", _("Posted"), "posted_at", kind="time", sort=("posted_at", "pk")),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("line", _("Line"), "line_key", screen=False),
        Column("version", _("Version"), "version.number", screen=False),
        Column("id", _("Id"), "public_id", screen=False),
    )

    @property
    def export_name(self) -> str:
        return f"earnings {self.program.name}"

    def get_queryset(self):
        return program_lines(self.program)

    def get_context(self) -> dict:
        return self.frame()


class ParticipationPage(EarningsPage):
    """One participant in one program: scorecards by period, and every line."""

    part = "participants"
    template_name = "earnings/participation.html"
    columns = EarningsPage.columns[2:]
    search = ("object__object_id", "explanation")
    search_hint = _("Record or reason")

    @cached_property
    def participation(self) -> Participation:
        rows = self.program.participations.select_related("program", "participant__team")
        return get_object_or_404(rows, participant__public_id=self.kwargs["participant"])

    @property
    def title(self) -> str:
        return self.participation.participant.name

    @property
    def export_name(self) -> str:
        return f"statement {self.participation.participant.name} {self.program.name}"

    def get_queryset(self):
        return participant_lines(self.participation)

    def get_context(self) -> dict:
        people = (_("Participants"), reverse("earnings:participants", args=[self.program.public_id]))
        cards = [
            {
                "period": period_label(self.definition, card.period_start),
                "measure": measure_text(self.definition, card.measure),
                "target": measure_text(self.definition, card.target),
                "attainment": attainment_ratio(card.attainment),
                "deals": card.deals,
                "earned": Money(card.amount_minor, self.program.currency),
            }
            for card in self.participation.scorecards.order_by("-period_start")[:60]
        ]
        frame = self.frame()
        return {
            **frame,
            "crumbs": [*frame["crumbs"], *crumbs(people)],
            "participation": self.participation,
            "cards": cards,
        }


# --- exceptions ----------------------------------------------------------------------------------------------------------
class ExceptionsPage(ProgramPart, Guarded, View):
    """What a person should look at. To htmx the short form for the program's page."""

    part = "exceptions"

    def get(self, request, *args, **kwargs):
        found = exceptions(self.program, self.definition)
        context = {**self.frame(), "found": found, "kinds": _by_code(found.rows)}
        name = "earnings/_exceptions_short.html" if request.headers.get("HX-Request") else "earnings/exceptions.html"
        return render(request, name, context)


CODES = {
    "no_target": _("No target"),
    "no_rate": _("No exchange rate"),
    "no_currency": _("No currency"),
    "no_participant": _("No participant named"),
    "unknown_participant": _("Unknown participant"),
    "split_total": _("Splits do not add up"),
    "no_measure": _("Nothing to measure"),
    "negative_measure": _("Negative amount"),
    "bad_line": _("Unreadable product line"),
    "outside_window": _("No close date"),
}


def _by_code(rows) -> list[tuple[str, list]]:
    groups: dict[str, list] = {}
    for row in rows:
        groups.setdefault(str(CODES.get(row.code, row.code.replace("_", " ").capitalize())), []).append(row)
    return list(groups.items())


# --- why -----------------------------------------------------------------------------------------------------------------
class WhyPage(Guarded, View):
    """Why a fact earned, or not. The address takes the public id of the record or of one of its activities."""

    permission = "activities.view"

    def get(self, request, public_id):
        state = self.find(public_id)
        context = {
            "state": state,
            "explanations": explain.explain(state),
            "never": explain.why_never(state),
            "waiting": explain.waiting(state),
            "activity_url": _activity_url(state, public_id),
            "crumbs": crumbs((_("Activities"), "crm:activities")) if _exists("crm:activities") else [],
        }
        name = "earnings/_why.html" if request.headers.get("HX-Request") else "earnings/why.html"
        return render(request, name, context)

    def find(self, public_id) -> ObjectState:
        rows = ObjectState.objects.select_related("participant", "connection")
        found = rows.filter(Q(public_id=public_id) | Q(activities__public_id=public_id)).first()
        if found is None:
            raise Http404
        return found


def _exists(name: str) -> bool:
    try:
        return bool(reverse(name))
    except NoReverseMatch:
        return False


def _activity_url(state: ObjectState, public_id) -> str:
    """The page of the activity asked about, else of the record's newest one; empty while no such page exists."""
    own = Activity.objects.filter(object=state)
    activity = own.filter(public_id=public_id).first() or own.order_by("-pk").first()
    try:
        return reverse("crm:activity", args=[activity.public_id]) if activity else ""
    except NoReverseMatch:
        return ""
