from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "incentives.payouts"

    def ready(self):
        from incentives.core import sealing
        from incentives.ledger import panels
        from incentives.payouts import budget_panels, tax_totals
        from incentives.payouts.models import Approval
        from incentives.payouts.services import settle, tax_holds, terms  # noqa: F401  (they hear signals)
        from incentives.tax import sources

        sources.connect(tax_totals, tax_holds)
        panels.connect(budget_panels.PANELS, budget_panels.costs_of)
        sealing.connect(Approval, named="actor_name")
