"""manage.py check_ledger"""

from django.core.management.base import BaseCommand, CommandError

from incentives.payouts.checks import check_ledger


class Command(BaseCommand):
    help = "Derive every balance from its postings and compare; exits 1 when anything differs."

    def handle(self, *args, **options):
        problems = check_ledger()
        for problem in problems:
            self.stdout.write(problem)
        if problems:
            raise CommandError(f"{len(problems)} problems in the ledger.", returncode=1)
        self.stdout.write("The ledger balances and every payout's money is where its state says.")
