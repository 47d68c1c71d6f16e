"""One consistent view of the database, for what reads much and must not see others' changes half."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction


@contextmanager
def snapshot() -> Iterator:
    """One consistent view of the database for all reads inside, and a connection to write progress by.

    PostgreSQL: a REPEATABLE READ, read-only transaction. SQLite: a deferred read transaction, so that nobody who writes waits
    (the usual transactions here take the write lock at once). Within a transaction of the caller's, its view counts.
    """
    if connection.in_atomic_block:
        yield connection
        return
    other = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        if connection.vendor == "postgresql":
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                yield other
        else:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN DEFERRED")
                cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")  # the view begins with the first read
            try:
                yield other
            finally:
                with connection.cursor() as cursor:
                    cursor.execute("ROLLBACK")
    finally:
        other.close()
