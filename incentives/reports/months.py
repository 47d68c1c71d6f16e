"""Months as a filter."""

from datetime import date

import django_filters
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from incentives.payouts import month_selectors
from incentives.payouts.month_views import month_name
from incentives.payouts.services.months import month_of


def month_choices() -> list[tuple[str, str]]:
    """Every month since the first thing earned, newest first."""
    return [(f"{month:%Y-%m}", month_name(month)) for month in month_selectors.months_until(this_month())]


def this_month() -> date:
    return month_of(timezone.now().date())


def month_from(text: str | None) -> date | None:
    return date.fromisoformat(f"{text}-01") if text else None


class MonthFilter(django_filters.ChoiceFilter):
    """Chooses a month; what it narrows is the page's own matter unless `field_name` is given."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("label", _("Month"))
        super().__init__(*args, choices=month_choices, **kwargs)

    def filter(self, qs, value):
        return qs
