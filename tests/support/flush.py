"""Let the test runner empty append-only tables.

Between transactional tests Django flushes every table. On PostgreSQL it truncates, which row triggers do not see; on
SQLite it deletes row by row, which the append-only triggers rightly refuse. The triggers step aside for that moment.
"""

from django.db.backends.sqlite3.operations import DatabaseOperations

_flush = DatabaseOperations.execute_sql_flush


def _without_triggers(self, statements):
    with self.connection.cursor() as cursor:
        triggers = cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    drop = [f'DROP TRIGGER "{name}"' for name, _ in triggers]
    _flush(self, [*drop, *statements, *(sql for _, sql in triggers)])


def allow_flush_of_append_only_tables() -> None:
    """Wrap every SQLite flush of this process, whatever thread's connection runs it. A repeat changes nothing."""
    DatabaseOperations.execute_sql_flush = _without_triggers
