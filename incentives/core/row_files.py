"""A file of rows that a person uploads or pastes, looks at and applies: the form, the reading and the page.

A subclass of the form says what a row becomes; a subclass of the page says how rows look and what applying does. A row is
an object with `problem` (in words, empty for a good one) and, for `good_rows`, `row` (what a service takes).
"""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.pages import Guarded
from incentives.core.tables import BadFile, as_text, open_table

MEGABYTE = 1024 * 1024
MOST_ROWS = 5000
SHOWN = 200
"""Rows of a preview."""
NEW, REPLACED, UNCHANGED = (
    (_("New"), "success", "plus"),
    (_("Replaced"), "info", "edit"),
    (_("Unchanged"), "quiet", "dot"),
)
"""What applying would do with a good row: word, tone and icon of its badge."""


class RowsForm(forms.Form):
    """A file, or the text that came back from the preview. `rows` and `source` (the file as text) stand after `is_valid`."""

    columns: tuple[str, ...] = ()
    """Columns the first line must name."""
    optional: tuple[str, ...] = ()
    help_text = ""
    label = _("CSV file")
    accept = ".csv,text/csv"
    megabytes = 1

    file = forms.FileField(required=False)
    text = forms.CharField(
        label=_("Or paste the lines"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["file"].label, self.fields["file"].help_text = self.label, self.help_text
        self.fields["file"].widget.attrs["accept"] = self.accept
        self.rows: list = []
        self.source = ""

    @property
    def bad_rows(self) -> list:
        return [row for row in self.rows if row.problem]

    @property
    def good_rows(self) -> list:
        """What the good rows give a service."""
        return [row.row for row in self.rows if row.row is not None and not row.problem]

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors:
            self.rows, self.source = self.read(self._content(data))
        return data

    def _content(self, data: dict) -> bytes:
        """Of the field `file`, else of `text`. Raises ValidationError."""
        upload = data.get("file")
        if upload is None and not data.get("text", "").strip():
            raise forms.ValidationError(gettext("Choose a file, or paste its lines."))
        if (len(data["text"]) if upload is None else upload.size) > self.megabytes * MEGABYTE:
            raise forms.ValidationError(gettext("The file is larger than %(n)s MB. Split it.") % {"n": self.megabytes})
        return data["text"].encode() if upload is None else upload.read()

    def read(self, content: bytes) -> tuple[list, str]:
        """(rows, the file as text). Raises ValidationError."""
        source = _decoded(content)
        return self.checked(list(self._lines(source))), source

    def checked(self, lines: list[tuple[int, dict]]) -> list:
        """The rows of what was read: (number as the person sees it, {column: text or what a spreadsheet typed})."""
        raise NotImplementedError

    def _lines(self, source: str) -> list[tuple[int, dict[str, str]]]:
        first = source.lstrip("\ufeff").split("\n", 1)[0]
        delimiter = ";" if first.count(";") > first.count(",") else "\t" if "\t" in first else ","
        reader = csv.reader(io.StringIO(source.lstrip("\ufeff").replace("\x00", "")), delimiter=delimiter, strict=True)
        try:
            header = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
            self._require(header)
            places = {name: header.index(name) for name in (*self.columns, *self.optional) if name in header}
            filled = (cells for cells in reader if any(cell.strip() for cell in cells))
            return _limited(
                (reader.line_num, {name: cells[at].strip() if at < len(cells) else "" for name, at in places.items()})
                for cells in filled
            )
        except csv.Error as exc:
            message = gettext("Line %(line)s is no CSV: %(why)s.") % {"line": reader.line_num, "why": exc}
            raise forms.ValidationError(message) from None

    def _require(self, header: Iterable[str]) -> None:
        if missing := [name for name in self.columns if name not in header]:
            message = gettext("The first line must name the columns %(wanted)s; missing: %(missing)s.")
            raise forms.ValidationError(message % {"wanted": ", ".join(self.columns), "missing": ", ".join(missing)})


class TableRowsForm(RowsForm):
    """As RowsForm, for CSV in any usual encoding and XLSX. Rows also have `cells`: their texts by column."""

    label = _("CSV or XLSX file")
    accept = ".csv,.xlsx,text/csv"
    megabytes = 2
    order: tuple[str, ...] = ()
    """All columns, in the order in which the preview sends them back."""

    def read(self, content: bytes) -> tuple[list, str]:
        try:
            rows = self.checked(_limited(self._cells(content)))
        except BadFile as exc:
            raise forms.ValidationError(exc.user_message) from None
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self.order)
        writer.writerows([row.cells[name] for name in self.order] for row in rows)
        return rows, text.getvalue()

    def _cells(self, content: bytes) -> Iterator[tuple[int, dict]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows"
            path.write_bytes(content)
            with open_table(path) as table:
                names = {name.lower().replace(" ", "_"): name for name in table.columns if name}
                self._require(names)
                for number, values in table.rows:
                    yield number, {name: values[names[name]] if name in names else "" for name in self.order}


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise forms.ValidationError(gettext("The file is not UTF-8. Save it as “CSV UTF-8”.")) from None


def _limited(lines: Iterable) -> list:
    found = []
    for line in lines:
        if len(found) >= MOST_ROWS:
            raise forms.ValidationError(gettext("More than %(n)s rows. Split the file.") % {"n": MOST_ROWS})
        found.append(line)
    if not found:
        raise forms.ValidationError(gettext("The file has no rows under its first line."))
    return found


def read_day(value) -> date:
    """A day that a spreadsheet typed, or text such as 2026-07-01. Raises ValueError in words for the row."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(as_text(value))
    except ValueError:
        raise ValueError(gettext("“%(text)s” is no day such as 2026-07-01.") % {"text": as_text(value)[:40]}) from None


class RowsPage(Guarded, View):
    """Upload, look, apply. The preview carries the rows along, and applying checks them again: all of them or none.

    The template extends rows_import.html.
    """

    form_class: type[RowsForm]
    template_name = ""

    def get(self, request, *args, **kwargs) -> HttpResponse:
        return self.show(self.make_form())

    def post(self, request, *args, **kwargs) -> HttpResponse:
        form = self.make_form(request.POST, request.FILES)
        if not form.is_valid():
            return self.show(form, status=400)
        if form.bad_rows or request.POST.get("action") != "apply":
            return self.show(form, status=400 if form.bad_rows else 200)
        try:
            told = self.apply(form)
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        messages.success(request, told)
        return redirect(self.done_url())

    def make_form(self, *data) -> RowsForm:
        return self.form_class(*data)

    def apply(self, form: RowsForm) -> str:
        """Hand the good rows to a service; returns what to tell. Raises DomainError."""
        raise NotImplementedError

    def done_url(self) -> str:
        raise NotImplementedError

    def frame(self) -> dict:
        """What the page shows around the rows; a mixin such as ProgramPart has its own."""
        return {}

    def lines(self, form: RowsForm, rows: list) -> list[dict]:
        """How each of `rows` is shown: at least `item` (the row) and `result` (a badge such as NEW)."""
        raise NotImplementedError

    def show(self, form: RowsForm, status: int = 200) -> HttpResponse:
        context = {**self.frame(), "form": form, "cancel_url": self.done_url(), **self.preview(form)}
        return render(self.request, self.template_name, context, status=status)

    def preview(self, form: RowsForm) -> dict:
        """The rows with a problem first."""
        if not form.rows:
            return {}
        rows = [*form.bad_rows, *(row for row in form.rows if not row.problem)][:SHOWN]
        counts = {"total": len(form.rows), "bad": len(form.bad_rows), "cut": SHOWN}
        return {"lines": self.lines(form, rows), "source": form.source, **counts}
