from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "incentives.payouts"

    def ready(self):
        from incentives.payouts.services import settle, terms  # noqa: F401  (they hear order_changed and terms_changed)
