"""Which months are closed, and keeping them as they are while something is booked."""

from datetime import date

from django.db import connection

from incentives.ledger.models import PeriodClose


def closed_months() -> frozenset[date]:
    """The first days of the closed months."""
    return frozenset(PeriodClose.objects.filter(reopened_at__isnull=True).values_list("month", flat=True))


def keep_months_open() -> None:
    """Until the transaction ends no month is closed: call it before asking which are. Others that book do not wait."""
    _lock("ROW SHARE")


def wait_for_bookings() -> None:
    """Wait until everything that is being booked is committed, and let nothing be booked until the transaction ends:
    call it before closing a month, so that nothing lands in it afterwards."""
    _lock("EXCLUSIVE")


def _lock(mode: str) -> None:
    """The table as the lock: there is no row for an open month. On SQLite one writer works at a time anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE ledger_periodclose IN {mode} MODE")
