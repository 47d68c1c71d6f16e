"""Let the test runner empty append-only tables.

Between transactional tests Django flushes every table. On PostgreSQL it truncates, which row triggers do not see; on
SQLite it deletes row by row, which the append-only triggers rightly refuse. The triggers step aside for that moment.
"""

from django.db.backends.sqlite3.base import DatabaseWrapper

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
