"""Orders placed per second by real Celery workers, beside what the provider's latency and the limit on calls in flight allow."""

import time

from tests.bench import Median, Run, bench

ORDERS, ROUNDS, LATENCY_MS = 100, 5, 100
ABOUT = f"""The provider's sandbox answers each call after {LATENCY_MS} ms, so with E2R_MAX_IN_FLIGHT = 4 nobody can place more than 40
orders a second. *Workers as in production*: the queue `payouts` has one process per call in flight, here two workers of two
processes. *One worker of two processes* cannot have more than two calls in flight, one per process. A round begins when the
orders are committed and their nudges sent, and ends when the last one is issued and settled."""


class Shop:
    """A sandbox with latency, its catalogue, and orders to place."""

    def __init__(self, run: Run):
        from django.conf import settings

        from rewards import services

        self.sandbox = run.processes.server("sandbox", "--latency", str(LATENCY_MS))  # its books in memory
        settings.E2R_BASE_URL = self.sandbox.url
        services.refresh_catalogue(force=True)
        self.made = 0

    def create(self, count: int) -> list[int]:
        """Draft orders, committed together; their nudges leave at the commit."""
        from django.db import transaction

        with transaction.atomic():
            return [self._create().pk for _ in range(count)]

    def _create(self):
        from rewards import services
        from rewards.money import Money

        self.made += 1
        return services.create_order(
            reference=f"bench:{self.made}", po_parts=("bench", str(self.made)), product_id="CVS",
            value=Money(2500, "USD"), delivery=services.DigitalDelivery(email=f"rep{self.made}@example.com"),
            approval_hash="b" * 64,
        )  # fmt: skip

    def settle(self, count: int, seconds: float = 60) -> float:
        """Seconds until `count` new orders are issued. RuntimeError when they are not in time."""
        from rewards.models import RewardOrder

        pks = self.create(count)
        started, mine = time.perf_counter(), RewardOrder.objects.filter(pk__in=pks)
        while mine.exclude(state=RewardOrder.State.COMPLETED).exists():
            if time.perf_counter() - started > seconds:
                states = list(mine.values_list("state", flat=True).distinct())
                raise RuntimeError(f"orders are not issued after {seconds} s: {states}")
            time.sleep(0.02)
        return time.perf_counter() - started


def rates(run: Run, shop: Shop, orders: int) -> Median:
    if not run.small:
        shop.settle(16)  # connections, tokens, imports
    return Median([orders / shop.settle(orders) for _ in range(run.size(ROUNDS, 1))])


@bench("orders", "Orders placed", about=ABOUT)
def orders(run: Run) -> None:
    from django.conf import settings

    shop, count, each = Shop(run), run.size(ORDERS, 2), 1000 / LATENCY_MS
    limit = settings.E2R_MAX_IN_FLIGHT * each
    first = run.processes.worker(concurrency=2, queues="payouts")
    alone = rates(run, shop, count // 2)
    run.row(
        "one worker of two processes",
        alone,
        "/s",
        share=_share(alone, 2 * each),
        of=f"{2 * each:.0f}/s, two calls in flight",
    )
    second = first if run.small else run.processes.worker(concurrency=2, queues="payouts")
    both = rates(run, shop, count)
    run.row(
        "workers as in production", both, "/s", share=_share(both, limit), of=f"{limit:.0f}/s, four calls in flight"
    )
    run.memory_row("peak memory of the two workers", first, second)


def _share(found: Median, limit: float) -> Median:
    return Median([rate / limit for rate in found.rounds])
