"""`manage.py import_activities FILE --connection NAME`: import a CSV or XLSX file of facts (docs/connections/files.md)."""

import json
import time
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from incentives.core.errors import DomainError
from incentives.crm import imports
from incentives.crm.mapping import load_tables
from incentives.crm.models import Connection, Delivery


class Command(BaseCommand):
    help = "Import a CSV or XLSX file of facts through a connection."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--connection", required=True, help="name of the connection")
        parser.add_argument("--mapping", type=Path, help="JSON file; without it the connection's saved mapping is used")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and store nothing")
        parser.add_argument("--result", type=Path, help="write what became of every row to this CSV file")
        parser.add_argument("--full", action="store_true", help="records missing from the file count as deleted")
        parser.add_argument("--confirm-missing", type=int, metavar="N", help="with --full: how many may be missing")

    def handle(self, *args, **options):
        began = time.monotonic()
        connection = Connection.objects.exclude(kind__in=Connection.OWN).filter(name=options["connection"]).first()
        if connection is None:
            names = ", ".join(Connection.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no connection named {options['connection']!r}. There are: {names}.")
        try:
            job = imports.import_file(
                connection,
                options["file"],
                self._mapping(options["mapping"], connection),
                dry_run=options["dry_run"],
                full=options["full"],
                confirm_missing=options["confirm_missing"],
                result_path=options["result"],
            )
        except DomainError as exc:
            raise CommandError(exc.user_message) from exc
        except OSError as exc:
            raise CommandError(f"{options['file']}: {exc.strerror}.") from exc
        self._report(job, options["dry_run"], time.monotonic() - began)

    def _mapping(self, path: Path | None, connection: Connection) -> dict:
        if path is None:
            if not connection.field_map:
                raise CommandError("The connection has no saved mapping; give one with --mapping FILE.json.")
            return connection.field_map
        try:
            return load_tables(json.loads(path.read_text(encoding="utf-8")), path.parent)
        except (OSError, ValueError, KeyError) as exc:
            raise CommandError(f"{path}: expected a JSON mapping that can be read ({exc}).") from exc

    def _report(self, job, dry_run: bool, seconds: float) -> None:
        words = "would be stored as" if dry_run else "stored:"
        counts = ", ".join(f"{number} {status}" for status, number in sorted(job.counts.items()))
        self.stdout.write(f"{job.progress} rows {words} {counts or 'nothing'} ({seconds:.1f} s)")
        if not dry_run:
            waiting = Delivery.objects.filter(import_job=job, status=Delivery.Status.QUARANTINED).count()
            self.stdout.write(f"{waiting} of them wait in quarantine. Every row: {job.result_path}")
