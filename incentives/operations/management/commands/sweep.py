"""`manage.py sweep`: find and carry on what a crash or a lost message left behind."""

import signal
import threading
import time

from django.core.management.base import BaseCommand, CommandError

from incentives.operations import health, sweep

PATIENCE_SECONDS = 120


class Command(BaseCommand):
    help = (
        "Sweep once, or with --loop as a process of its own. Several loops may run: one is elected, the others wait to "
        "take over. Exit status 1 when a sweeper failed."
    )

    def add_arguments(self, parser):
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or Ctrl-C")
        parser.add_argument(
            "--check", action="store_true", help="sweep nothing; exit status 1 when nobody has for 60 s"
        )
        parser.add_argument("--every", type=float, default=15, help="seconds between two sweeps of a loop (15)")

    def handle(self, *, loop, check, every, **options):
        if every <= 0:
            raise CommandError("--every: expected a number of seconds above 0.")
        if check:
            self._check()
        elif loop:
            self._loop(every)
        else:
            self._once()

    def _loop(self, every: float) -> None:
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        self.stdout.write(f"Sweeping every {every:g} s.")
        sweep.loop(every, ended.wait)

    def _check(self) -> None:
        try:
            health.sweep()
        except health.NotReady as exc:
            raise CommandError(f"The sweep is silent: {exc}") from exc
        self.stdout.write("The sweep is alive.")

    def _once(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (results := sweep.sweep()) is None:
            if time.monotonic() > deadline:
                raise CommandError(f"Another process has been sweeping for {PATIENCE_SECONDS} s. Try again later.")
            time.sleep(0.5)
        for path, result in results.items():
            if result is not None:
                self.stdout.write(f"{path}: {result}")
        if any(str(result).startswith("failed") for result in results.values()):
            raise CommandError("A part of the sweep failed; the log above says why.")
