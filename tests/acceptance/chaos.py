"""The whole way from approved payouts to cards while everything breaks: faults, killed workers, an emptied queue.

Used by test_chaos.py (small) and by hand (the issue's 2,000): `python -m tests.support.run tests/acceptance/test_chaos.py`
with LAUREL_CHAOS_PAYOUTS=2000.
"""

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
from django.conf import settings
from django.db import close_old_connections

from incentives.payouts import services
from incentives.payouts.models import Payout
from rewards import services as rewards
from rewards.models import RewardOrder
from tests.factories import deal, make_connection, make_participant, make_program, make_user, send
from tests.support.services import answers, free_port

BEFORE = ("reset_before", "504_before", "500_before", "502_html", "503_html", "429", "401")
AFTER = ("reset_after", "504_after", "500_after", "502_after", "truncated", "not_json", "no_id")
CONFLICT = ("conflict_id", "conflict_plural", "conflict_empty", "conflict_location")
HOOK = ("hook_early", "hook_never", "hook_twice", "hook_forged")

IMPATIENT = {"DJANGO_SETTINGS_MODULE": "tests.support.impatient"}


def web(processes, settings_fixture) -> None:
    """A web process for the provider's webhooks; orders made from now on carry its address."""
    port = free_port()
    settings_fixture.BASE_URL, settings_fixture.E2R_WEBHOOKS = f"http://127.0.0.1:{port}", True
    command = [sys.executable, "-m", "gunicorn", "incentives.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "4"]
    processes.start(*command, name="web", BASE_URL=settings_fixture.BASE_URL).wait_for(lambda: answers(port))


def faults(share: float) -> list[dict]:
    """Rules that together hit about `share` of the orders placed, evenly over the kinds; hooks and 409 bodies on top."""
    kinds = (*BEFORE, *AFTER, "pending")
    each = 1 - (1 - share) ** (1 / len(kinds))
    rules = [{"fault": kind, "probability": each, "seconds": 0.5} for kind in kinds]
    rules += [{"fault": kind, "probability": 0.2} for kind in CONFLICT]
    rules += [{"fault": kind, "probability": 0.1} for kind in HOOK]
    rules += [{"fault": "504_before", "on": "GET /v1/Orders/{id}", "probability": share / 2}]
    return rules


@dataclass
class Verdict:
    """What happened, for the assertions and for the record."""

    payouts: int = 0
    kills: int = 0
    flushes: int = 0
    seconds: float = 0
    states: Counter = field(default_factory=Counter)
    attempts: int = 0
    faults: dict = field(default_factory=dict)

    def __str__(self):
        return (
            f"{self.payouts} payouts in {self.seconds:.0f} s, {self.attempts} attempts, {self.kills} workers killed, "
            f"{self.flushes} flushes, orders {dict(self.states)}"
        )


def approved_payouts(count: int) -> list[Payout]:
    """`count` payouts of different amounts to `count` people, approved by finance, their orders committed as drafts."""
    rewards.refresh_catalogue()
    dice = random.Random(5)
    people = [make_participant() for _ in range(count)]
    program = make_program(
        funded=f"{count * 500}.00", delivery={"type": "DigitalDelivery", "channel": "email", "products": ["CVS"]}
    )
    crm = make_connection()
    facts = [deal(f"D{n}", rep, f"{50 * dice.randint(5, 400)}.00") for n, rep in enumerate(people)]
    for start in range(0, count, 100):
        send(crm, *facts[start : start + 100], evaluate=start + 100 >= count)
    payouts = services.build_payouts(program=program).payouts
    outcomes = services.approve_many(seen=[(p.pk, p.content_hash) for p in payouts], actor=make_user("finance"))
    assert all(outcome.ok for outcome in outcomes) and len(payouts) == count
    return payouts


def run(processes, sandbox_url: str, *, count: int, share: float, kill_every: float, limit: float) -> Verdict:
    """Pay `count` payouts while `share` of the calls fail and a worker dies every `kill_every` seconds."""
    verdict = Verdict(payouts=count)
    approved_payouts(count)
    admin(sandbox_url, "fund", amount="10000000")
    admin(sandbox_url, "options", latency_ms=250)
    admin(sandbox_url, "faults", rules=faults(share))
    processes.manage("sweep", "--loop", "--every", "2", **IMPATIENT)
    workers = [processes.worker(concurrency=2, **IMPATIENT) for _ in range(2)]
    began, next_kill, dice = time.monotonic(), time.monotonic() + kill_every, random.Random(9)
    while unfinished() and time.monotonic() - began < limit:
        time.sleep(0.5)
        if time.monotonic() >= next_kill:
            victim = dice.randrange(2)
            workers[victim].kill()
            verdict.kills += 1
            workers[victim] = processes.worker(concurrency=2, **IMPATIENT)
            next_kill = time.monotonic() + kill_every
        done = 1 - unfinished() / count
        if verdict.flushes < 2 and done > (verdict.flushes + 1) / 3:
            empty_the_broker()
            verdict.flushes += 1
        if time.monotonic() - began > limit / 2:  # the provider recovers; what stays unclear is honestly in review
            admin(sandbox_url, "faults", rules=[])
    verdict.seconds = time.monotonic() - began
    verdict.states = Counter(RewardOrder.objects.values_list("state", flat=True))
    verdict.attempts = sum(RewardOrder.objects.values_list("attempt_count", flat=True))
    verdict.faults = httpx.get(f"{sandbox_url}/_sandbox/faults").json()
    return verdict


def unfinished() -> int:
    close_old_connections()
    open_states = [s for s in RewardOrder.State.values if s not in {*RewardOrder.FINAL, "review"}]
    return RewardOrder.objects.filter(state__in=open_states).count()


def empty_the_broker() -> None:
    if settings.REDIS_URL:
        import redis

        redis.Redis.from_url(settings.REDIS_URL).flushall()
    else:
        from tests.support.processes import purge_broker

        purge_broker()


def admin(url: str, what: str, **body) -> None:
    httpx.post(f"{url}/_sandbox/{what}", json=body).raise_for_status()
