"""The files for payroll and for the 1099 filing: made once, kept as they were, the same to the byte when fetched again."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.db import transaction
from django.utils import timezone

from incentives.core import audit, exports
from incentives.ledger.rates import RateTable
from incentives.participants.models import Participant
from incentives.tax import selectors
from incentives.tax.errors import ExportRefused
from incentives.tax.models import TaxExport, TaxProfile, TaxRule
from incentives.tax.services.holds import utc_today
from incentives.tax.services.profiles import require
from incentives.tax.sources import source
from incentives.tax.standing import RuleBook, classification_of, country_of
from incentives.tax.totals import total_of
from rewards.money import Money

FEDERAL = Decimal("22")
"""Per cent: the optional flat rate on supplemental wages up to 1,000,000 a year. IRS Publication 15, section 7; made permanent
by Public Law 119-21, section 70101."""
FICA = Decimal("7.65")
"""Per cent: the employee's share, 6.2 social security (up to the wage base) + 1.45 Medicare. IRS Publication 15, section 9;
26 U.S.C. 3101. Above the wage base, or with Additional Medicare Tax, payroll gives another rate."""
FORMULA = "gross = net / (1 - (federal + FICA + state)), rounded half up to the cent"
"""Source: Bloomberg Tax, Payroll in Practice, 2022-12-19: 500 / (1 - (0.22 + 0.0765 + 0.05)) = 765.11."""
SETTLED = timedelta(hours=1)
"""A period may be exported so long after its last UTC day: nothing is delivered into it any more."""
MISC_COLUMNS = (
    ("Year", "text"), ("External user id", "text"), ("Employee number", "text"), ("Name", "text"), ("Country", "text"),
    ("Form on file", "text"), ("Currency", "text"), ("Delivered", "money"), ("Awards made elsewhere", "money"),
    ("Box 3 other income", "money"),
)  # fmt: skip
W2_COLUMNS = (
    ("First day", "text"), ("Last day", "text"), ("Tax year", "text"), ("Employee number", "text"),
    ("External user id", "text"), ("Name", "text"), ("Currency", "text"), ("Rewards delivered (net)", "money"),
)  # fmt: skip
GROSS_COLUMNS = (("Rates together, per cent", "text"), ("Taxable wages (gross)", "money"), ("Withheld", "money"))


# --- 1099-MISC ----------------------------------------------------------------------------------------------------------
def make_1099_export(*, year: int, actor, everybody: bool = False) -> TaxExport:
    """The year's 1099-MISC amounts in box 3: delivered and awarded elsewhere, for those whose rule says 1099-MISC.

    Only totals at or above the threshold, unless `everybody`. No tax numbers: the payer's own system joins by external user
    id or employee number. Raises NotAllowed, ExportRefused (an amount without an exchange rate; a year to come).
    Source: Instructions for Forms 1099-MISC and 1099-NEC, box 3: prizes and awards that are not for services.
    """
    require(actor)
    if year > utc_today().year:
        raise ExportRefused(f"{year} has not begun.")
    lines = [line for line in selectors.year_lines(year) if line.rule and line.rule.report_kind == TaxRule.Report.MISC]
    if missing := [line for line in lines if line.missing]:
        raise ExportRefused(_no_rate(len(missing)))
    wanted = [line for line in lines if line.total and (everybody or line.reportable or line.threshold is None)]
    rows = [_misc_row(year, line) for line in wanted]
    title = f"1099-MISC {year}"
    return _keep(TaxExport.Kind.MISC, title, {"year": year, "everybody": everybody}, MISC_COLUMNS, rows, actor)


def _misc_row(year: int, line: selectors.YearLine) -> list[str]:
    one = line.participant
    form = line.profile.form_kind if line.profile and not line.open_form else ""
    money = [str(amount.decimal) for amount in (line.paid, line.outside, line.total)]
    return [str(year), one.key, one.employee_number, one.name, line.country, form, line.total.currency, *money]


# --- W-2 ----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class GrossUp:
    """Rates in per cent. `gross` turns what somebody received into the wages that leave as much after tax."""

    federal: Decimal = FEDERAL
    fica: Decimal = FICA
    state: Decimal = Decimal(0)

    @property
    def together(self) -> Decimal:
        return self.federal + self.fica + self.state

    def problem(self) -> str:
        if any(not rate.is_finite() or rate < 0 for rate in (self.federal, self.fica, self.state)):
            return "Rates cannot be below zero."
        return "The rates together must be below 100 per cent." if self.together >= 100 else ""

    def gross(self, net: Money) -> Money:
        """`FORMULA`, for the whole of a person's net amount at once. The division has 28 digits before it is rounded."""
        divisor = 1 - self.together / 100
        cents = (Decimal(net.minor) / divisor).quantize(Decimal(1), rounding=ROUND_HALF_UP)
        return Money(int(cents), net.currency)


