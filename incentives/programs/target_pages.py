"""Targets of a program: the list, setting one, and a file of them with a preview."""

from functools import cached_property

import django_filters
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import Column, Guarded, ListPage, Since, Until
from incentives.core.row_files import NEW, REPLACED, UNCHANGED, RowsPage
from incentives.programs import services
from incentives.programs.forms import ImportRow, TargetForm, TargetsFileForm
from incentives.programs.models import Target, TargetChange
from incentives.programs.pages import ProgramPart
from incentives.programs.selectors import current_period, measure_text, period_label, periods
from incentives.programs.targets import prorate, to_prorate
from incentives.programs.views import ProgramAction
from rewards.money import Money


class TargetFilters(django_filters.FilterSet):
    period = django_filters.ChoiceFilter(field_name="period_start", label=_("Period"), choices=[])
    team = django_filters.CharFilter(field_name="participant__team__name", lookup_expr="icontains", label=_("Team"))

    class Meta:
        model = Target
        fields: list[str] = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        days = self.queryset.order_by("period_start").values_list("period_start", flat=True).distinct()
        self.filters["period"].extra["choices"] = [(str(day), day) for day in days]


class TargetsPage(ProgramPart, ListPage):
    part = "targets"
    template_name = "programs/targets.html"
    title = _("Targets")
    search = ("participant__name", "participant__email", "participant__external_user_id")
    search_hint = _("Name, e-mail address or id")
    filterset_class = TargetFilters
    default_sort = "participant"
    export_name = "targets"
    empty_icon, empty_title = "flag", _("No target is set")
    empty_text = _("A reward that is measured against a target pays nothing to who has none.")

    @cached_property
    def columns(self):
        definition, is_money = self.definition, self.definition.measure.metric == "amount"

        def target(row):
            return Money.from_decimal(row.value, definition.currency) if is_money else row.value

        return (
            Column(
                "participant",
                _("Participant"),
                sort=("participant__name", "period_start"),
                note="participant.team.name",
            ),
            Column("key", _("External user id"), "participant.key", screen=False),
            Column("period", _("Period"), lambda row: period_label(definition, row.period_start), sort="period_start"),
            Column("period_start", _("Period start"), kind="date", screen=False),
            Column("value", _("Target"), target, kind="money" if is_money else "number", sort="value", phone="value"),
            Column(
                "updated_at", _("Set"), kind="time", sort="updated_at", note="updated_by.name", link=self.history_of
            ),
        )

    def history_of(self, row) -> str:
        at = reverse("programs:target-history", args=[self.program.public_id])
        return f"{at}?participant={row.participant.public_id}&period={row.period_start}"

    def get_queryset(self):
        return Target.objects.filter(program=self.program).select_related("participant__team", "updated_by")

    def get_context(self) -> dict:
        return self.frame()


class TargetAction(ProgramAction):
    permission = "programs.edit"
    part = "targets"

    def success_url(self, thing) -> str:
        return reverse("programs:targets", args=[thing.public_id])


class SetTargetPage(TargetAction):
    form_class = TargetForm
    title = _("Set a target in %(program)s")
    text = _("A target that stands for the period is replaced; what was earned is corrected by the difference.")
    submit = _("Set the target")

    def get_form_kwargs(self, thing) -> dict:
        period = self.request.GET.get("period") or str(current_period(self.definition, timezone.now().date()))
        initial = {"participant": self.request.GET.get("participant", "")[:254], "period": period}
        return {"definition": self.definition, "initial": initial}

    def make_form(self, thing, *data):
        self.form = super().make_form(thing, *data[:1])
        return self.form

    def perform(self, thing, data: dict) -> str:
        done = services.set_targets(program=thing, rows=[self.form.row], actor=self.request.user)
        if not done["changed"]:
            return gettext("That target stood already; nothing was changed.")
        return gettext("The target of %(name)s is set.") % {"name": self.form.row.participant}


class ImportTargetsPage(ProgramPart, RowsPage):
    permission = "programs.edit"
    part = "targets"
    template_name = "programs/targets_import.html"

    def make_form(self, *data) -> TargetsFileForm:
        return TargetsFileForm(*data, definition=self.definition)

    def apply(self, form: TargetsFileForm) -> str:
        return _told(services.set_targets(program=self.program, rows=form.good_rows, actor=self.request.user))

    def done_url(self) -> str:
        return reverse("programs:targets", args=[self.program.public_id])

    def frame(self) -> dict:
        return {**super().frame(), "definition": self.definition}

    def lines(self, form: TargetsFileForm, rows: list) -> list[dict]:
        standing = {(target.participant_id, target.period_start): target.value for target in self.program.targets.all()}
        return [self._line(item, standing) for item in rows]

    def _line(self, item: ImportRow, standing: dict) -> dict:
        row, definition = item.row, self.definition
        before = standing.get((row.participant.pk, row.period_start)) if row else None
        return {
            "item": item,
            "person": row.participant if row else None,
            "period": period_label(definition, row.period_start) if row else item.period,
            "value": measure_text(definition, row.value) if row else item.value,
            "before": measure_text(definition, before),
            "result": NEW if before is None else UNCHANGED if row and before == row.value else REPLACED,
        }


