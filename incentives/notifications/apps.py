"""What to tell whom and how: messages written with the change, sent afterwards."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class NotificationsConfig(AppConfig):
    name = "incentives.notifications"

    def ready(self):
        autodiscover_modules("notices")
