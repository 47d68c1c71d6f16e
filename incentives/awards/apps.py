"""Ad hoc awards: a reward that a person gives another, with a reason."""

from django.apps import AppConfig


class AwardsConfig(AppConfig):
    name = "incentives.awards"
