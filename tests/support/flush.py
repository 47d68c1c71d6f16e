"""Let the test runner empty append-only tables.

Between transactional tests Django flushes every table. On PostgreSQL it truncates, which row triggers do not see; on
SQLite it deletes row by row, which the append-only triggers rightly refuse. The triggers step aside for that moment.
"""

from django.db import connection


def allow_flush_of_append_only_tables() -> None:
    """Wrap this process's SQLite flush so that triggers are dropped before and made again after. PostgreSQL: nothing."""
    if connection.vendor != "sqlite" or hasattr(connection.ops, "_flush_with_triggers"):
        return
    flush = connection.ops.execute_sql_flush

    def without_triggers(statements):
        with connection.cursor() as cursor:
            triggers = cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        drop = [f'DROP TRIGGER "{name}"' for name, _ in triggers]
        flush([*drop, *statements, *(sql for _, sql in triggers)])

    connection.ops.execute_sql_flush = without_triggers
    connection.ops._flush_with_triggers = True