def make_w2_export(*, first: date, last: date, actor, gross_up: GrossUp | None = None) -> TaxExport:
    """What employees were delivered on the UTC days from first to last, one row per person, year and currency.

    With `gross_up` also the wages that leave that much after tax. Raises NotAllowed, ExportRefused (days in the wrong order,
    a period that is not over, rates of 100 % or more, an amount without an exchange rate).
    """
    require(actor)
    if problem := period_problem(first, last) or (gross_up.problem() if gross_up else ""):
        raise ExportRefused(problem)
    rows = list(_w2_rows(first, last, gross_up))
    parameters = {"first": first.isoformat(), "last": last.isoformat()}
    columns = W2_COLUMNS
    if gross_up:
        parameters |= {"federal": str(gross_up.federal), "fica": str(gross_up.fica), "state": str(gross_up.state)}
        parameters["formula"] = FORMULA
        columns += GROSS_COLUMNS
    return _keep(TaxExport.Kind.W2, f"W-2 {first} to {last}", parameters, columns, rows, actor)


def period_problem(first: date, last: date) -> str:
    if last < first:
        return f"The last day {last} is before the first, {first}."
    if (last - first).days > 366:
        return "A pay period has at most a year."
    over = datetime.combine(last + timedelta(days=1), time.min, UTC) + SETTLED
    if timezone.now() < over:
        return f"{last} is not over (UTC). Export the period once it is, so that it is whole."
    return ""


def overlapping(first: date, last: date) -> list[TaxExport]:
    """W-2 exports of periods that share a day with this one: the same reward must not reach payroll twice."""
    made = TaxExport.objects.filter(kind=TaxExport.Kind.W2).defer("rows")
    return [e for e in made if e.parameters["first"] <= last.isoformat() and first.isoformat() <= e.parameters["last"]]


def _w2_rows(first: date, last: date, gross_up: GrossUp | None) -> Iterator[list[str]]:
    by_year: dict[tuple[int, int], list] = defaultdict(list)
    for amount in source().delivered(first, last):
        by_year[amount.participant_id, amount.on.year].append(amount)
    ids = {key[0] for key in by_year}
    people = {p.pk: p for p in Participant.objects.filter(pk__in=ids).select_related("partner")}
    profiles = {p.participant_id: p for p in TaxProfile.objects.filter(participant__in=ids)}
    books = {year: RuleBook(year) for year in {key[1] for key in by_year}}
    table, unknown = RateTable(), 0
    for (pk, year), amounts in sorted(by_year.items(), key=lambda item: (people[item[0][0]].name, item[0])):
        one, profile = people[pk], profiles.get(pk)
        country = country_of(one.country, one.partner.country if one.partner else "", profile)
        rule = books[year].of(country, classification_of(one.type, profile))
        if rule is None or rule.report_kind != TaxRule.Report.W2:
            continue
        total = total_of(amounts, rule.currency, table)
        unknown += bool(total.unknown)
        yield _w2_row(first, last, year, one, total.money, gross_up)
    if unknown:
        raise ExportRefused(_no_rate(unknown))


def _w2_row(first, last, year, one, net: Money, gross_up: GrossUp | None) -> list[str]:
    row = [str(first), str(last), str(year), one.employee_number, one.key, one.name, net.currency, str(net.decimal)]
    if gross_up:
        gross = gross_up.gross(net)
        row += [str(gross_up.together), str(gross.decimal), str((gross - net).decimal)]
    return row


# --- keeping ------------------------------------------------------------------------------------------------------------
def _no_rate(count: int) -> str:
    return (
        f"{count} people have an amount in a currency without an exchange rate for its day. Add the rates, then export."
    )


def _keep(kind, title, parameters, columns, rows, actor) -> TaxExport:
    with transaction.atomic():
        made = TaxExport(
            kind=kind, title=title, parameters=parameters, columns=[list(column) for column in columns], rows=rows,
            row_count=len(rows), created_by=actor,
        )  # fmt: skip
        made.sha256 = hashlib.sha256(b"".join(csv_of(made))).hexdigest()
        made.save(force_insert=True)
        audit.record("tax_export.made", made, actor=actor, after={"rows": made.row_count, "sha256": made.sha256})
    return made


def typed_rows(made: TaxExport) -> list[list]:
    """Texts as they are, money as Decimal: `core.exports` keeps numbers apart from what might be a formula."""
    kinds = [kind for _label, kind in made.columns]
    return [[Decimal(v) if kind == "money" else v for v, kind in zip(row, kinds, strict=True)] for row in made.rows]


def csv_of(made: TaxExport) -> Iterator[bytes]:
    return exports.csv_chunks([label for label, _kind in made.columns], [typed_rows(made)])


def record_download(made: TaxExport, *, actor, kind: str) -> None:
    """On record each time. Raises NotAllowed, ExportRefused when the kept rows no longer give the sum of when it was made."""
    require(actor)
    if hashlib.sha256(b"".join(csv_of(made))).hexdigest() != made.sha256:
        raise ExportRefused("This export is not what it was when it was made. Tell whoever runs Laurel.")
    with transaction.atomic():
        audit.record("tax_export.fetched", made, actor=actor, after={"format": kind})
