"""Forms about exchange rates: one, and a file of them."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.row_files import TableRowsForm, read_day
from incentives.core.tables import as_text
from incentives.ledger.exchange import PLACES, RateRow, overlaps, rate_problem
from rewards.money import MINOR_DIGITS

COLUMNS = ("currency", "to_currency", "starts_on", "ends_on", "rate", "source")


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


class RatesFileForm(TableRowsForm):
    columns = ("currency", "to_currency", "starts_on", "rate")
    order = COLUMNS
    help_text = _("With the columns currency, to_currency, starts_on and rate, and if you like ends_on and source.")

    def checked(self, lines: list[tuple[int, dict]]) -> list[ImportedRate]:
        return _without_overlaps([_read(values, number) for number, values in lines])


def _read(values: dict, number: int) -> ImportedRate:
    cells = {name: as_text(values[name]) for name in COLUMNS}
    cells |= {name: cells[name].upper() for name in ("currency", "to_currency")}
    try:
        first = read_day(values["starts_on"])
        last = read_day(values["ends_on"]) if cells["ends_on"] else first
        row = RateRow(cells["currency"], cells["to_currency"], first, last, _rate(values["rate"]), cells["source"])
    except ValueError as exc:
        return ImportedRate(number, cells, None, str(exc))
    problem = rate_problem(row)
    return ImportedRate(number, cells, row, problem[:1].upper() + problem[1:])


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
