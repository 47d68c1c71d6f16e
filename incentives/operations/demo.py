"""`make demo`: everything of Laurel on one machine, in one terminal, with no service installed.

    python -m incentives.operations.demo [--reset] [--quiet] [--port 8000]

It makes its own environment (SQLite, the file-system broker and the provider's sandbox, all in var/demo) before the
settings are read, so that no DATABASE_URL or .env of yours can reach it. A second start keeps the data.
"""

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from incentives.operations.demo_company import people

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = Path(os.environ.get("LAUREL_DEMO_DIR") or ROOT / "var" / "demo")
READY_SECONDS = 90


def say(text: str = "") -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def free_port(preferred: int) -> int:
    """`preferred` when nobody listens there, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise SystemExit("No free port on 127.0.0.1.")


def kept_secret(name: str, make) -> str:
    """A secret of this demo: made once, used again."""
    path = FOLDER / f"{name}.txt"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text().strip()


def environment(port: int, sandbox_port: int) -> dict[str, str]:
    """Every setting the demo depends on, spelled out."""
    from cryptography.fernet import Fernet

    return {
        "DJANGO_SETTINGS_MODULE": "incentives.settings",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore::UserWarning",  # Celery's, about running as root in a container
        "DEBUG": "0",
        "DATA_DIR": str(FOLDER),
        "STATIC_ROOT": str(FOLDER / "static"),
        "SECRET_KEY": kept_secret("secret_key", lambda: secrets.token_urlsafe(50)),
        "FIELD_ENCRYPTION_KEYS": kept_secret("field_encryption_keys", lambda: Fernet.generate_key().decode()),
        "DATABASE_URL": f"sqlite:///{FOLDER / 'laurel.sqlite3'}",
        "REDIS_URL": "",
        "BASE_URL": f"http://localhost:{port}",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "SECURE_SSL_REDIRECT": "0",
        "SECURE_HSTS_SECONDS": "0",
        "BEHIND_PROXY": "0",
        "EMAIL_URL": f"filemail:///{FOLDER.absolute() / 'mail'}",  # the third slash: without it the path is relative
        "E2R_BASE_URL": f"http://127.0.0.1:{sandbox_port}",
        "E2R_EMAIL": "api@example.com",
        "E2R_ACCESS_TOKEN": "sandbox",
        "E2R_CURRENCY": "USD",
        "E2R_PO_PREFIX": "DEMO",
        "E2R_WEBHOOKS": "1",
        "LOG_LEVEL": "WARNING",
        "DEMO_SIGN_INS": json.dumps(people.sign_ins()),
    }


def start_once(port: int):
    """A lock held while the demo runs. SystemExit when it runs already."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = (FOLDER / "running.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise SystemExit(f"The demo is running already: {lock.read().strip()}") from None
    lock.truncate(0)
    lock.write(f"http://localhost:{port}")
    lock.flush()
    return lock


def remove_data() -> None:
    """Everything of an earlier demo but its lock."""
    for path in FOLDER.iterdir():
        if path.name != "running.lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_unfinished() -> None:
    """The databases of a first start that was interrupted: half a company can neither be kept nor completed."""
    for path in (*FOLDER.glob("laurel.sqlite3*"), *FOLDER.glob("sandbox.sqlite3*")):
        path.unlink()


