"""The REST API under /api/v1/."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "incentives.api"
