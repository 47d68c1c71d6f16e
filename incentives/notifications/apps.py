"""What to tell whom and how: messages written with the change, sent afterwards."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "incentives.notifications"
