"""Events accepted per second, beside the least a Django view can do to store the same rows."""

import io
import itertools
import json
import os
import sys

from tests.bench import Median, Run, bench, ratio
from tests.bench._load import request, send_all
from tests.support.services import answers, free_port

SINGLES, BATCHES, BATCH = 150, 4, 100
ABOUT = """Over HTTP: gunicorn (one process, four threads, Laurel's middleware) serves both views; a load generator in another
process keeps four connections busy. In process: the WSGI handler is called directly, Laurel with all of its middleware and
the bare view with none, so this share also holds what our middleware costs and is the strict one. The bare view parses
the JSON and inserts the same columns into the same table; Laurel authenticates, normalises, hashes, answers per event,
recognises repetitions and nudges a worker."""
NUMBERS = itertools.count(1)


def event() -> dict:
    """A won deal as a CRM sends it, about 700 bytes."""
    n = next(NUMBERS)
    return {
        "external_id": f"evt-{n:08d}",
        "kind": "deal.won",
        "occurred_at": "2026-08-03T10:15:00Z",
        "participant": {"external_user_id": f"U-{n % 50}", "email": f"rep{n % 50}@example.com"},
        "object": {"type": "deal", "id": f"006-{n:08d}", "version": "2026-08-03T10:15:00Z"},
        "amount": "12500.50",
        "currency": "USD",
        "account": {"id": f"001-{n % 300}", "name": "Example Manufacturing", "segment": "Mid"},
        "lines": [
            {"sku": "SEC-100", "name": "Firewall", "family": "Security", "quantity": 5, "total": "10000.50"},
            {"sku": "SUP-200", "name": "Support", "family": "Services", "quantity": 1, "total": "2500.00"},
        ],
        "region": "West",
        "attributes": {"new_logo": True, "stage": "Closed Won", "lead_source": "Partner"},
    }


def bodies(count: int, batch: int) -> list[bytes]:
    if batch == 1:
        return [json.dumps(event()).encode() for _ in range(count)]
    return [json.dumps([event() for _ in range(batch)]).encode() for _ in range(count)]


class Hook:
    """A connection without a brake: where to post for Laurel's view, and for the bare one."""

    def __init__(self):
        from incentives.crm.services import create_connection

        issued = create_connection(name=f"Bench {os.getpid()}", currency="USD")
        type(issued.connection).objects.filter(pk=issued.connection.pk).update(rate_per_minute=2_000_000_000)
        self.path = f"/hooks/{issued.token}/events"
        self.key = f"Bearer {next(iter(issued.secrets.values()))}"
        self.bare = f"/bare/{issued.connection.pk}/"

    def requests(self, count: int, batch: int, *, bare: bool) -> list[bytes]:
        path = self.bare + ("single" if batch == 1 else "batch") if bare else self.path
        return [request(path, body, Authorization=self.key) for body in bodies(count, batch)]


def web_server(run: Run):
    """gunicorn on a free port, listening; has `.port`."""
    port = free_port()
    arguments = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4", "--max-requests", "0"]
    web = run.processes.start(
        sys.executable, "-m", "gunicorn", "incentives.wsgi", *arguments,
        name="gunicorn", DJANGO_SETTINGS_MODULE="tests.bench._settings",
    )  # fmt: skip
    web.port = port
    return web.wait_for(lambda: answers(port))


def over_http(run: Run, hook: Hook, port: int, count: int, batch: int) -> tuple[Median, Median]:
    from time import perf_counter

    def turn(bare: bool) -> float:
        prepared = hook.requests(count, batch, bare=bare)
        started = perf_counter()
        send_all(port, prepared)
        return perf_counter() - started

    return tuple(run.alternate({"bare": lambda: turn(True), "ours": lambda: turn(False)}, units=count * batch))


def in_process(run: Run, hook: Hook, count: int, batch: int) -> tuple[Median, Median]:
    """The same through WSGI alone, one request after the other."""
    from time import perf_counter

    from django.core.handlers.wsgi import WSGIHandler
    from django.test import override_settings

    with override_settings(MIDDLEWARE=[]):
        plain = WSGIHandler()
    full = WSGIHandler()

    def turn(handler, path: str) -> float:
        prepared = [environ(path, body, hook.key) for body in bodies(count, batch)]
        started = perf_counter()
        for one in prepared:
            call(handler, one)
        return perf_counter() - started

    bare = hook.bare + ("single" if batch == 1 else "batch")
    with override_settings(ROOT_URLCONF="tests.bench._urls"):
        contestants = {"bare": lambda: turn(plain, bare), "ours": lambda: turn(full, hook.path)}
        return tuple(run.alternate(contestants, units=count * batch))


def environ(path: str, body: bytes, key: str) -> dict:
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": "bench", "HTTP_AUTHORIZATION": key, "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }  # fmt: skip


def call(handler, given: dict) -> None:
    statuses = []
    response = handler(given, lambda status, headers, exc_info=None: statuses.append(status))
    body = b"".join(response)
    response.close()
    if not statuses[0].startswith("202"):
        raise RuntimeError(f"{statuses[0]}: {body[:2000]!r}")


def measure(run: Run) -> None:
    from tests.support.processes import purge_broker

    hook, web = Hook(), web_server(run)
    singles, batches = run.size(SINGLES, 8), run.size(BATCHES, 1)
    for name, count, batch in (("single posts", singles, 1), (f"batches of {BATCH}", batches, BATCH)):
        bare, ours = over_http(run, hook, web.port, count, batch)
        run.row(f"{name}, over HTTP", ours, " events/s", share=ratio(ours, bare), of="a bare view in the same server")
    for name, count, batch in (("single posts", singles, 1), (f"batches of {BATCH}", batches, BATCH)):
        bare, ours = in_process(run, hook, count, batch)
        run.row(f"{name}, in process", ours, " events/s", share=ratio(ours, bare), of="a bare view without middleware")
    run.memory_row("peak memory of web", web)
    purge_broker()


@bench("intake", "Events accepted", about=ABOUT)
def intake(run: Run) -> None:
    measure(run)


@bench("intake_sqlite", "Events accepted, embedded (SQLite, file-system broker)", embedded=True, about=ABOUT)
def intake_sqlite(run: Run) -> None:
    measure(run)
