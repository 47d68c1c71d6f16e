"""From a posted win to its placed order, with web and worker as real processes and a policy that needs nobody."""

import json
import time
from statistics import median

from tests.bench import Median, Run, bench
from tests.bench._load import request, send_all
from tests.bench.intake import Hook, web_server
from tests.bench.orders import Shop

WINS, LATENCY_MS = 100, 100
ABOUT = f"""One deal after the other is posted to `/hooks/<token>/events` (gunicorn); a worker of two processes derives, scores, builds the
payout of an instant program, approves it by policy and orders the card. The clock runs from the start of the post to the
provider's answer as the order keeps it, {LATENCY_MS} ms of which are the sandbox's. No sweep runs: what is measured is the way of
the hints. *Burst* posts as many at once and waits for the last."""
STEPS = ("received", "derived", "earned", "payout approved", "order sent", "order placed")


def setup(run: Run) -> tuple[Hook, list]:
    """A funded instant program that pays 2 %, a policy without steps, and a participant for every win."""
    from incentives.payouts.models import ApprovalPolicy
    from tests.factories import make_participant, make_program

    ApprovalPolicy.objects.update_or_create(name="Automatic", defaults={"steps": [], "position": 1})
    delivery = {"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}
    make_program(funded="900000.00", payout={"when": "instant"}, delivery=delivery)
    return Hook(), [make_participant() for _ in range(2 * run.size(WINS, 1) + 1)]


def win(person) -> bytes:
    event = {
        "external_id": f"win-{person.pk}", "kind": "deal.won", "occurred_at": "2026-08-03T10:00:00Z",
        "participant": {"external_user_id": person.external_user_id}, "object": {"type": "deal", "id": f"W{person.pk}"},
        "amount": "2500.00", "currency": "USD",
    }  # fmt: skip
    return json.dumps(event).encode()


def moments(person) -> list[float] | None:
    """When each of STEPS happened (Unix time), or None while the order is not placed."""
    from incentives.crm.models import Delivery
    from incentives.earnings.models import Earning
    from rewards.models import OrderAttempt

    attempt = OrderAttempt.objects.filter(order__recipient=person.email, ended_at__isnull=False).select_related("order")
    sent = attempt.filter(order__provider_order_id__isnull=False).last()
    if sent is None:
        return None
    delivery = Delivery.objects.get(external_id=f"win-{person.pk}")
    earning = Earning.objects.get(participation__participant=person)
    at = [
        delivery.received_at,
        delivery.processed_at,
        earning.posted_at,
        sent.order.created_at,
        sent.started_at,
        sent.ended_at,
    ]
    return [moment.timestamp() for moment in at]


def wait_for(person, seconds: float = 30) -> list[float]:
    until = time.monotonic() + seconds
    while (found := moments(person)) is None:
        if time.monotonic() > until:
            raise RuntimeError(f"no order for {person} after {seconds} s")
        time.sleep(0.02)
    return found


def post(hook: Hook, port: int, people: list) -> float:
    """When it began (Unix time)."""
    started = time.time()
    send_all(port, [request(hook.path, win(person), Authorization=hook.key) for person in people])
    return started


def way(hook: Hook, port: int, person) -> list[float]:
    """Post one win and follow it: when it began, then each of STEPS."""
    started = post(hook, port, [person])
    return [started, *wait_for(person)]


@bench("delay", "From a posted win to its placed order", about=ABOUT)
def delay(run: Run) -> None:
    Shop(run)
    hook, people = setup(run)
    web = web_server(run)
    worker = run.processes.worker(concurrency=2)
    way(hook, web.port, people.pop())  # connections, imports, the provider's token
    half = len(people) // 2
    ways = [way(hook, web.port, person) for person in people[:half]]
    delays = [(one[-1] - one[0]) * 1000 for one in ways]
    run.row("median", Median(delays), " ms")
    run.row("worst", max(delays), " ms", note=f"of {half}")
    for place, name in enumerate(STEPS, start=1):
        run.row(f"of which until {name}", median((one[place] - one[place - 1]) * 1000 for one in ways), " ms")
    started = post(hook, web.port, people[half:])
    last = max(wait_for(person, 60)[-1] for person in people[half:])
    run.row(f"burst of {half}, until the last", last - started, " s")
    run.memory_row("peak memory of web", web)
    run.memory_row("peak memory of the worker", worker)
