"""Forms about exchange rates: one, and a file of them."""

import csv
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.tables import BadFile, as_text, open_table
from incentives.ledger.exchange import PLACES, RateRow, overlaps, rate_problem
from rewards.money import MINOR_DIGITS

COLUMNS = ("currency", "to_currency", "starts_on", "ends_on", "rate", "source")
REQUIRED = ("currency", "to_currency", "starts_on", "rate")
UPLOAD_BYTES = 2 * 1024 * 1024
UPLOAD_ROWS = 5000


def _currencies() -> list[tuple[str, str]]:
    return [(code, code) for code in sorted(MINOR_DIGITS)]


class RateForm(forms.Form):
    """One rate; `row` stands after `is_valid`."""

    currency = forms.ChoiceField(label=_("One unit of"), choices=_currencies, initial="EUR")
    to_currency = forms.ChoiceField(label=_("Is worth in"), choices=_currencies, initial="USD")
    rate = forms.DecimalField(
        label=_("Rate"),
        decimal_places=PLACES,
        max_digits=20,
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        help_text=_("For example 1.0825: one euro is worth 1.0825 dollars."),
    )
    starts_on = forms.DateField(label=_("First day"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    ends_on = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("Empty: the first day only. For a rate of a month give its first and last day."),
    )
    source = forms.CharField(
        label=_("Source"), max_length=120, required=False, help_text=_("Where the figure is from, for example ECB.")
    )

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors:
            data["ends_on"] = data["ends_on"] or data["starts_on"]
            data["row"] = RateRow(**{name: data[name] for name in COLUMNS})
            if problem := rate_problem(data["row"]):
                raise forms.ValidationError(problem[0].upper() + problem[1:])
        return data


@dataclass(frozen=True, slots=True)
class ImportedRate:
    """One row of a file: its number, the texts as they stand, and the row they make or what is wrong."""

    number: int
    cells: dict[str, str]
    row: RateRow | None
    problem: str = ""


class RatesFileForm(forms.Form):
    """A CSV or XLSX file of rates, or the text that came back from the preview. `rows` stand after `is_valid`."""

    file = forms.FileField(
        label=_("CSV or XLSX file"),
        required=False,
        help_text=_("With the columns currency, to_currency, starts_on and rate, and if you like ends_on and source."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.xlsx,text/csv"}),
    )
    text = forms.CharField(
        label=_("Or paste the lines"),
        required=False,
        max_length=UPLOAD_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rows: list[ImportedRate] = []
        self.source = ""

    @property
    def bad_rows(self) -> list[ImportedRate]:
        return [row for row in self.rows if row.problem]

    @property
    def good_rows(self) -> list[RateRow]:
        return [row.row for row in self.rows if row.row is not None and not row.problem]

    def clean(self) -> dict:
        data = super().clean()
        if not self.errors:
            try:
                found = list(_read_rows(self._bytes(data)))
            except BadFile as exc:
                raise forms.ValidationError(exc.user_message) from None
            if not found:
                raise forms.ValidationError(gettext("The file has no rows under its first line."))
            self.rows = _without_overlaps(found)
            self.source = _as_csv(self.rows)
        return data

    def _bytes(self, data: dict) -> bytes:
        upload = data.get("file")
        if upload is None:
            if not data.get("text", "").strip():
                raise forms.ValidationError(gettext("Choose a file, or paste its lines."))
            return data["text"].encode()
        if upload.size > UPLOAD_BYTES:
            raise forms.ValidationError(gettext("The file is larger than 2 MB. Split it."))
        return upload.read()


def _read_rows(content: bytes) -> Iterator[ImportedRate]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rates"
        path.write_bytes(content)
        with open_table(path) as table:
            names = {name.lower().replace(" ", "_"): name for name in table.columns if name}
            if missing := [name for name in REQUIRED if name not in names]:
                message = gettext("The first line must name the columns %(wanted)s; missing: %(missing)s.")
                values = {"wanted": ", ".join(REQUIRED), "missing": ", ".join(missing)}
                raise forms.ValidationError(message % values)
            for count, (number, values) in enumerate(table.rows):
                if count >= UPLOAD_ROWS:
                    raise forms.ValidationError(gettext("More than %(n)s rows. Split the file.") % {"n": UPLOAD_ROWS})
                yield _read({name: values[names[name]] for name in COLUMNS if name in names}, number)


def _read(values: dict, number: int) -> ImportedRate:
    cells = {name: as_text(values.get(name, "")) for name in COLUMNS}
    cells |= {name: cells[name].upper() for name in ("currency", "to_currency")}
    try:
        first = _day(values["starts_on"])
        last = _day(values["ends_on"]) if cells["ends_on"] else first
        row = RateRow(cells["currency"], cells["to_currency"], first, last, _rate(values["rate"]), cells["source"])
    except ValueError as exc:
        return ImportedRate(number, cells, None, str(exc))
    problem = rate_problem(row)
    return ImportedRate(number, cells, row, problem[:1].upper() + problem[1:])


def _day(value) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(as_text(value))
    except ValueError:
        raise ValueError(gettext("“%(text)s” is no day such as 2026-07-01.") % {"text": as_text(value)[:40]}) from None


def _rate(value) -> Decimal:
    text = as_text(value)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(gettext("“%(text)s” is no number such as 1.0825.") % {"text": text[:40]}) from None


def _without_overlaps(found: list[ImportedRate]) -> list[ImportedRate]:
    """With the rows that overlap another marked; numbers in the words are those of the file."""
    good = [item for item in found if item.row is not None and not item.problem]
    numbers = {place: item.number for place, item in enumerate(good, start=1)}
    problems = {numbers[place]: text for place, text in overlaps([item.row for item in good], numbers).items()}
    return [
        ImportedRate(item.number, item.cells, item.row, problems[item.number]) if item.number in problems else item
        for item in found
    ]


def _as_csv(rows: list[ImportedRate]) -> str:
    """The file as text, so that the preview can send it back."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([item.cells[name] for name in COLUMNS] for item in rows)
    return text.getvalue()
