from django.apps import AppConfig


class EarningsConfig(AppConfig):
    name = "incentives.earnings"

    def ready(self):
        from incentives.core import sealing
        from incentives.earnings.models import Earning

        sealing.connect(Earning, named="public_id")
