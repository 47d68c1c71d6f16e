"""`manage.py sandbox`: the provider's stand-in, a real HTTP server on this machine (docs/provider.md)."""

import ipaddress
import json
import signal
import threading
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from rewards.sandbox.core import Sandbox
from rewards.sandbox.faults import BadFault
from rewards.sandbox.server import serve


class Command(BaseCommand):
    help = "Run a stand-in for the provider's API. Its books are in a file of its own; /_sandbox/ steers it."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, default=8100)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--db", default="", help="SQLite file for its books (in memory without one)")
        parser.add_argument("--latency", type=int, default=0, metavar="MS", help="milliseconds before every answer")
        parser.add_argument("--pending", type=float, default=0.0, help="share of orders that finish later (0 to 1)")
        parser.add_argument("--balance", default="1000000.00", help="deposit of a new file")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--faults", default="", help='a file, or JSON: [{"fault": "504_after", "probability": 0.1}]'
        )
        parser.add_argument("--allow-remote", action="store_true", help="listen on an address others can reach")

    def handle(self, *, host, port, allow_remote, **options):
        if not allow_remote and not _loopback(host):
            raise CommandError(f"--host {host}: others could reach it. The sandbox has no secrets; use --allow-remote.")
        try:
            sandbox = Sandbox(
                options["db"] or ":memory:",
                faults=_rules(options["faults"]),
                options={"latency_ms": options["latency"], "pending": options["pending"]},
                seed=options["seed"],
                balance=options["balance"],
            )
            server = serve(host, port, sandbox)
        except (BadFault, OSError) as exc:
            raise CommandError(str(exc)) from exc
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        self.stdout.write(f"The provider's sandbox listens on http://{host}:{server.server_port}")
        self.stdout.flush()
        server.serve_forever(poll_interval=0.2)
        server.server_close()


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _rules(given: str) -> list[dict]:
    if not given:
        return []
    text = given if given.lstrip().startswith(("[", "{")) else Path(given).read_text()
    try:
        found = json.loads(text)
    except ValueError as exc:
        raise BadFault(f"--faults: not JSON: {exc}") from exc
    return found.get("rules", []) if isinstance(found, dict) else found
