"""Tax profiles, yearly thresholds as rows, and what they hold or export."""

from django.apps import AppConfig


class TaxConfig(AppConfig):
    name = "incentives.tax"
