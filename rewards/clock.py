"""The time by which leases and schedules are judged: the database's, so that workers' clocks need not agree."""

from datetime import datetime

from django.db import connection
from django.utils import timezone


def now() -> datetime:
    """PostgreSQL: the server's clock at this statement. SQLite is one machine: its clock is ours."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        return cursor.fetchone()[0]
