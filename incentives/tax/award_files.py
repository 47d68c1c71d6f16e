"""A file of awards made elsewhere: read, checked row by row, shown before it is applied."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.row_files import TableRowsForm, read_day
from incentives.core.tables import as_text
from incentives.participants.models import Participant
from incentives.tax.services import AwardRow, award_problem
from rewards.money import MINOR_DIGITS, Money

COLUMNS = ("participant", "date", "amount", "currency", "source", "reference")


@dataclass(frozen=True, slots=True)
class ImportedAward:
    """One row of a file: its number, the texts as they stand, and the award they make or what is wrong."""

    number: int
    cells: dict[str, str]
    row: AwardRow | None
    problem: str = ""


class AwardsFileForm(TableRowsForm):
    columns = ("participant", "date", "amount", "source")
    order = COLUMNS
    help_text = _("With the columns participant, date, amount and source; if you like currency (else USD), reference.")

    def checked(self, lines: list[tuple[int, dict]]) -> list[ImportedAward]:
        people = _people({as_text(values["participant"]) for _number, values in lines})
        return [_award(number, values, people) for number, values in lines]


def _cells(values: dict) -> dict[str, str]:
    cells = {name: as_text(values[name]) for name in COLUMNS}
    return cells | {"currency": cells["currency"].upper() or "USD"}


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


def _award(number: int, values: dict, people: dict[str, Participant]) -> ImportedAward:
    cells = _cells(values)
    person = people.get(cells["participant"])
    try:
        if person is None:
            raise ValueError(gettext("Nobody has this external user id, employee number or e-mail."))
        row = AwardRow(person, read_day(values["date"]), _money(cells), cells["source"], cells["reference"])
    except ValueError as exc:
        return ImportedAward(number, cells, None, str(exc))
    problem = award_problem(row)
    return ImportedAward(number, cells, row, problem[:1].upper() + problem[1:])


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
