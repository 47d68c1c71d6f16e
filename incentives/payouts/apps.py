from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "incentives.payouts"

    def ready(self):
        from incentives.payouts.services import settle  # noqa: F401  (hears order_changed)
