"""Geometry of line charts. No colours, no words: see the tag `line_chart`."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rewards.money import Money

WIDTH, HEIGHT = 100, 40


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a line; `dashed`: not a fact but a forecast."""

    on: date
    value: Money
    dashed: bool = False


def scaled(points: list[Point]) -> dict:
    """Points in a box of WIDTH by HEIGHT, zero at the bottom: `solid` and `dashed` as SVG point lists (the dashed line
    begins at the last solid point), `now` where they meet. Days keep their distances."""
    first, last = points[0].on, points[-1].on
    span, top = max(1, (last - first).days), max(1, *(point.value.minor for point in points))

    def at(point: Point) -> str:
        x = Decimal((point.on - first).days * WIDTH) / span
        y = HEIGHT - Decimal(max(0, point.value.minor) * (HEIGHT - 2)) / top
        return f"{x:.2f},{y:.2f}"

    solid = [point for point in points if not point.dashed]
    ahead = [point for point in points if point.dashed]
    return {
        "solid": " ".join(at(point) for point in solid),
        "dashed": " ".join(at(point) for point in (*solid[-1:], *ahead)) if ahead else "",
        "now": f"{Decimal((solid[-1].on - first).days * WIDTH) / span:.2f}" if solid and ahead else "",
        "end": f"{Decimal((solid[-1].on - first).days * WIDTH) / span:.2f}" if solid else "0",
        "top": max((point.value for point in points), key=lambda value: value.minor),
    }
