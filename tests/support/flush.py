"""Let the test runner empty append-only tables.

Between transactional tests Django flushes every table. On PostgreSQL it truncates, which row triggers do not see; on
SQLite it deletes row by row, which the append-only triggers rightly refuse. The triggers step aside for that moment.

A flush also takes away the rows that migrations put in; `refill_after_flush` brings them back, so that no test depends on
which ones ran before it.
"""

import importlib

from django.apps import apps
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.models.signals import post_migrate

DatabaseOperations = DatabaseWrapper.ops_class
_flush = DatabaseOperations.execute_sql_flush


def _without_triggers(self, statements: list[str]) -> None:
    with self.connection.cursor() as cursor:
        triggers = cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    drop = [f'DROP TRIGGER "{name}"' for name, _ in triggers]
    _flush(self, [*drop, *statements, *(sql for _, sql in triggers)])


def allow_flush_of_append_only_tables() -> None:
    """Wrap SQLite's flush of this process, for every connection: Playwright's event loop gives its thread new ones."""
    DatabaseOperations.execute_sql_flush = _without_triggers


def _refill(app_config, **kwargs) -> None:
    if app_config.label == "tax" and not apps.get_model("tax", "TaxRule").objects.exists():
        importlib.import_module("incentives.tax.migrations.0002_guards_and_rules").add_rules(apps, None)


def refill_after_flush() -> None:
    """Django says post_migrate after each flush, too."""
    post_migrate.connect(_refill, dispatch_uid="tests.refill", weak=False)
