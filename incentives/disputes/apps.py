"""Questions about an earning, their answers and their outcome."""

from django.apps import AppConfig


class DisputesConfig(AppConfig):
    name = "incentives.disputes"
