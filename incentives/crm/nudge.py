"""Tell a worker that deliveries wait, without making the request wait for the broker.

A nudge is a hint: `crm.process_deliveries` finds its work in the database, and the sweep finds what a lost nudge left
behind. One thread per process sends at most one message per INTERVAL, and always one after the last request to it.
"""

import logging
import os
import threading

from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)
INTERVAL = 0.05


class Nudger:
    """Coalesces calls: `wake` only sets a flag."""

    def __init__(self, send):
        self._send, self._wanted, self._pid, self._lock = send, threading.Event(), None, threading.Lock()

    def wake(self) -> None:
        if self._pid != os.getpid():  # first use, or a forked worker: threads do not survive a fork
            with self._lock:
                if self._pid != os.getpid():
                    self._wanted = threading.Event()
                    threading.Thread(target=self._run, args=(self._wanted,), name="crm-nudge", daemon=True).start()
                    self._pid = os.getpid()
        self._wanted.set()

    def _run(self, wanted: threading.Event) -> None:
        pause = threading.Event()
        while True:
            wanted.wait()
            wanted.clear()
            try:
                self._send()
            except Exception:  # a broker outage must not end the thread; the sweep finds the work
                log.warning("nudge not sent; the sweep will find the deliveries", exc_info=True)
            pause.wait(INTERVAL)


def _send() -> None:
    from incentives.crm.tasks import process_deliveries_task

    process_deliveries_task.delay()


_nudger = Nudger(_send)


def nudge() -> None:
    """After the present transaction commits: ask a worker to look."""
    wake = _send if getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False) else _nudger.wake
    transaction.on_commit(wake, robust=True)
