"""Locks between processes: one holder per name, released by the system when the holder dies.

PostgreSQL: a session's advisory lock on a connection of its own (so not through PgBouncer in transaction mode). SQLite: a
lock on a file beside the database, since everything runs on one machine there.
"""

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

from django.db import Error, connection, connections


class FileLock:
    def __init__(self, name: str):
        self._path = Path(f"{connection.settings_dict['NAME']}.{name}.lock")
        self._file = None

    def acquire(self) -> bool:
        """Take it without waiting; whether it is ours now."""
        opened = self._path.open("a")
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            opened.close()
            return False
        self._file = opened
        return True

    def held(self) -> bool:
        return self._file is not None

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class AdvisoryLock:
    def __init__(self, name: str):
        digest = hashlib.sha256(f"laurel:{name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], signed=True)
        self._session = None

    def acquire(self) -> bool:
        """Take it without waiting; whether it is ours now. django.db.Error when the database is away."""
        session = connections.create_connection(connection.alias)
        session.settings_dict = {**connection.settings_dict, "CONN_MAX_AGE": None}
        try:
            with session.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
                taken = cursor.fetchone()[0]
        except Error:
            session.close()
            raise
        if not taken:
            session.close()
            return False
        self._session = session
        return True

    def held(self) -> bool:
        """Whether the session, and with it the lock, is still there; a restart of the database ends it."""
        if self._session is None:
            return False
        try:
            with self._session.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Unlock, then close: the server frees a closed session's locks only when its process gets to it, and whoever asks
        at once would be told that somebody still holds it."""
        if self._session is not None:
            with contextlib.suppress(Error), self._session.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [self._key])
            with contextlib.suppress(Error):
                self._session.close()
            self._session = None


def process_lock(name: str) -> FileLock | AdvisoryLock:
    """A lock nobody holds yet; `acquire()`, `held()`, `release()`."""
    return AdvisoryLock(name) if connection.vendor == "postgresql" else FileLock(name)


@contextlib.contextmanager
def holding(name: str) -> Iterator[bool]:
    """`with holding("sweep") as mine:` does not wait; `mine` tells whether the lock was free."""
    lock = process_lock(name)
    mine = lock.acquire()
    try:
        yield mine
    finally:
        lock.release()
