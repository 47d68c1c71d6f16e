"""Everything as one file: the list, asking, its progress, fetching it."""

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage
from incentives.core.pages import crumbs
from incentives.reports import export_services
from incentives.reports.accrual_views import REPORTS
from incentives.reports.export_models import FullExport
from incentives.reports.export_tables import FIELDS_LEFT_OUT, LEFT_OUT, TABLES

HERE = (_("Full export"), "reports:export")


class ExportsPage(ListPage):
    permission = "export.everything"
    title = _("Full export")
    lead = _(
        "Everything you own as one file, with a program that checks the ledger and the audit trail without Laurel."
    )
    search, search_hint = ("requested_by__name", "sha256", "manifest_sha256"), _("Who or checksum")
    default_sort = "-requested_at"
    export_name, export_permission = "full exports", "reports.export"
    actions = (Link(_("Export everything"), "reports:export-new", "export.everything", "download", primary=True),)
    empty_icon, empty_title = "download", _("Nothing was exported yet")
    empty_text = _("An export takes some minutes and is kept for 7 days.")
    columns = (
        Column("requested_at", _("Asked"), kind="time", sort="requested_at", link=lambda e: e.get_absolute_url()),
        Column("requested_by", _("By"), "requested_by.name", sort="requested_by__name"),
        Column("status", _("State"), kind="status", sort="status"),
        Column("rows", _("Rows"), "total", kind="number", sort="total"),
        Column("size", _("Bytes"), kind="number", sort="size"),
        Column("expires_at", _("Removed"), kind="time", sort="expires_at"),
        Column("sha256", "SHA-256", screen=False),
        Column("manifest_sha256", _("SHA-256 of the manifest"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return FullExport.objects.select_related("requested_by")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(REPORTS)}


class RequestPage(ActionPage):
    permission = "export.everything"
    template_name = "reports/export_new.html"
    title = _("Export everything?")
    text = _(
        "The file holds names, addresses and tax status of every participant. Only you may fetch it, each time is recorded, "
        "and it is removed after 7 days. Keep it as you keep a personnel file."
    )
    submit = _("Export everything")
    made: FullExport | None = None

    def get_context(self, thing) -> dict:
        return {
            "tables": len(TABLES),
            "left_out": sorted(LEFT_OUT.items()),
            "fields_left_out": sorted(FIELDS_LEFT_OUT.items()),
            "crumbs": crumbs(REPORTS, HERE),
        }

    def success_url(self, thing) -> str:
        return self.made.get_absolute_url() if self.made else crumbs(HERE)[0][1]

    def perform(self, thing, data: dict) -> str:
        self.made = export_services.request_export(actor=self.request.user)
        return ""


class ExportPage(DetailPage):
    permission = "export.everything"
    template_name = "reports/export_one.html"

    def get_queryset(self):
        return FullExport.objects.select_related("requested_by")

    def get_context(self, thing) -> dict:
        own = thing.requested_by_id == self.request.user.pk
        return {
            "may_fetch": own and thing.status == FullExport.Status.DONE,
            "own": own,
            "title": gettext("Full export"),
            "crumbs": crumbs(REPORTS, HERE),
        }


class FetchPage(Guarded, View):
    """GET: the file, for the person who asked. Recorded each time; somebody else's answers 404."""

    permission = "export.everything"

    def get(self, request, public_id) -> HttpResponse:
        export = get_object_or_404(FullExport, public_id=public_id)
        if export.requested_by_id != request.user.pk:
            raise Http404
        try:
            file = export_services.open_file(export=export, actor=request.user)
        except DomainError as exc:
            messages.error(request, exc.user_message)
            return redirect(export)
        name = f"laurel-export-{export.requested_at:%Y-%m-%d}.zip"
        response = FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
        response["Cache-Control"] = "private, no-store"
        return response
