"""Periods of reports: a month, a quarter, a year, or everything. Days are UTC, as in the months that finance closes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext

from incentives.core.days import utc_midnight

ALL = "all"
_KEY = re.compile(r"(?P<year>[12]\d{3})(?:-(?:Q(?P<quarter>[1-4])|(?P<month>0[1-9]|1[0-2])))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` until before `end`. `first` is None where everything since the beginning belongs to it."""

    key: str
    first: date | None
    end: date

    @property
    def last(self) -> date:
        return self.end - timedelta(days=1)

    @property
    def start(self) -> datetime | None:
        return None if self.first is None else utc_midnight(self.first)

    @property
    def stop(self) -> datetime:
        return utc_midnight(self.end)

    def __contains__(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and day < self.end

    def __str__(self) -> str:
        if self.first is None:
            return gettext("Everything so far")
        if "Q" in self.key:
            return gettext("Quarter %(n)s of %(year)s") % {"n": self.key[-1], "year": self.first.year}
        return date_format(self.first, "YEAR_MONTH_FORMAT") if "-" in self.key else str(self.first.year)


def period_of(key: str, today: date) -> Period | None:
    """The period behind `2026`, `2026-Q3`, `2026-08` or `all` (up to and with `today`); None for anything else."""
    if key == ALL:
        return Period(ALL, None, today + timedelta(days=1))
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    year, quarter, month = (found[name] and int(found[name]) for name in ("year", "quarter", "month"))
    if quarter:
        return Period(key, date(year, quarter * 3 - 2, 1), _months_later(year, quarter * 3 - 2, 3))
    if month:
        return Period(key, date(year, month, 1), _months_later(year, month, 1))
    return Period(key, date(year, 1, 1), date(year + 1, 1, 1))


def _months_later(year: int, month: int, count: int) -> date:
    return date(year + (month + count - 1) // 12, (month + count - 1) % 12 + 1, 1)


def periods(since: date, today: date) -> Iterator[Period]:
    """Everything, then each year with its quarters and months, newest first, from `since` to `today`."""
    yield period_of(ALL, today)
    for year in range(today.year, min(since, today).year - 1, -1):
        inside = [f"{year}", *(f"{year}-Q{n}" for n in (4, 3, 2, 1)), *(f"{year}-{n:02d}" for n in range(12, 0, -1))]
        for period in (period_of(key, today) for key in inside):
            if period.first <= today and period.last >= since:
                yield period
