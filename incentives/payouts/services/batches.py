"""Payouts approved together and sent together: several lines of one order, where their approval policy says so.

Each payout is approved in a transaction of its own and has its order, number and body from there; that order only waits a
moment. Then one transaction makes a batch of those that still wait. A crash in between costs nothing: what was not taken is due
by itself after BATCH_WAIT.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta

from incentives.payouts.models import Payout
from rewards import services as rewards
from rewards.failpoints import hit
from rewards.models import RewardOrder

BATCH_WAIT = timedelta(minutes=1)
"""How long an order may wait for its batch: well above a bulk approval, and soon enough where nobody comes for it."""


def send_together(payouts: Iterable[Payout]) -> list[RewardOrder]:
    """Make batches of these payouts' orders that wait for one, each of one program, budget, currency and way of delivery.

    Returns the batches. What is left alone is due at once; a repeat finds nothing. Call it outside any transaction that
    locked one of them.
    """
    ids = [payout.pk for payout in payouts if payout is not None and payout.batch_lines and payout.order_id]
    if not ids:
        return []
    hit("BP1")
    groups: dict[tuple, list[int]] = defaultdict(list)
    waiting = Payout.objects.filter(pk__in=ids, order__state=RewardOrder.State.DRAFT, order__batch=None)
    for payout in waiting.order_by("order_id"):
        key = (payout.program_id, payout.budget_id, payout.currency, payout.delivery_type, payout.batch_lines)
        groups[key].append(payout.order_id)
    made = []
    for (*_, most), orders in groups.items():
        for first in range(0, len(orders), most):
            made.append(rewards.create_batch(orders[first : first + most]))
    return [batch for batch in made if batch is not None]
