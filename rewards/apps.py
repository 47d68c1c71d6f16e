from django.apps import AppConfig
from django.core import checks


class RewardsConfig(AppConfig):
    name = "rewards"
    verbose_name = "Rewards"

    def ready(self):
        from rewards.checks import settings_fit

        checks.register(settings_fit)
