"""The accounting day of an earning: when it counted, or the day it became known where that month is closed."""

from datetime import UTC, date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils import timezone

from incentives.earnings.scoring import Computed
from incentives.ledger.periods import closed_months, keep_months_open
from incentives.programs.rules.facts import Line
from incentives.programs.rules.periods import period_end


class Books:
    """The closed months as they stand for one batch. Read when the first line is booked, in the batch's transaction."""

    def __init__(self, now: datetime | None = None):
        self.now = now or timezone.now()

    @cached_property
    def closed(self) -> frozenset[date]:
        keep_months_open()
        return closed_months()

    def day_of(self, item: Computed, period: date, line: Line | None, before: date | None) -> tuple[date, str]:
        """The day a line is booked on, and in words why it is not the day it counted (else empty).

        An activity's line counted on the activity's day in the program's time zone, a period's line at the end of the
        period; neither later than today. What is taken back counted when it was first booked (`before`).
        """
        day = self._counted_on(item, period, line, before)
        if day.replace(day=1) not in self.closed:
            return day, ""
        today = self.now.astimezone(UTC).date()
        return today, f" (booked on {today} because {day:%B %Y} is closed)"

    def _counted_on(self, item: Computed, period: date, line: Line | None, before: date | None) -> date:
        if line is None and before is not None:
            return before
        running = item.running
        if running is None:
            return self.now.astimezone(UTC).date()
        zone = ZoneInfo(running.definition.time_zone)
        today = self.now.astimezone(zone).date()
        if line is not None and line.fact_id is not None and line.counted_at is not None:
            return min(line.counted_at.astimezone(zone).date(), today)
        return min(period_end(running.definition, period), running.timeline.last_day, today)