def prepare() -> None:
    """Database, static files, and on the first start the example company."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("check")
    say("Preparing the database ...")
    call_command("migrate", verbosity=0, interactive=False)
    say("Collecting static files ...")
    call_command("collectstatic", verbosity=0, interactive=False)
    if seeded().exists():
        say("Keeping the company of the last demo (make demo-reset starts over).")
    else:
        say("Building an example company: teams, partners, programs, half a year of deals, budgets and payouts ...")
        call_command("seed_demo", sandbox_db=str(sandbox_books()), activity_file=str(activity_key()))
        seeded().touch()


def seeded() -> Path:
    """Exists once the company is complete; a start that was interrupted before begins anew."""
    return FOLDER / "seeded"


def sandbox_books() -> Path:
    return FOLDER / "sandbox.sqlite3"


def activity_key() -> Path:
    return FOLDER / "activity.json"


def commands(port: int, sandbox_port: int, quiet: bool) -> dict[str, str]:
    """Process name to shell command. `exec`, so that a signal reaches the program and not a shell around it."""
    python = f"exec {sys.executable}"
    found = {
        "web": f"{python} -m gunicorn incentives.wsgi --bind 127.0.0.1:{port} --workers 1 --threads 8 --log-level warning",
        "worker": f"{python} -m celery -q -A incentives worker -c 2 -Q default,payouts,notify,reports -l ERROR --without-mingle",
        "beat": f"{python} -m celery -q -A incentives beat -l ERROR",
        "sweep": f"{python} manage.py sweep --loop",
        "sandbox": (
            f"{python} manage.py sandbox --port {sandbox_port} --db {sandbox_books()} --latency 200 --pending 0.25"
        ),
    }
    if not quiet and activity_key().exists():
        address = f"http://127.0.0.1:{port}"
        found["activity"] = f"{python} -m incentives.operations.demo_company.activity {address} {activity_key()}"
    return found


def announce(port: int) -> None:
    """Wait for the first answer, then say where to go and who to be."""
    address = f"http://localhost:{port}"
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(f"http://127.0.0.1:{port}/healthz"):
        if time.monotonic() > deadline:
            return say(f"Laurel did not answer at {address} within {READY_SECONDS} s; the lines above may say why.")
        time.sleep(0.2)
    _wait_for_a_sweep(20)
    say(f"\n  Laurel is running at {address}\n")
    for role, email, password in people.sign_ins():
        say(f"    {role:<24} {email:<32} {password}")
    say("\n  Ctrl-C stops everything; the data stays in var/demo (make demo-reset starts over).\n")
    return None


def _wait_for_a_sweep(seconds: float) -> None:
    """So that what is printed stands below what the processes say while they start. Pages work without it."""
    from incentives.operations.sweep import heartbeat_age

    started = time.monotonic()
    while (waited := time.monotonic() - started) < seconds:
        age = heartbeat_age()
        if age is not None and age <= waited:
            return
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 (our own address)
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def run(port: int, sandbox_port: int, quiet: bool) -> int:
    """All processes in this terminal until Ctrl-C, or until one of them ends; then all end, children included."""
    import honcho.manager
    from honcho.printer import Printer

    printer = Printer(sys.stdout)
    honcho.manager.KILL_WAIT = 12  # an idle worker takes seven seconds to end
    manager = honcho.manager.Manager(printer)
    # honcho asks whole groups to end; asked alone, a worker ends its children in order. What ignores it is killed whole.
    manager._procmgr.terminate = lambda pid: os.kill(pid, signal.SIGTERM)
    for name, command in commands(port, sandbox_port, quiet).items():
        manager.add_process(name, command, env=dict(os.environ), cwd=str(ROOT))
    threading.Thread(target=announce, args=[port], daemon=True).start()
    signal.signal(signal.SIGHUP, lambda *_: hang_up(manager, printer))
    manager.loop()
    return 0 if manager.returncode in (None, 0, -signal.SIGINT, -signal.SIGTERM, 130, 143) else 1


def hang_up(manager, printer) -> None:
    """The terminal was closed: there is nothing to print to any more, and nothing may stay behind."""
    printer.output = Path(os.devnull).open("w")  # noqa: SIM115 (this process ends here)
    manager.terminate()
    time.sleep(3)
    manager.kill()
    os._exit(129)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--reset", action="store_true", help="throw the data of earlier demos away first")
    parser.add_argument("--quiet", action="store_true", help="no new deals while it runs")
    parser.add_argument("--port", type=int, default=8000, help="preferred port of the web server (8000)")
    options = parser.parse_args()
    port, sandbox_port = free_port(options.port), free_port(options.port + 10)
    lock = start_once(port)
    if options.reset:
        remove_data()
    elif not seeded().exists():
        remove_unfinished()
    os.environ.update(environment(port, sandbox_port))
    os.chdir(ROOT)
    with lock:
        try:
            prepare()
        except KeyboardInterrupt:
            say("\nStopped." if seeded().exists() else "\nStopped. The next start begins anew.")
            return 130
        say("Starting web, worker, beat, sweep and sandbox ...")
        return run(port, sandbox_port, options.quiet)


if __name__ == "__main__":
    sys.exit(main())
