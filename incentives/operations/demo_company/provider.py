"""The provider's sandbox, for as long as the company is being built."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError

START_SECONDS = 60


def is_sandbox() -> bool:
    """Whether what listens at E2R_BASE_URL is the sandbox. The provider itself does not know this address."""
    try:
        return "options" in ask("state")
    except (OSError, ValueError):
        return False


def ask(what: str, given: object = None):
    """`/_sandbox/<what>`: read it, or with `given` change it."""
    body = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(f"{settings.E2R_BASE_URL}/_sandbox/{what}", body)  # noqa: S310 (checked address)
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.loads(response.read())


def switch_faults(rules: list[dict]) -> None:
    """These faults and no others; an empty list for an honest provider."""
    ask("faults", {"rules": rules})


@contextmanager
def running(database: str) -> Iterator[None]:
    """A sandbox at E2R_BASE_URL with its books in the file `database`; it ends with the block. CommandError when it does
    not start."""
    address = urlsplit(settings.E2R_BASE_URL)
    if address.hostname not in {"127.0.0.1", "localhost"} or not address.port:
        raise CommandError(
            f"E2R_BASE_URL is {settings.E2R_BASE_URL!r}; expected an address such as http://127.0.0.1:8010."
        )
    command = [sys.executable, "manage.py", "sandbox", "--port", str(address.port), "--db", database]
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL)  # noqa: S603 (fixed)
    try:
        _wait(process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_sandbox():
        if process.poll() is not None:
            raise CommandError(
                f"The provider's sandbox ended with status {process.returncode}; the lines above may say why."
            )
        if time.monotonic() > deadline:
            raise CommandError(f"The provider's sandbox did not answer within {START_SECONDS} s.")
        time.sleep(0.1)


def require_sandbox() -> None:
    """CommandError unless E2R_BASE_URL is a sandbox: no card may be bought for an example."""
    if not is_sandbox():
        raise CommandError(
            f"E2R_BASE_URL ({settings.E2R_BASE_URL or 'not set'}) is not a running sandbox. Start one with `manage.py sandbox` "
            "and point E2R_BASE_URL at it, or give --sandbox-db FILE. The provider itself is never used for examples."
        )
