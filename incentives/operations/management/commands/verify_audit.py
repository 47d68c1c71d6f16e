"""`manage.py verify_audit`: prove that nobody edited, removed or reordered the audit trail."""

from django.core.management.base import BaseCommand, CommandError

from incentives.core import audit
from incentives.core.models import AuditEvent


class Command(BaseCommand):
    help = (
        "Check the audit trail's hash chain. Prints its head; exit status 1 and the list of problems when it is broken."
    )

    def handle(self, **options):
        problems = audit.verify()
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"The audit trail has {len(problems)} problem(s).")
        last = AuditEvent.objects.filter(seq__isnull=False).order_by("-seq").first()
        waiting = AuditEvent.objects.filter(seq__isnull=True).count()
        head = f"{last.seq} sealed, head {last.chain}" if last else "nothing sealed yet"
        self.stdout.write(f"The audit trail is whole: {head}; {waiting} waiting for the next sweep.")
