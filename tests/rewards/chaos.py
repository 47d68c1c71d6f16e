"""Orders through real workers that are killed, a broker that is emptied and a provider that fails, then the books.

    python -m tests.rewards.chaos --orders 2000                      (starts its own PostgreSQL and Redis)
    python -m tests.rewards.chaos --orders 100 --embedded            (SQLite and the file-system broker)
    python -m tests.rewards.chaos --database-url URL --redis-url URL (a server in which it may make a database)

Exit status 0 when every order is completed or honestly in review and both books agree. Prints one JSON document.
"""

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import Request, urlopen

from tests.support import services
from tests.support.environment import ROOT, TEST_ENVIRONMENT

POST_FAULTS = {
    "reset_before": 0.015, "reset_after": 0.03, "timeout_before": 0.005, "timeout_after": 0.01, "504_before": 0.015,
    "504_after": 0.025, "504_late": 0.01, "500_before": 0.01, "500_after": 0.02, "502_html": 0.01, "502_after": 0.015,
    "429": 0.005, "429_bare": 0.005, "401": 0.01, "truncated": 0.01, "not_json": 0.005, "no_id": 0.005,
}  # fmt: skip
"""Together 20 %. What they do not say about themselves is in rewards/sandbox/faults.py."""
OTHER_FAULTS = [
    *({"fault": fault, "probability": share, "seconds": 1} for fault, share in (
        ("pending", 0.1), ("unknown_status", 0.01), ("hidden", 0.02), ("conflict_empty", 0.1), ("conflict_plural", 0.2),
        ("conflict_nested", 0.2), ("conflict_location", 0.2), ("hook_early", 0.02), ("hook_never", 0.2),
        ("hook_twice", 0.2), ("hook_forged", 0.2))),
    {"fault": "504_before", "probability": 0.05, "on": "GET /v1/Orders/{id}"},
    {"fault": "reset_after", "probability": 0.05, "on": "GET /v1/Orders"},
    {"fault": "500_before", "probability": 0.2, "on": "POST /v1/Tokens"},
]  # fmt: skip


