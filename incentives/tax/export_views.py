"""The files for payroll and for the 1099 filing: the list, making one, fetching one again."""

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import exports
from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage
from incentives.core.pages import crumbs
from incentives.tax import services
from incentives.tax.forms import ExportFilters, MiscForm, W2Form
from incentives.tax.models import TaxExport
from incentives.tax.services.exports import FORMULA, overlapping, typed_rows
from incentives.tax.views import PARENT

HERE = (_("Tax exports"), "tax:exports")
SHOWN = 50


def export_url(made: TaxExport) -> str:
    return reverse("tax:export", args=[made.public_id])


class ExportsPage(ListPage):
    permission = "tax.view"
    title = _("Tax exports")
    lead = _("Every file that was made, as it was made: fetched again it is the same to the byte.")
    search = ("title", "created_by__name", "sha256")
    search_hint = _("Title, who or checksum")
    filterset_class = ExportFilters
    default_sort = "-created_at"
    export_name, export_permission = "tax exports", "tax.view"
    actions = (
        Link(_("W-2 pay period"), "tax:export-w2", "tax.edit", "plus"),
        Link(_("1099-MISC of a year"), "tax:export-1099", "tax.edit", "plus", primary=True),
    )
    empty_icon, empty_title = "download", _("No file was made yet")
    empty_text = _("Make the file of a pay period for payroll, or that of a year for the 1099-MISC filing.")
    columns = (
        Column("title", _("Export"), link=export_url, sort="title"),
        Column("row_count", _("Rows"), kind="number", sort="row_count", phone="value"),
        Column("created_at", _("Made"), kind="time", sort="created_at", note="created_by.name"),
        Column("by", _("By"), "created_by.name", screen=False),
        Column("sha", "SHA-256", lambda made: made.sha256[:12], export=False),
        Column("sha256", "SHA-256", screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return TaxExport.objects.select_related("created_by").defer("rows")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT)}


class ExportPage(DetailPage):
    permission = "tax.view"
    template_name = "tax/export.html"

    def get_queryset(self):
        return TaxExport.objects.select_related("created_by")

    def get_context(self, thing) -> dict:
        heads = [(label, kind == "money") for label, kind in thing.columns]
        rows = [[(value, *head) for value, head in zip(row, heads, strict=True)] for row in thing.rows[:SHOWN]]
        parameters = [(name.replace("_", " "), _shown(value)) for name, value in thing.parameters.items()]
        return {"heads": heads, "rows": rows, "cut": SHOWN, "parameters": parameters, "crumbs": crumbs(PARENT, HERE)}


def _shown(value):
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return value


class FetchPage(Guarded, View):
    """GET /reports/tax/exports/<id>/<csv or xlsx>/: recorded each time."""

    permission = "tax.view"

    def get(self, request, public_id, kind) -> HttpResponse:
        made = get_object_or_404(TaxExport, public_id=public_id)
        if kind not in {"csv", "xlsx"}:
            raise Http404
        try:
            services.record_download(made, actor=request.user, kind=kind)
        except DomainError as exc:
            messages.error(request, exc.user_message)
            return redirect(export_url(made))
        name = f"{slugify(made.title)}-{made.sha256[:8]}.{kind}"
        if kind == "csv":
            response = StreamingHttpResponse(services.csv_of(made), content_type="text/csv; charset=utf-8")
            response["Content-Disposition"] = f'attachment; filename="{name}"'
            return response
        header = [label for label, _kind in made.columns]
        file = exports.xlsx_file(made.title, header, [typed_rows(made)])
        return FileResponse(file, as_attachment=True, filename=name)


class MakePage(ActionPage):
    permission = "tax.edit"
    submit = _("Make the file")
    made: TaxExport | None = None

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, HERE)}

    def success_url(self, thing) -> str:
        return export_url(self.made) if self.made else reverse("tax:exports")


class Make1099Page(MakePage):
    form_class = MiscForm
    title = _("1099-MISC of a year")
    text = _(
        "Box 3: what was delivered and awarded elsewhere. The file holds no tax numbers; your filing system joins it by "
        "external user id or employee number. Pay for services by contractors belongs on Form 1099-NEC: take such rows out."
    )

    def perform(self, thing, data: dict) -> str:
        self.made = services.make_1099_export(year=data["year"], everybody=data["everybody"], actor=self.request.user)
        return gettext("The file is made.")


class MakeW2Page(MakePage):
    form_class = W2Form
    template_name = "tax/w2.html"
    title = _("W-2 pay period")

    def get_context(self, thing) -> dict:
        made = TaxExport.objects.filter(kind=TaxExport.Kind.W2).select_related("created_by").defer("rows")[:5]
        return {**super().get_context(thing), "formula": FORMULA, "before": made}

    def perform(self, thing, data: dict) -> str:
        before = overlapping(data["first"], data["last"])
        self.made = services.make_w2_export(
            first=data["first"], last=data["last"], gross_up=data["rates"], actor=self.request.user
        )
        if before:
            words = gettext("The period shares days with an earlier export (%(which)s). Give payroll only one of them.")
            messages.warning(self.request, words % {"which": ", ".join(made.title for made in before[:3])})
        return gettext("The file is made.")
