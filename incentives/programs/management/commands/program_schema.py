"""Writes the JSON Schema of program definitions into the documentation, or checks that it is up to date."""

import json
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from incentives.programs.rules.json_schema import json_schema


class Command(BaseCommand):
    help = "Write docs/program-v1.schema.json from the models (--check: only compare)."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--check", action="store_true", help="fail when the file is not up to date")

    def handle(self, *, check=False, **options):
        path = Path(settings.BASE_DIR) / "docs" / "program-v1.schema.json"
        text = schema_text()
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            raise CommandError(f"{path} is not up to date: run manage.py program_schema.")


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
