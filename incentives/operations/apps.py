from django.apps import AppConfig
from django.core.checks import register


class OperationsConfig(AppConfig):
    name = "incentives.operations"

    def ready(self):
        from incentives.operations import checks

        for check in (checks.queue_versions, checks.time_limits, checks.live_provider_on_sqlite):
            register(check)
