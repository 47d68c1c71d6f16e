"""`manage.py seed_demo`: an example company in an empty database, made through the same services as everything else."""

import contextlib
import json
import os
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection as database
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit, sealing
from incentives.crm.models import Connection
from incentives.earnings import recompute
from incentives.ledger.models import Budget
from incentives.operations.demo_company import people, provider
from incentives.operations.demo_company.clock import as_of
from incentives.operations.demo_company.ending import Ending
from incentives.operations.demo_company.history import BEGINNING, Story
from incentives.operations.demo_company.roster import Company, found_company
from incentives.participants.models import Participant
from incentives.payouts.checks import check_ledger
from incentives.programs.models import Program


class Command(BaseCommand):
    help = (
        "Fill an empty database with an example company: people, programs, half a year of deals, budgets, and payouts in "
        "every state. Orders go to the sandbox at E2R_BASE_URL, never to the provider. Refuses a database that has data."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--sandbox-db", default="", metavar="FILE", help="start a sandbox at E2R_BASE_URL with its books in FILE"
        )
        parser.add_argument(
            "--activity-file", default="", metavar="FILE", help="where to keep the key for live activity (mode 600)"
        )

    def handle(self, *, sandbox_db, activity_file, **options):
        refuse_unless_empty()
        with provider.running(sandbox_db) if sandbox_db else contextlib.nullcontext(), unhurried_disk():
            provider.require_sandbox()
            company = build()
        check()
        if activity_file:
            keep_key(company, Path(activity_file))
        self.stdout.write(
            f"{Participant.objects.count()} participants, {Program.objects.count()} programs; "
            "ledger, earnings and audit trail checked."
        )

    @staticmethod
    def sign_ins() -> list[tuple[str, str, str]]:
        """(role, e-mail, password), one per role."""
        return people.sign_ins()


def refuse_unless_empty() -> None:
    """CommandError when anything is there: an example never mixes with real data."""
    for model in (User, Participant, Program, Connection, Budget):
        if model.objects.exists():
            raise CommandError(
                f"This database has data already ({model._meta.verbose_name_plural}); seed_demo fills an empty one only. "
                "`make demo-reset` starts the demo over."
            )
    if settings.E2R_CURRENCY != "USD":
        raise CommandError(f"E2R_CURRENCY is {settings.E2R_CURRENCY}; the example company works in USD.")


@contextlib.contextmanager
def unhurried_disk():
    """SQLite need not reach the disk at each of thousands of commits: what a power cut leaves of an example is thrown away."""
    if database.vendor != "sqlite":
        yield
        return
    with database.cursor() as cursor:
        (before,) = cursor.execute("PRAGMA synchronous").fetchone()
        cursor.execute("PRAGMA synchronous=OFF")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA synchronous={before}")


def build() -> Company:
    """The company and its history, until now."""
    now = timezone.now()
    with as_of(now - timedelta(days=BEGINNING + 1)):
        company = found_company()
    story = Story(company, now)
    story.live()
    Ending(story).write()
    return company


def check() -> None:
    """What every installation must be able to say of itself. CommandError with everything that is wrong."""
    audit.seal(10**6)
    sealing.seal(10**6)
    problems = [*check_ledger(), *map(str, recompute.check()), *audit.verify(), *map(str, sealing.verify())]
    if problems:
        raise CommandError("The example company does not add up:\n" + "\n".join(problems))


def keep_key(company: Company, path: Path) -> None:
    """The address token and bearer key that live activity posts with, readable by nobody else."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"token": company.hook_token, "key": company.hook_key}, file)
