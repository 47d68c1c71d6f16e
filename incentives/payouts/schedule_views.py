"""The days on which programs paid by themselves."""

import django_filters
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import Column, Link, ListPage, Since, Tab, Until
from incentives.core.pages import crumbs
from incentives.payouts.links import program_url
from incentives.payouts.models import ScheduledBuild
from incentives.payouts.views import PARENT
from incentives.programs.models import Program


class ScheduleFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        queryset=Program.objects.order_by("name"), to_field_name="public_id", label=_("Program")
    )
    since = Since(field_name="started_at", label=_("From"))
    until = Until(field_name="started_at", label=_("To"))

    class Meta:
        model = ScheduledBuild
        fields: list[str] = []


class SchedulePage(ListPage):
    permission = "payouts.view"
    title = _("Scheduled builds")
    lead = _("Days on which a program paid by itself. What is built still needs its approvals.")
    search = ("program__name",)
    search_hint = _("Program")
    filterset_class = ScheduleFilters
    export_name = "scheduled builds"
    export_permission = "reports.export"
    default_sort = "-due_on"
    empty_icon, empty_title = "calendar", _("Nothing was due yet")
    empty_text = _("Programs that pay weekly, monthly or at their close build their payouts here by themselves.")
    actions = (Link(_("Build payouts"), "payouts:build", "payouts.build", "plus"),)
    tabs = (
        Tab("all", _("All")),
        Tab("waiting", _("Waiting"), Q(finished_at__isnull=True)),
    )
    columns = (
        Column("program", _("Program"), "program.name", sort="program__name", link=lambda row: program_url(row.program)),
        Column("due_on", _("Due on"), kind="date", sort="due_on"),
        Column("status", _("State"), "status", kind="status", note="problem",
               words={"done": _("Built"), "waiting": _("Waiting"), "running": _("Under way")}),
        Column("payouts", _("Payouts"), kind="number", sort="payouts"),
        Column("total", _("Together"), kind="money", sort="total_minor"),
        Column("carried", _("Carried"), kind="money", sort="carried_minor"),
        Column("skipped", _("Got nothing"), kind="number", sort="skipped"),
        Column("finished_at", _("Finished"), kind="time", sort="finished_at"),
    )  # fmt: skip

    def get_queryset(self):
        return ScheduledBuild.objects.select_related("program")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT)}
