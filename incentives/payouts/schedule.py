"""On which day a program pays by itself: pure functions of its definition and the calendar."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from incentives.programs.rules.periods import midnight

INSTANT, WEEKLY, MONTHLY, AT_CLOSE = "instant", "weekly", "monthly", "at_close"


@dataclass(frozen=True, slots=True)
class Due:
    """`on`: the due day in the program's time zone. `cutoff`: what was earned later waits for the next one; None pays
    everything earned by now."""

    on: date
    cutoff: datetime | None


def last_due(
    when: str, today: date, *, starts_on: date, closed_on: date | None, hold_days: int, time_zone: str
) -> Due | None:
    """The newest due day up to `today` (both in the program's time zone); None before the first.

    `weekly`: Monday, for the week before. `monthly`: the first day, for the month before. `at_close`: the day it closed
    plus the days an earning is held, then the first of each later month for what was corrected since. `instant` pays with
    the score; where earnings are held, it looks once a day.
    """
    if when == WEEKLY:
        return _calendar(today - timedelta(days=today.weekday()), starts_on, time_zone)
    if when == MONTHLY:
        return _calendar(today.replace(day=1), starts_on, time_zone)
    if when == INSTANT:
        return Due(today, None) if hold_days and today > starts_on else None
    if closed_on is None:
        return None
    first = closed_on + timedelta(days=hold_days)
    if today < first:
        return None
    return Due(max(first, today.replace(day=1)), None)


def next_due(when: str, today: date, *, starts_on: date, closed_on: date | None, hold_days: int) -> date | None:
    """The first due day after `today`; None where nobody can say yet."""
    day = max(today, starts_on) + timedelta(days=1)
    if when == WEEKLY:
        return day + timedelta(days=-day.weekday() % 7)
    if when == MONTHLY:
        return day if day.day == 1 else _next_month(day)
    if when == INSTANT:
        return day if hold_days else None
    if closed_on is None:
        return None
    return max(closed_on + timedelta(days=hold_days), _next_month(today))


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _calendar(day: date, starts_on: date, time_zone: str) -> Due | None:
    return Due(day, midnight(day, time_zone)) if day > starts_on else None
