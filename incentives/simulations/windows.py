"""Past windows worth trying a program on."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext

from incentives.programs.rules.schema import Definition


@dataclass(frozen=True, slots=True)
class Window:
    """Days, both included, and what they are called."""

    label: str
    first: date
    last: date


def windows(definition: Definition | None, today: date) -> list[Window]:
    """What the form offers, the most fitting first: the program's own days once they have begun, else the same days of
    the last year in which they are over; then the last month, quarter and twelve months."""
    found = []
    if definition is not None:
        own = Window(gettext("The program's own days"), definition.starts_on, definition.ends_on)
        earlier = _years_before(own, today)
        found = [own, earlier] if definition.starts_on <= today else [earlier]
    return [*found, *_calendar(today)]


def _years_before(own: Window, today: date) -> Window:
    years = 1
    while _back(own.last, years) >= today:
        years += 1
    words = gettext("The same days a year before") if years == 1 else gettext("The same days %(n)s years before")
    return Window(words % {"n": years} if years > 1 else words, _back(own.first, years), _back(own.last, years))


def _back(day: date, years: int) -> date:
    """29 February becomes 28."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def _calendar(today: date) -> list[Window]:
    month = today.replace(day=1)
    before = (month - timedelta(days=1)).replace(day=1)
    quarter = date(today.year, today.month - (today.month - 1) % 3, 1)
    past = quarter - timedelta(days=1)
    return [
        Window(gettext("Last month"), before, month - timedelta(days=1)),
        Window(gettext("Last quarter"), date(past.year, past.month - 2, 1), past),
        Window(gettext("Last twelve months"), _back(month, 1), month - timedelta(days=1)),
    ]
