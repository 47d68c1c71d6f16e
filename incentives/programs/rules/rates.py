"""Exchange rates from a file, as `credits_for` asks for them."""

from bisect import bisect_right, insort
from datetime import date
from decimal import Decimal
from typing import Any

from rewards.money import MINOR_DIGITS

from .events import EventError, day
from .limits import one_of
from .numbers import number


class FileRates:
    """The rates into one currency. A day without a rate has none: nothing is guessed from its neighbours."""

    def __init__(self, currency: str):
        self.currency = currency
        self._spans: dict[str, list[tuple[date, date, Decimal]]] = {}

    def add(self, data: Any) -> None:
        """One line: {"currency", "to_currency", "starts_on", "ends_on", "rate"}, both days included; `to_currency` may be
        left out, and a rate into another currency than ours is passed over. Raises EventError, also for a day that has two.
        """
        if not isinstance(data, dict):
            raise EventError("", data, "one JSON object")
        source, to = (_currency(data, name) for name in ("currency", "to_currency"))
        first, last = day(data.get("starts_on"), "starts_on"), day(data.get("ends_on"), "ends_on")
        rate = number(data.get("rate"))
        if rate is None or rate <= 0 or rate > 10**9:
            raise EventError("rate", data.get("rate"), "a number above zero")
        if source is None:
            raise EventError("currency", None, "a currency such as EUR")
        if last < first:
            raise EventError("ends_on", str(last), f"a day from {first} on")
        if to is None or to == self.currency:
            self._insert(source, first, last, rate)

    def _insert(self, source: str, first: date, last: date, rate: Decimal) -> None:
        spans = self._spans.setdefault(source, [])
        at = bisect_right(spans, first, key=lambda span: span[0])
        if (at and spans[at - 1][1] >= first) or (at < len(spans) and spans[at][0] <= last):
            raise EventError("starts_on", str(first), f"one rate from {source} for each day")
        insort(spans, (first, last, rate))

    def get(self, key: tuple[str, date], default: Decimal | None = None) -> Decimal | None:
        source, wanted = key
        spans = self._spans.get(source, [])
        at = bisect_right(spans, wanted, key=lambda span: span[0]) - 1
        return spans[at][2] if at >= 0 and wanted <= spans[at][1] else default


def _currency(data: dict, name: str) -> str | None:
    found = data.get(name)
    if found in (None, ""):
        return None
    if found not in MINOR_DIGITS:
        raise EventError(name, found, "an ISO 4217 code such as EUR" + one_of(found, MINOR_DIGITS))
    return found
