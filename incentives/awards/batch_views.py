"""Many awards by file: upload, look at every row, give them all or none."""

import tempfile
from pathlib import Path

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views import View

from incentives.awards import files, selectors, services
from incentives.awards.errors import CannotGive
from incentives.awards.forms import FileForm
from incentives.awards.models import AwardBatch
from incentives.awards.views import GIVE, LIST
from incentives.core.errors import DomainError
from incentives.core.pages import Guarded, crumbs
from rewards.money import Money

SHOWN = 300
"""Rows of a preview, those with a problem first."""


class FilePage(Guarded, View):
    permission = GIVE

    def get(self, request):
        return self.show(FileForm(initial={"program": request.GET.get("program", "")[:36]}))

    def post(self, request):
        form = FileForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.show(form, status=400)
        file, pot = form.cleaned_data["file"], form.cleaned_data["program"]
        try:
            batch = services.upload_batch(
                program=pot.program, file_name=Path(file.name).name, sha256=files.digest(file.chunks()),
                rows=_read(file), actor=request.user,
            )  # fmt: skip
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        return redirect(batch)

    def show(self, form: FileForm, status: int = 200):
        return render(self.request, "awards/file.html", {"form": form, "crumbs": crumbs(LIST)}, status=status)


def _read(file) -> list[list]:
    """The rows; the file itself is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "awards"
        with path.open("wb") as target:
            target.writelines(file.chunks())
        return files.read(path)


class BatchPage(Guarded, View):
    """What the file asks for, checked now; confirming checks again."""

    permission = GIVE

    def batch(self, public_id) -> AwardBatch:
        rows = AwardBatch.objects.select_related("program__budget", "uploaded_by")
        return get_object_or_404(rows, public_id=public_id)

    def get(self, request, public_id):
        batch = self.batch(public_id)
        if batch.status == AwardBatch.Status.GIVEN:
            awards = list(batch.awards.select_related("participant"))
            total = Money(sum(a.amount_minor for a in awards), batch.program.currency)
            context = {"batch": batch, "awards": awards, "total": total, "crumbs": crumbs(LIST)}
            return render(request, "awards/batch.html", context)
        return self.show(batch)

    def post(self, request, public_id):
        batch = self.batch(public_id)
        try:
            rows = self.rows(batch)
            if any(row.problem for row in rows):
                return self.show(batch, status=400)
            awards = services.give_batch(batch=batch, wanted=[row.wanted for row in rows], actor=request.user)
        except DomainError as exc:
            messages.error(request, exc.user_message)
            return redirect(batch)
        given = ngettext("%(n)s award is given.", "%(n)s awards are given.", len(awards)) % {"n": len(awards)}
        messages.success(request, given)
        return redirect("awards:list")

    def rows(self, batch: AwardBatch) -> list[files.Row]:
        pot = selectors.pot_of(batch.program)
        if pot is None:
            raise CannotGive(f"Awards are not given out of {batch.program} any more.")
        return files.rows_of(pot, batch.rows, self.request.user)

    def show(self, batch: AwardBatch, status: int = 200):
        rows = self.rows(batch)
        bad = [row for row in rows if row.problem]
        good = [row for row in rows if not row.problem]
        total = Money(sum(row.wanted.amount.minor for row in good), batch.program.currency)
        context = {
            "batch": batch,
            "rows": [*bad, *good][:SHOWN],
            "count": len(rows),
            "bad": len(bad),
            "total": total,
            "room": selectors.pot_of(batch.program).room,
            "cut": SHOWN,
            "title": _("Awards by file"),
            "crumbs": crumbs(LIST, (_("Give by file"), "awards:file")),
        }
        return render(self.request, "awards/batch.html", context, status=status)
