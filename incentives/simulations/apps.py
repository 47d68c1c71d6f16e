"""Runs of a program over a past window that cost nothing."""

from django.apps import AppConfig


class SimulationsConfig(AppConfig):
    name = "incentives.simulations"