class Chaos:
    """The processes of one run, and its numbers."""

    def __init__(self, folder: Path, database: str, redis: str, in_flight: int, seed: int):
        self.folder, self.database, self.redis, self.seed = folder, database, redis, seed
        self.sandbox_port, self.web_port = services.free_port(), services.free_port()
        self.random, self.running = random.Random(seed), {}
        self.numbers = {"worker_kills": 0, "broker_flushes": 0, "channel_reopened": 0}
        self.environment = {
            **os.environ, **TEST_ENVIRONMENT, "DEBUG": "0", "DATABASE_URL": database, "REDIS_URL": redis,
            "DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "tests.rewards.chaos_settings", "PYTHONPATH": str(ROOT),
            "E2R_BASE_URL": f"http://127.0.0.1:{self.sandbox_port}", "BASE_URL": f"http://127.0.0.1:{self.web_port}",
            "E2R_WEBHOOKS": "1", "E2R_PO_PREFIX": "CHAOS", "LOG_LEVEL": "WARNING", "CHAOS_IN_FLIGHT": str(in_flight),
            "PYTHONWARNINGS": "ignore", "EMAIL_URL": "dummymail://",
        }  # fmt: skip

    # --- processes ----------------------------------------------------------------------------------------------------
    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=lambda: services.die_with_parent(signal.SIGKILL),
            )  # fmt: skip

    def kill(self, name: str) -> None:
        process = self.running[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def worker(self, name: str) -> None:
        self.start(
            name, "-m", "celery", "-A", "incentives", "worker", "-Q", "payouts", "-c", "2", "-n", f"{name}@%h", "-l",
            "WARNING", "--without-mingle", "--without-gossip",
        )  # fmt: skip

    def start_all(self, latency: int) -> None:
        shares = [{"fault": fault, "probability": share, "seconds": 1} for fault, share in POST_FAULTS.items()]
        (self.folder / "faults.json").write_text(json.dumps(_conditional(shares) + OTHER_FAULTS))
        self.start(
            "sandbox", "manage.py", "sandbox", "--port", str(self.sandbox_port), "--db", str(self.folder / "sandbox.sqlite3"),
            "--latency", str(latency), "--seed", str(self.seed), "--faults", str(self.folder / "faults.json"),
        )  # fmt: skip
        self.start("web", "-m", "gunicorn", "incentives.wsgi", "--bind", f"127.0.0.1:{self.web_port}", "--threads", "4")
        self.start("sweep", "manage.py", "sweep", "--loop", "--every", "2")
        for name in ("worker1", "worker2"):
            self.worker(name)
        deadline = time.monotonic() + 60
        while not (services.answers(self.sandbox_port) and services.answers(self.web_port)):
            assert time.monotonic() < deadline, f"sandbox or web did not start, see {self.folder}"
            time.sleep(0.1)

    def stop(self) -> None:
        for name in self.running:
            self.kill(name)

    # --- harm ---------------------------------------------------------------------------------------------------------
    def kill_a_worker(self) -> None:
        name = self.random.choice(["worker1", "worker2"])
        self.kill(name)
        self.worker(name)
        self.numbers["worker_kills"] += 1

    def flush_broker(self) -> None:
        if self.redis:
            import redis

            redis.Redis.from_url(self.redis).flushall()
        else:
            for message in (self.folder / "broker" / "queue").glob("*.msg"):
                message.unlink(missing_ok=True)
        self.numbers["broker_flushes"] += 1

    def books(self) -> tuple[dict, list[dict]]:
        base = self.environment["E2R_BASE_URL"]
        found = []
        for path in ("books", "orders"):
            with urlopen(Request(f"{base}/_sandbox/{path}"), timeout=60) as answer:
                found.append(json.load(answer))
        return found[0], found[1]["orders"]


def _conditional(rules: list[dict]) -> list[dict]:
    """The sandbox tries rules one after the other: shares of all calls become chances of those that are left."""
    left = 1.0
    for rule in rules:
        rule["probability"], left = rule["probability"] / left, left - rule["probability"]
    return rules


def run(chaos: Chaos, orders: int, seconds: float, latency: int, kill_every: float) -> dict:
    """The whole run in this process's Django; returns the numbers, `problems` being empty when all is well."""
    os.environ.update(chaos.environment)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    chaos.start_all(latency)
    from rewards.services import refresh_catalogue

    for _ in range(20):  # its token may meet a fault as well
        with contextlib.suppress(Exception):
            refresh_catalogue(force=True)
            break
        time.sleep(0.5)
    started = time.monotonic()
    make_orders(orders)
    made = time.monotonic() - started
    watch(chaos, orders, seconds, kill_every)
    took = time.monotonic() - started
    chaos.numbers |= {
        "made_in": round(made, 1),
        "seconds": round(took, 1),
        "orders_per_second": round(orders / took, 1),
    }
    return chaos.numbers | compare(chaos, orders)


def make_orders(count: int) -> None:
    from django.db import transaction

    from rewards.bodies import DigitalDelivery, Links
    from rewards.money import Money
    from rewards.services import create_order

    for start in range(0, count, 50):
        with transaction.atomic():
            for number in range(start, min(start + 50, count)):
                create_order(
                    reference=f"chaos:{number}", po_parts=["chaos", str(number)], product_id="CVS",
                    value=Money((5 + number % 96) * 100, "USD"), approval_hash="a" * 64,
                    delivery=Links() if number % 3 == 0 else DigitalDelivery(email=f"rep{number}@team.example"),
                )  # fmt: skip


def watch(chaos: Chaos, orders: int, seconds: float, kill_every: float) -> None:
    """Do harm until nothing is open, and what an operator would do about a channel that stopped."""
    from rewards import channel as channels
    from rewards.models import RewardOrder
    from rewards.services import open_channel, resume_unfunded

    end, next_kill = time.monotonic() + seconds, time.monotonic() + kill_every
    flush_at = [orders // 3, orders * 2 // 3]
    open_states = ("draft", "submitting", "pending", "unfunded")
    while time.monotonic() < end:
        left = RewardOrder.objects.filter(state__in=open_states).count()
        if not left:
            return
        if flush_at and orders - left >= flush_at[0]:
            flush_at.pop(0)
            chaos.flush_broker()
        if time.monotonic() > next_kill and left > orders * 0.02:
            chaos.kill_a_worker()
            next_kill = time.monotonic() + kill_every
        if channels.current().state != "open":
            resume_unfunded(actor_name="Operator")
            open_channel(actor_name="Operator", reason="looked into it")
            chaos.numbers["channel_reopened"] += 1
        time.sleep(0.5)


def compare(chaos: Chaos, orders: int) -> dict:
    """Ours against the sandbox's books, order by order."""
    from django.db.models import Count

    from rewards.models import Card, OrderAttempt, RewardOrder

    books, theirs = chaos.books()
    by_po = {order["po"]: order for order in theirs}
    problems, face, cost = [], 0, 0
    for order in RewardOrder.objects.select_related("product"):
        there = by_po.pop(order.po_number, None)
        if order.state == "completed":
            if there is None or there["id"] != order.provider_order_id:
                problems.append(f"{order} is completed here and unknown there")
            elif (Decimal(there["face_value"]), there["status"]) != (order.value.decimal, "Completed"):
                problems.append(f"{order} differs there: {there['face_value']} {there['status']}")
            face, cost = face + order.amount_minor, cost + (order.cost_minor or 0)
        elif order.state != "review":
            problems.append(f"{order} is still {order.state}: {order.last_problem}")
    problems += [f"{po} is only there" for po in by_po]
    states = dict(RewardOrder.objects.order_by().values_list("state").annotate(Count("pk")))
    links = RewardOrder.objects.filter(state="completed", delivery_type="Links").count()
    if Card.objects.count() != links:
        problems.append(f"{Card.objects.count()} cards for {links} completed claim links")
    if not states.get("review") and (f"{face / 100:.2f}", f"{cost / 100:.2f}") != (books["face_value"], books["cost"]):
        problems.append(f"books differ: {face}/{cost} here, {books['face_value']}/{books['cost']} there")
    return {
        "orders": orders, "states": states, "attempts": OrderAttempt.objects.count(),
        "lost_attempts": OrderAttempt.objects.filter(outcome="").count(), "sandbox": books, "problems": problems[:20],
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--latency", type=int, default=20, help="milliseconds per answer of the sandbox")
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--kill-every", type=float, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--embedded", action="store_true", help="SQLite and the file-system broker")
    parser.add_argument("--database-url", default="")
    parser.add_argument("--redis-url", default="")
    parser.add_argument("--keep", default="", help="a folder for logs and the sandbox's file, kept afterwards")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(given.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="laurel-chaos-")))
        folder.mkdir(parents=True, exist_ok=True)
        database, redis = given.database_url, given.redis_url
        if given.embedded:
            database, redis = f"sqlite:///{folder / 'laurel.sqlite3'}", ""
        else:
            redis = redis or stack.enter_context(services.redis()) + "/0"
            database = stack.enter_context(_own_database(database or stack.enter_context(services.postgres())))
        chaos = Chaos(folder, database, redis, given.in_flight, given.seed)
        stack.callback(chaos.stop)
        numbers = run(chaos, given.orders, given.seconds, given.latency, given.kill_every)
        from django.db import connections

        connections.close_all()
    sys.stdout.write(json.dumps(numbers, indent=2) + "\n")
    return 1 if numbers["problems"] else 0


@contextlib.contextmanager
def _own_database(server: str):
    """A database of this run alone on that PostgreSQL server."""
    import psycopg

    name, parts = f"chaos_{secrets.token_hex(4)}", urlsplit(server)
    with psycopg.connect(server.replace("postgres://", "postgresql://", 1), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    raise SystemExit(main())
