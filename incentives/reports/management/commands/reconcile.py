"""manage.py reconcile"""

from django.core.management.base import BaseCommand, CommandError

from incentives.reports.comparisons import compare_now
from rewards.errors import RewardError
from rewards.provider.errors import ProviderError


class Command(BaseCommand):
    help = "Compare ledger, orders and the provider's own list, on record; exits 1 when anything differs, 2 unasked."

    def handle(self, *args, **options):
        try:
            run, report = compare_now()
        except (RewardError, ProviderError) as exc:
            raise CommandError(f"The provider could not be asked: {exc}", returncode=2) from exc
        for difference in report.differences:
            self.stdout.write(str(difference))
        self.stdout.write(f"{report.orders} orders issued: {run.ours} here, {run.theirs} at the provider.")
        if not report.agrees:
            raise CommandError("The books differ. Each line above says where.", returncode=1)
        self.stdout.write("Issued at the provider = spent in the ledger.")
