"""Outgoing webhooks: events written with the change, signed and delivered afterwards."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "incentives.webhooks"
