"""From what everybody earned to what a page says about it. Whole numbers throughout; amounts are minor units."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import count

BARS = 8
COLUMNS = 26
"""At most so many columns over time; a longer window is shown by weeks or months."""


def median(values: Sequence[int]) -> int:
    """Of two in the middle their mean, rounded half up. 0 of nothing."""
    ordered, n = sorted(values), len(values)
    if not n:
        return 0
    return ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2] + 1) // 2


def top_share(values: Sequence[int], percent: int = 10) -> int:
    """What part of the sum the largest `percent` of the values have, in hundredths of a per cent.

    One of them at least, and a begun one counts whole: of 35 values the largest four.
    """
    total = sum(values)
    best = sorted(values, reverse=True)[: -(-len(values) * percent // 100)]
    return sum(best) * 10_000 // total if total else 0


def steps(top: int, bars: int = BARS) -> list[int]:
    """Where bars of one width begin: 0, 50, 100, ... The width is 1, 2 or 5 times a power of ten, the smallest with
    which `bars` bars reach beyond `top`."""
    width = next(n * 10**power for power in count() for n in (1, 2, 5) if n * 10**power * bars > top)
    return list(range(0, (top // width + 2) * width, width))


def histogram(values: Sequence[int]) -> list[dict]:
    """How many earn how much: [{"from", "to", "n"}], `to` not included. Empty when nobody earns."""
    earning = [value for value in values if value > 0]
    if not earning:
        return []
    edges = steps(max(earning))
    found = [0] * (len(edges) - 1)
    for value in earning:
        found[bisect_right(edges, value) - 1] += 1
    return [{"from": edges[n], "to": edges[n + 1], "n": number} for n, number in enumerate(found)]


def crossing(by_day: Mapping[date, int], limit: int) -> date | None:
    """The first day on which the running total is above `limit`; None when it never is."""
    total = 0
    for day in sorted(by_day):
        total += by_day[day]
        if total > limit:
            return day
    return None


def over_time(by_day: Mapping[date, int], first: date, last: date) -> list[tuple[date, int]]:
    """(first day, cost) of every day, week (from Monday) or month of the window: the finest that COLUMNS columns hold.

    What falls outside the window (nothing does) would be missing.
    """
    days = (last - first).days + 1
    if days <= COLUMNS:
        start_of, step = (lambda day: day), (lambda day: day + timedelta(days=1))
    elif days <= COLUMNS * 7 - 6:
        start_of, step = (lambda day: day - timedelta(days=day.weekday())), (lambda day: day + timedelta(days=7))
    else:
        start_of, step = (lambda day: day.replace(day=1)), (lambda day: (day + timedelta(days=31)).replace(day=1))
    found: dict[date, int] = {}
    start = start_of(first)
    while start <= last:
        found[start] = 0
        start = step(start_of(start))
    for day, minor in by_day.items():
        found[start_of(day)] += minor
    return list(found.items())
