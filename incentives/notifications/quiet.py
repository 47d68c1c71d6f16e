"""When somebody may be written to: quiet hours and the hour of the daily digest, in their own time zone. Pure."""

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta

DIGEST_HOUR = time(8, 0)
WEEK = 8
"""Days looked ahead: more than any change of the clocks takes."""


def zone(name: str) -> zoneinfo.ZoneInfo:
    """UTC for a name nobody knows."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


def is_quiet(moment: datetime, name: str, start: time | None, end: time | None) -> bool:
    """Whether the clock on the wall shows a quiet time. From 22:00 until 7:00 spans midnight; equal times mean never."""
    if start is None or end is None or start == end:
        return False
    wall = moment.astimezone(zone(name)).time()
    return start <= wall < end if start < end else wall >= start or wall < end


def allowed_from(moment: datetime, name: str, start: time | None, end: time | None) -> datetime:
    """`moment`, or where that is quiet the next end of the quiet time.

    An end that the clocks show twice counts when it is not quiet any more after it; an end that they skip is the moment
    they go on.
    """
    if not is_quiet(moment, name, start, end):
        return moment
    place = zone(name)
    today = moment.astimezone(place).date()
    ends = (at for day in range(-1, WEEK) for at in _moments(today + timedelta(days=day), end, place))
    return next(at for at in sorted(ends) if at > moment and not is_quiet(at, name, start, end))


def _moments(day: date, wall: time, place: zoneinfo.ZoneInfo) -> list[datetime]:
    """The moments at which the wall shows a time on a day: one, two where it is shown twice; of a skipped time, the moment
    of the change."""
    found = {datetime.combine(day, wall, place).replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    if any(at.astimezone(place).time() == wall for at in found):
        return sorted(at for at in found if at.astimezone(place).time() == wall)
    low, high = sorted(found)  # skipped: the change lies between the two readings
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(place).utcoffset() == low.astimezone(place).utcoffset():
            low = middle
        else:
            high = middle
    return [high.replace(microsecond=0)]


def last_slot(moment: datetime, name: str) -> datetime:
    """The newest hour of the daily digest that has come."""
    place = zone(name)
    today = moment.astimezone(place).date()
    past = [at for day in (-2, -1, 0) for at in _moments(today + timedelta(days=day), DIGEST_HOUR, place)]
    return max(at for at in past if at <= moment)


def next_slot(moment: datetime, name: str) -> datetime:
    place = zone(name)
    today = moment.astimezone(place).date()
    future = [at for day in (0, 1, 2, 3) for at in _moments(today + timedelta(days=day), DIGEST_HOUR, place)]
    return min(at for at in future if at > moment)
