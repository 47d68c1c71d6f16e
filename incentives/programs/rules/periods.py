"""When a program runs and when its scorecards start again, in the program's time zone.

Days run from midnight to midnight there, so a day has 23, 24 or 25 hours. Periods are calendar periods (weeks start on
Monday, quarters in January, April, July and October): one that the program's first day cuts keeps its calendar start
as its name, but only what happened inside the program counts. `program` is one period that starts on `starts_on`.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from .facts import Fact
from .schema import Definition


def midnight(day: date, time_zone: str) -> datetime:
    """The moment (UTC) a day begins in a zone: the first midnight where there are two, else the first moment."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


def period_start(definition: Definition, day: date) -> date:
    """The first day of the period a local day lies in."""
    match definition.period:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, day.month - (day.month - 1) % 3, 1)
        case "year":
            return date(day.year, 1, 1)
    return definition.starts_on


def period_end(definition: Definition, start: date) -> date:
    """The last day (inclusive) of the period that starts on `start`."""
    match definition.period:
        case "week":
            return start + timedelta(days=6)
        case "month":
            return _first_of_month(start, 1) - timedelta(days=1)
        case "quarter":
            return _first_of_month(start, 3) - timedelta(days=1)
        case "year":
            return date(start.year, 12, 31)
    return definition.ends_on


def _first_of_month(start: date, months: int) -> date:
    index = start.month - 1 + months
    return date(start.year + index // 12, index % 12 + 1, 1)


def window(definition: Definition) -> tuple[datetime, datetime]:
    """First moment that counts and first moment that no longer does (UTC)."""
    return (
        midnight(definition.starts_on, definition.time_zone),
        midnight(definition.ends_on + timedelta(days=1), definition.time_zone),
    )


def closes_at(definition: Definition) -> datetime:
    """The first moment after the grace days: contests are sealed and `at_close` payouts made from here on.

    Until then facts that happened inside the window still arrive and count; what arrives later is a correction.
    """
    return midnight(definition.ends_on + timedelta(days=1 + definition.grace_days), definition.time_zone)


class Clock:
    """The periods of one program, prepared: where a moment or a day counts."""

    def __init__(self, definition: Definition):
        self.by_day = definition.counts_by == "close_date"
        self.definition = definition
        self.zone = ZoneInfo(definition.time_zone)
        self.first, self.end = window(definition)
        self.starts: list[date] = []
        self.moments: list[datetime] = []
        start = period_start(definition, definition.starts_on)
        while start <= definition.ends_on:
            self.starts.append(start)
            self.moments.append(midnight(start, definition.time_zone))
            start = period_end(definition, start) + timedelta(days=1)
        self._midnights: dict[date, datetime] = {}

    def place(self, fact: Fact) -> tuple[datetime, date] | None:
        """(moment it counts at, start of its period), or None when that is outside the program or not known."""
        moment = self.moment(fact)
        if moment is None or not self.first <= moment < self.end:
            return None
        return moment, self.starts[bisect_right(self.moments, moment) - 1]

    def moment(self, fact: Fact) -> datetime | None:
        if not self.by_day:
            return fact.occurred_at.astimezone(UTC)
        day = fact.close_date
        if day is None:
            return None
        found = self._midnights.get(day)
        if found is None:
            found = self._midnights[day] = midnight(day, self.definition.time_zone)
        return found

    def local_day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()


@lru_cache(maxsize=512)
def clock(definition: Definition) -> Clock:
    return Clock(definition)
