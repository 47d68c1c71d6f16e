"""Everything the customer owns, into a folder or a ZIP, with the program that checks it."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.snapshot import snapshot
from incentives.reports.export_dictionary import markdown
from incentives.reports.export_models import FullExport
from incentives.reports.export_services import write_zip
from incentives.reports.export_writer import FolderTarget, Writer


class Command(BaseCommand):
    help = "Write everything the customer owns into a new ZIP (a name that ends in .zip) or an empty folder."

    def add_arguments(self, parser):
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--out", metavar="DIR|FILE.zip", help="where to write; what is there is never overwritten")
        which.add_argument("--dictionary", action="store_true", help="print the data dictionary and write nothing")

    def handle(self, *args, **options):
        if options["dictionary"]:
            self.stdout.write(markdown())
            return
        path = Path(options["out"])
        try:
            manifest = self.write(path)
        except OSError as exc:
            raise CommandError(f"{path}: {exc.strerror or exc}. Name a new file or an empty folder.") from exc
        with transaction.atomic():
            made = FullExport(requested_at=timezone.now())
            audit.record("export.made", made, after={"by": "manage.py export", "manifest_sha256": manifest})
        self.stdout.write(f"{path} is written. SHA-256 of its manifest, to keep elsewhere: {manifest}")

    def write(self, path: Path) -> str:
        if path.suffix.lower() == ".zip":
            return write_zip(path)
        if path.exists() and any(path.iterdir()):
            raise CommandError(f"{path} is not empty. Name a new file or an empty folder.")
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with snapshot():
            return Writer(FolderTarget(path)).everything()
