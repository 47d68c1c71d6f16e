"""Accounting days are days of UTC; programs have their own zone (`programs.rules.periods.midnight`)."""

from datetime import UTC, date, datetime, time


def utc_midnight(day: date) -> datetime:
    """The moment an accounting day begins."""
    return datetime.combine(day, time.min, UTC)
