"""Exchange rates as the rules read them."""

from bisect import bisect_right
from datetime import date
from decimal import Decimal

from incentives.ledger.models import ExchangeRate


class Rates:
    """The rates into one currency: `get((currency, day))` is the rate of that day, or None. A pair is read once."""

    def __init__(self, to_currency: str):
        self.to_currency = to_currency
        self._pairs: dict[str, tuple[list[date], list[tuple[date, Decimal]]]] = {}

    def get(self, key: tuple[str, date], default: Decimal | None = None) -> Decimal | None:
        currency, day = key
        starts, rows = self._pair(currency)
        at = bisect_right(starts, day) - 1
        return rows[at][1] if at >= 0 and day <= rows[at][0] else default

    def _pair(self, currency: str):
        if currency not in self._pairs:
            rows = ExchangeRate.objects.filter(currency=currency, to_currency=self.to_currency).order_by("starts_on")
            found = list(rows.values_list("starts_on", "ends_on", "rate"))
            self._pairs[currency] = [row[0] for row in found], [row[1:] for row in found]
        return self._pairs[currency]


class RateTable:
    """Every rate, by the currency it leads to. One is made per batch, so that a batch sees one state of the rates."""

    def __init__(self) -> None:
        self._into: dict[str, Rates] = {}

    def to(self, currency: str) -> Rates:
        found = self._into.get(currency)
        if found is None:
            found = self._into[currency] = Rates(currency)
        return found
