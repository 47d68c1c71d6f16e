"""The file import: upload, map and preview, watch, fetch the result."""

from pathlib import Path

from django.contrib import messages
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Guarded
from incentives.core.pages import crumbs
from incentives.crm import imports, selectors
from incentives.crm.forms import MappingForm, UploadForm
from incentives.crm.models import Delivery, ImportJob

PARENT = (_("Activities"), "crm:activities")
PERMISSION = "activities.import"


class ImportPage(ActionPage):
    """Upload a file, and the imports so far."""

    permission = PERMISSION
    parent = PARENT
    form_class = UploadForm
    template_name = "crm/import.html"
    title = _("Import a file")
    submit = _("Upload")

    def get_object(self):
        return None

    def get_context(self, thing) -> dict:
        return {"jobs": selectors.imports(self.request.user)[:20]}

    def perform(self, thing, data: dict) -> str:
        self.job = imports.upload(data["connection"], data["file"], actor=self.request.user)
        return ""

    def success_url(self, thing) -> str:
        return reverse("crm:import-job", args=[self.job.public_id]) if hasattr(self, "job") else reverse("crm:import")

    def cancel_url(self, thing) -> str:
        return reverse("crm:activities")


class ImportJobPage(Guarded, View):
    """An uploaded file: its mapping with a preview; once started, its progress and result."""

    permission = PERMISSION

    def job(self, public_id) -> ImportJob:
        return get_object_or_404(selectors.imports(self.request.user), public_id=public_id)

    def get(self, request, public_id):
        job = self.job(public_id)
        if job.status != ImportJob.Status.UPLOADED:
            return self.progress(job)
        columns, rows = imports.columns_of(job.path)
        form = MappingForm(columns=columns, initial={"mapping": job.mapping or job.connection.field_map})
        return self.show(job, form, columns, rows)

    def post(self, request, public_id):
        job = self.job(public_id)
        if job.status != ImportJob.Status.UPLOADED:
            return redirect("crm:import-job", public_id)
        columns, rows = imports.columns_of(job.path)
        form = MappingForm(request.POST, columns=columns)
        if not form.is_valid():
            return self.show(job, form, columns, rows, status=400)
        try:
            return self.act(job, form, columns, rows)
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(job, form, columns, rows, status=exc.status)

    def act(self, job: ImportJob, form: MappingForm, columns, rows):
        mapping, full = form.made_mapping(), form.cleaned_data["full"]
        if "start" not in self.request.POST:
            preview = imports.preview(job.connection, job.path, mapping, full=full)
            form = MappingForm({**self.request.POST.dict(), "confirm_missing": preview.missing or 0}, columns=columns)
            form.is_valid()
            return self.show(job, form, columns, rows, preview=preview)
        imports.start(
            job, mapping, actor=self.request.user, full=full, confirm_missing=form.cleaned_data["confirm_missing"]
        )
        messages.success(self.request, gettext("The import has started."))
        return redirect("crm:import-job", job.public_id)

    def show(self, job, form, columns, rows, status: int = 200, **more):
        context = {
            "job": job,
            "form": form,
            "columns": columns,
            "sample": [[row[name] for name in columns] for row in rows],
            "crumbs": crumbs(PARENT, (_("Import a file"), "crm:import")),
            **more,
        }
        return render(self.request, "crm/import_mapping.html", context, status=status)

    def progress(self, job: ImportJob):
        hidden = {"result_bytes", "confirmed_missing"}
        counts = [(name, number) for name, number in job.counts.items() if name not in hidden]
        deliveries = job.deliveries
        context = {
            "job": job,
            "counts": counts,
            "waiting": deliveries.filter(status=Delivery.Status.PENDING).count(),
            "troubled": deliveries.filter(status__in=selectors.TROUBLED).count(),
            "crumbs": crumbs(PARENT, (_("Import a file"), "crm:import")),
        }
        return render(self.request, "crm/import_job.html", context)


class ImportResultPage(Guarded, View):
    """The CSV that says what became of every row."""

    permission = PERMISSION

    def get(self, request, public_id):
        job = get_object_or_404(selectors.imports(request.user), public_id=public_id)
        if not job.result_path or not Path(job.result_path).is_file():
            raise Http404
        return FileResponse(
            Path(job.result_path).open("rb"), as_attachment=True, filename=f"result-{job.public_id}.csv"
        )