def _told(done: dict) -> str:
    changed = ngettext("%(n)s target is set.", "%(n)s targets are set.", done["changed"]) % {"n": done["changed"]}
    if not done["unchanged"]:
        return changed
    same = ngettext("%(n)s stood already.", "%(n)s stood already.", done["unchanged"]) % {"n": done["unchanged"]}
    return f"{changed} {same}"


# --- proration -------------------------------------------------------------------------------------------------------------
class ProratePage(ProgramPart, Guarded, View):
    """Who joined or left inside a period, and what their days leave of the target. Writes only what is ticked."""

    permission = "programs.edit"
    part = "targets"

    @cached_property
    def starts(self) -> dict:
        return {str(start): start for start, _end in periods(self.definition)}

    @cached_property
    def period(self):
        """The one asked for, else the present one."""
        wanted = self.request.POST.get("period") or self.request.GET.get("period", "")
        return self.starts.get(wanted) or current_period(self.definition, timezone.localdate())

    def get(self, request, *args, **kwargs):
        return self.show()

    def post(self, request, *args, **kwargs):
        ids = set(request.POST.getlist("ids"))
        found = to_prorate(self.program, self.definition, self.period)
        chosen = {item.participant.pk for item in found if str(item.participant.public_id) in ids and not item.problem}
        if not chosen:
            messages.error(request, gettext("Tick the people whose targets should be prorated."))
            return self.show(status=400)
        done = prorate(program=self.program, period_start=self.period, participants=chosen, actor=request.user)
        messages.success(request, _told(done))
        return redirect(f"{reverse('programs:prorate', args=[self.program.public_id])}?period={self.period}")

    def show(self, status: int = 200):
        found = to_prorate(self.program, self.definition, self.period)
        lines = [
            {
                "item": item,
                "id": item.participant.public_id,
                "whole": measure_text(self.definition, item.whole),
                "value": measure_text(self.definition, item.value) if not item.problem else None,
                "standing": measure_text(self.definition, item.standing),
            }
            for item in found
        ]
        context = {
            **self.frame(),
            "lines": lines,
            "open": sum(not item.same and not item.problem for item in found),
            "choices": [(key, period_label(self.definition, start)) for key, start in self.starts.items()],
            "period": str(self.period),
            "label": period_label(self.definition, self.period),
            "is_amount": self.definition.measure.metric == "amount",
        }
        return render(self.request, "programs/targets_prorate.html", context, status=status)


# --- history ---------------------------------------------------------------------------------------------------------------
class ChangeFilters(django_filters.FilterSet):
    participant = django_filters.UUIDFilter(field_name="participant__public_id", label=_("Id of the participant"))
    period = django_filters.DateFilter(field_name="period_start", label=_("Period from"))
    who = django_filters.CharFilter(field_name="changed_by__name", lookup_expr="icontains", label=_("Changed by"))
    since = Since(field_name="changed_at", label=_("From"))
    until = Until(field_name="changed_at", label=_("To"))

    class Meta:
        model = TargetChange
        fields: list[str] = []


class TargetHistoryPage(ProgramPart, ListPage):
    """Every change of a target: who, when, from what to what, and why."""

    part = "targets"
    template_name = "programs/sublist.html"
    title = _("History of targets")
    search = ("participant__name", "participant__email", "participant__external_user_id", "reason")
    search_hint = _("Name, address, id or reason")
    filterset_class = ChangeFilters
    default_sort = "-changed_at"
    empty_icon, empty_title = "flag", _("No target was set yet")
    empty_text = _("Every change of a target is kept here.")

    @property
    def export_name(self) -> str:
        return f"history of targets {self.program.name}"

    @cached_property
    def columns(self):
        definition, is_money = self.definition, self.definition.measure.metric == "amount"

        def target(name):
            def value(row):
                found = getattr(row, name)
                return Money.from_decimal(found, definition.currency) if is_money and found is not None else found

            return value

        kind = "money" if is_money else "number"
        return (
            Column("participant", _("Participant"), sort="participant__name", note="participant.team.name"),
            Column("key", _("External user id"), "participant.key", screen=False),
            Column("period", _("Period"), lambda row: period_label(definition, row.period_start), sort="period_start"),
            Column("period_start", _("Period start"), kind="date", screen=False),
            Column("before", _("Before"), target("before"), kind=kind, sort="before"),
            Column("after", _("After"), target("after"), kind=kind, sort="after", phone="value"),
            Column("whole", _("Whole target"), target("whole"), kind=kind, sort="whole"),
            Column("reason", _("Reason")),
            Column("changed_at", _("Changed"), kind="time", sort=("changed_at", "pk"), note="changed_by.name"),
            Column("changed_by", _("Changed by"), screen=False),
        )

    def get_queryset(self):
        rows = TargetChange.objects.filter(program=self.program)
        return rows.select_related("participant__team", "changed_by")

    def get_context(self) -> dict:
        return self.frame()
