"""manage.py recompute [--check]"""

from django.core.management.base import BaseCommand, CommandError

from incentives.earnings import recompute


class Command(BaseCommand):
    help = "Recompute every earning from the facts. With --check only compare; exits 1 when anything differs."

    def add_arguments(self, parser):
        parser.add_argument("--check", action="store_true", help="Change nothing; list what differs.")

    def handle(self, *args, check: bool, **options):
        if not check:
            done = recompute.recompute()
            self.stdout.write(
                f"Credited {done['credited']} facts, scored {done['scored']} scorecards, posted {done['earnings']} differences."
            )
            return
        differences = list(recompute.check())
        for difference in differences:
            self.stdout.write(str(difference))
        if differences:
            raise CommandError(
                f"{len(differences)} lines differ. `manage.py recompute` posts the differences; find out why first.",
                returncode=1,
            )
        self.stdout.write("Stored earnings are what the facts give, to the cent.")
