"""Claims of partners' people: proof, review, and the activity an approved claim becomes."""

from django.apps import AppConfig


class ClaimsConfig(AppConfig):
    name = "incentives.claims"
