"""A file of awards made elsewhere: read, checked row by row, shown before it is applied."""

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
from incentives.participants.models import Participant
from incentives.tax.services import AwardRow, award_problem
from rewards.money import MINOR_DIGITS, Money

COLUMNS = ("participant", "date", "amount", "currency", "source", "reference")
REQUIRED = ("participant", "date", "amount", "source")
UPLOAD_BYTES, UPLOAD_ROWS = 2 * 1024 * 1024, 5000


@dataclass(frozen=True, slots=True)
class ImportedAward:
    """One row of a file: its number, the texts as they stand, and the award they make or what is wrong."""

    number: int
    cells: dict[str, str]
    row: AwardRow | None
    problem: str = ""


class AwardsFileForm(forms.Form):
    """A CSV or XLSX file, or the text that came back from the preview. `rows` stand after `is_valid`."""

    file = forms.FileField(
        label=_("CSV or XLSX file"),
        required=False,
        help_text=_(
            "With the columns participant, date, amount and source; if you like currency (else USD), reference."
        ),
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
        self.rows: list[ImportedAward] = []
        self.source = ""

    @property
    def bad_rows(self) -> list[ImportedAward]:
        return [row for row in self.rows if row.problem]

    @property
    def good_rows(self) -> list[AwardRow]:
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
            people = _people({cells["participant"] for _number, cells, _day in found})
            self.rows = [_award(number, cells, day, people) for number, cells, day in found]
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


def _read_rows(content: bytes) -> Iterator[tuple[int, dict[str, str], object]]:
    """(row number, texts by column, the date as the file gave it)"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "awards"
        path.write_bytes(content)
        with open_table(path) as table:
            names = {name.lower().replace(" ", "_"): name for name in table.columns if name}
            if missing := [name for name in REQUIRED if name not in names]:
                message = gettext("The first line must name the columns %(wanted)s; missing: %(missing)s.")
                raise forms.ValidationError(message % {"wanted": ", ".join(REQUIRED), "missing": ", ".join(missing)})
            for count, (number, values) in enumerate(table.rows):
                if count >= UPLOAD_ROWS:
                    raise forms.ValidationError(gettext("More than %(n)s rows. Split the file.") % {"n": UPLOAD_ROWS})
                cells = {name: as_text(values.get(names.get(name, ""), "")) for name in COLUMNS}
                yield number, cells | {"currency": cells["currency"].upper() or "USD"}, values[names["date"]]


def _people(keys: set[str]) -> dict[str, Participant]:
    """By external user id, else employee number, else e-mail in any casing. Three queries."""
    found: dict[str, Participant] = {}
    mails = {key.lower(): key for key in keys}
    for one in Participant.objects.filter(email__in=mails):
        found[mails[one.email]] = one
    for name in ("employee_number", "external_user_id"):
        for one in Participant.objects.filter(**{f"{name}__in": keys}):
            found[getattr(one, name)] = one
    found.pop("", None)
    return found


def _award(number: int, cells: dict[str, str], day, people: dict[str, Participant]) -> ImportedAward:
    person = people.get(cells["participant"])
    try:
        if person is None:
            raise ValueError(gettext("Nobody has this external user id, employee number or e-mail."))
        row = AwardRow(person, _day(day), _money(cells), cells["source"], cells["reference"])
    except ValueError as exc:
        return ImportedAward(number, cells, None, str(exc))
    problem = award_problem(row)
    return ImportedAward(number, cells, row, problem[:1].upper() + problem[1:])


def _day(value) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(as_text(value))
    except ValueError:
        raise ValueError(gettext("“%(text)s” is no day such as 2026-07-01.") % {"text": as_text(value)[:20]}) from None


def _money(cells: dict[str, str]) -> Money:
    if cells["currency"] not in MINOR_DIGITS:
        raise ValueError(gettext("“%(text)s” is no currency such as USD.") % {"text": cells["currency"][:10]})
    try:
        amount = Decimal(cells["amount"])
        if not amount.is_finite() or abs(amount) >= 10**10:
            raise InvalidOperation
        return Money.exact(amount, cells["currency"])
    except InvalidOperation:
        raise ValueError(gettext("“%(text)s” is no amount such as 125.50.") % {"text": cells["amount"][:20]}) from None


def _as_csv(rows: list[ImportedAward]) -> str:
    """The file as text, so that the preview can send it back."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([item.cells[name] for name in COLUMNS] for item in rows)
    return text.getvalue()
