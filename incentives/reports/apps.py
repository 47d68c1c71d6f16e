"""Read-only questions of finance and managers, and their exports."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    name = "incentives.reports"
