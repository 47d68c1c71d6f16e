from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "incentives.ledger"

    def ready(self):
        from incentives.core import sealing
        from incentives.ledger.models import Posting

        sealing.connect(Posting, named="key")
