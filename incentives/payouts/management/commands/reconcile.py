"""manage.py reconcile"""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from incentives.payouts.reconcile import reconcile
from rewards.errors import RewardError
from rewards.money import Money
from rewards.provider.errors import ProviderError


class Command(BaseCommand):
    help = "Compare ledger, orders and the provider's own list; exits 1 when anything differs."

    def handle(self, *args, **options):
        try:
            report = reconcile()
        except (RewardError, ProviderError) as exc:
            raise CommandError(f"The provider could not be asked: {exc}", returncode=2) from exc
        for difference in report.differences:
            self.stdout.write(str(difference))
        ours, theirs = (Money(v, settings.E2R_CURRENCY) for v in (report.ours_minor, report.theirs_minor))
        self.stdout.write(f"{report.orders} orders issued: {ours} here, {theirs} at the provider.")
        if not report.agrees:
            raise CommandError("The books differ. Each line above says where.", returncode=1)
        self.stdout.write("Issued at the provider = spent in the ledger.")
