"""Exact arithmetic on whole numbers, and how numbers read in an explanation.

A measure is counted in `UNITS` (ten-thousandths), a rate in millionths of a per cent, a factor in ten-thousandths.
Whole numbers because they are exact at any size and several times faster than Decimal.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

UNITS = 10_000
RATE = 1_000_000
FACTOR = 10_000


def half_up(numerator: int, denominator: int) -> int:
    """The quotient rounded to a whole number, halves away from zero: the rule of Money.from_decimal."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def units(value: Decimal) -> int:
    """Ten-thousandths; digits beyond are rounded half up."""
    return int(value.scaleb(4).to_integral_value(ROUND_HALF_UP))


def from_units(value: int) -> Decimal:
    return Decimal(value).scaleb(-4)


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts proportional to the weights (largest remainder, the earlier part first), adding up exactly."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    missing = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(total * weights[index] % whole), index))
    for index in by_remainder[:missing]:
        parts[index] += 1
    return parts


def number(value: Any) -> Decimal | None:
    """A finite Decimal from a number or its plain text; None for anything else."""
    if isinstance(value, str):
        if not value.isascii() or "_" in value:
            return None
    elif isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        found = Decimal(value)
    except ArithmeticError:
        return None
    return found if found.is_finite() else None


def money_text(minor: int, digits: int) -> str:
    """5,254.00 (two digits), 5,254 (none)."""
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    if not digits:
        return f"{sign}{minor:,}"
    whole, rest = divmod(minor, 10**digits)
    return f"{sign}{whole:,}.{rest:0{digits}d}"


def units_text(value: int) -> str:
    """12, 2.5, 1,000."""
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, rest = divmod(value, UNITS)
    return f"{sign}{whole:,}" + (f".{rest:04d}".rstrip("0") if rest else "")
