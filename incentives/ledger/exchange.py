"""What finance does with exchange rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from celery import current_app
from django.db import connection, transaction

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.ledger.errors import RateInvalid
from incentives.ledger.models import ExchangeRate, FormerRate
from rewards.money import MINOR_DIGITS

MOST = Decimal(1_000_000)
PLACES = 10
"""Digits after the point: with MOST, an amount times a rate stays exact."""
LONGEST_DAYS = 366 * 2


@dataclass(frozen=True, slots=True)
class RateRow:
    """One wanted rate: units of `to_currency` for one unit of `currency`, on the days from first to last, both included."""

    currency: str
    to_currency: str
    starts_on: date
    ends_on: date
    rate: Decimal
    source: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        return self.currency, self.to_currency

    @property
    def days(self) -> str:
        if self.starts_on == self.ends_on:
            return f"{self.currency} to {self.to_currency} on {self.starts_on}"
        return f"{self.currency} to {self.to_currency} from {self.starts_on} to {self.ends_on}"


def rate_problem(row: RateRow) -> str:
    """What is wrong with a row by itself, in words; empty when nothing is."""
    for code in row.pair:
        if code not in MINOR_DIGITS:
            return f"{code or 'nothing'} is no currency Laurel knows; expected a code such as EUR."
    if row.currency == row.to_currency:
        return f"a rate leads to another currency; {row.currency} stands on both sides."
    if row.ends_on < row.starts_on:
        return f"the last day {row.ends_on} is before the first, {row.starts_on}."
    if (row.ends_on - row.starts_on).days >= LONGEST_DAYS:
        return f"one rate for {row.starts_on} to {row.ends_on}; expected two years at most."
    if not row.rate.is_finite() or row.rate <= 0 or row.rate > MOST:
        return f"the rate is {row.rate}; expected a number above zero, {MOST:,} at most."
    if row.rate != row.rate.quantize(Decimal(1).scaleb(-PLACES)):
        return f"the rate is {row.rate}; expected at most {PLACES} digits after the point."
    return "the source has more than 120 characters." if len(row.source) > 120 else ""


def set_rates(*, rows: Sequence[RateRow], actor) -> dict[str, int]:
    """Add rates, and replace those that stand for exactly the same days. All or nothing; a repeat changes nothing.

    Facts in these currencies of these days are counted anew. Returns {"added", "changed", "unchanged"}.
    Raises NotAllowed, RateInvalid naming the row: it is wrong by itself, or overlaps a rate that stands or another row.
    """
    _require(actor)
    for number, row in enumerate(rows, start=1):
        if problem := rate_problem(row):
            raise RateInvalid(f"Row {number}: {problem}")
    done = {"added": 0, "changed": 0, "unchanged": 0}
    with transaction.atomic():
        lock_rates()
        if problems := overlaps(rows):
            number, problem = min(problems.items())
            raise RateInvalid(f"Row {number}: {problem}")
        standing = {(r.currency, r.to_currency, r.starts_on): r for r in _of_pairs(rows)}
        for row in rows:
            done[_set(row, standing.get((*row.pair, row.starts_on)), actor)] += 1
        if done["added"] or done["changed"]:
            transaction.on_commit(_nudge_earnings, robust=True)
    return done


def overlaps(rows: Sequence[RateRow], called: Mapping[int, int] | None = None) -> dict[int, str]:
    """Number of the row -> which rate it overlaps, in words, among the rows before it and those that stand.

    The same days as a rate that stands replace it and are no overlap. `called`: what the rows are called in the words.
    One query for any number of rows.
    """
    taken: dict[tuple[str, str], list[tuple[date, date, int | None]]] = {}
    for rate in _of_pairs(rows):
        taken.setdefault((rate.currency, rate.to_currency), []).append((rate.starts_on, rate.ends_on, None))
    found = {}
    for number, row in enumerate(rows, start=1):
        others = taken.setdefault(row.pair, [])
        for start, end, other in others:
            if row.starts_on <= end and start <= row.ends_on:
                same = (start, end) == (row.starts_on, row.ends_on)
                if other is None and same:
                    continue
                which = (
                    f"row {(called or {}).get(other, other)}"
                    if other
                    else f"the rate that stands from {start} to {end}"
                )
                found[number] = f"{row.days} overlaps {which}."
                break
        others.append((row.starts_on, row.ends_on, number))
    return found


def _of_pairs(rows: Sequence[RateRow]) -> list[ExchangeRate]:
    pairs = {row.pair for row in rows}
    rates = ExchangeRate.objects.filter(
        currency__in={pair[0] for pair in pairs}, to_currency__in={pair[1] for pair in pairs}
    )
    return [rate for rate in rates if (rate.currency, rate.to_currency) in pairs]


def _set(row: RateRow, rate: ExchangeRate | None, actor) -> str:
    before = {"rate": str(rate.rate), "source": rate.source} if rate else {}
    if rate is not None and (rate.rate, rate.source) == (row.rate, row.source):
        return "unchanged"
    made = rate is None
    rate = rate or ExchangeRate(
        currency=row.currency, to_currency=row.to_currency, starts_on=row.starts_on, ends_on=row.ends_on
    )
    rate.to_credit = rate.to_credit or rate.rate != row.rate
    rate.rate, rate.source, rate.set_by = row.rate, row.source, actor
    rate.save()
    audit.record("rate.set", rate, actor=actor, before=before, after=_shown(row))
    return "added" if made else "changed"


def change_rate(*, rate: ExchangeRate, row: RateRow, actor) -> ExchangeRate:
    """Change a rate, its days or its currencies as well. Raises as set_rates; a repeat changes nothing."""
    _require(actor)
    if problem := rate_problem(row):
        raise RateInvalid(problem[0].upper() + problem[1:])
    with transaction.atomic():
        lock_rates()
        rate = ExchangeRate.objects.get(pk=rate.pk)
        before = row_of(rate)
        if before == row:
            return rate
        others = ExchangeRate.objects.exclude(pk=rate.pk).filter(
            currency=row.currency, to_currency=row.to_currency, starts_on__lte=row.ends_on, ends_on__gte=row.starts_on
        )
        if other := others.first():
            raise RateInvalid(f"{row.days} overlaps the rate that stands from {other.starts_on} to {other.ends_on}.")
        _forget_days(rate)
        for name in ("currency", "to_currency", "starts_on", "ends_on", "rate", "source"):
            setattr(rate, name, getattr(row, name))
        rate.set_by, rate.to_credit = actor, True
        rate.save()
        audit.record("rate.changed", rate, actor=actor, before=_shown(before), after=_shown(row))
        transaction.on_commit(_nudge_earnings, robust=True)
    return rate


def remove_rate(*, rate: ExchangeRate, actor, reason: str = "") -> None:
    """Take a rate away: facts of its days wait for another. Raises NotAllowed; a repeat does nothing."""
    _require(actor)
    with transaction.atomic():
        lock_rates()
        rate = ExchangeRate.objects.filter(pk=rate.pk).first()
        if rate is None:
            return
        _forget_days(rate)
        audit.record("rate.removed", rate, actor=actor, before=_shown(row_of(rate)), reason=reason)
        rate.delete()
        transaction.on_commit(_nudge_earnings, robust=True)


def row_of(rate: ExchangeRate) -> RateRow:
    return RateRow(rate.currency, rate.to_currency, rate.starts_on, rate.ends_on, rate.rate, rate.source)


def _shown(row: RateRow) -> dict:
    return {"days": row.days, "rate": format(row.rate, "f"), "source": row.source}


def _forget_days(rate: ExchangeRate) -> None:
    FormerRate.objects.create(
        currency=rate.currency, to_currency=rate.to_currency, starts_on=rate.starts_on, ends_on=rate.ends_on
    )


def lock_rates() -> None:
    """One writer of rates at a time: what a check for overlaps has not seen must not be added beside it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE ledger_exchangerate IN SHARE ROW EXCLUSIVE MODE")


def _require(actor) -> None:
    if not actor.can("rates.edit"):
        raise NotAllowed("Only finance may set exchange rates.")


def _nudge_earnings() -> None:
    """A hint to the layer above; the sweep looks as well."""
    current_app.send_task("earnings.evaluate")
