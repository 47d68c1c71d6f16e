"""Batches: several orders sent as lines of one (docs/decisions/0008-batches.md).

A batch is made of orders that have a number and a body of their own and were never sent. While it lasts they are its lines; when
it is proven refused, or dissolved before it was sent, they are orders of their own again. An unknown outcome is never split.
Locks: the batch, then its lines by id, then whatever the receivers of `lines_changing` lock.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from rewards import clock
from rewards.bodies import batch_body, po_number
from rewards.cards import known_links, store_cards
from rewards.errors import InvalidOrder
from rewards.failpoints import hit
from rewards.matching import lines_of, pair_lines
from rewards.models import DeliveryType, RewardOrder
from rewards.money import Money
from rewards.nudges import nudge
from rewards.orders import change_state, new_hook, open_order, write
from rewards.provider.types import OrderLine, Progress, ProviderOrder
from rewards.signals import lines_changing

State = RewardOrder.State
MOST_LINES = 25
"""At most this many lines in one order (contract, section 11)."""


# --- made ---------------------------------------------------------------------------------------------------------------
def create_batch(order_ids: Iterable[int], *, webhook: bool | None = None) -> RewardOrder | None:
    """Send these orders together: one order whose lines they become, with number and exact body, in one transaction.

    Takes those that are ready, free and were never sent or batched; when fewer than two are left there is no batch (None), and
    each is due by itself at once. So a repeat, or two callers at the same moment, batch an order once.
    Raises InvalidOrder for more than 25, or for orders of several channels, currencies or ways of delivery.
    """
    with transaction.atomic():
        now = clock.now()
        rows = RewardOrder.objects.select_for_update(of=("self",), no_key=True).select_related("product")
        rows = rows.filter(pk__in=list(order_ids), state=State.DRAFT, batch=None, line_count=None, attempt_count=0)
        lines = [line for line in rows.order_by("pk") if line.lease_until is None or line.lease_until < now]
        if len(lines) > MOST_LINES:
            raise InvalidOrder("lines", f"expected at most {MOST_LINES}.")
        if len({(line.channel_id, line.currency, line.delivery_type) for line in lines}) > 1:
            raise InvalidOrder("lines", "expected one channel, one currency and one way of delivery.")
        if len(lines) < 2:
            for line in lines:
                write(line, next_attempt_at=now)
                nudge(line.pk)
            return None
        batch = _open(lines, webhook, now)
        hit("BP2")
        for number, line in enumerate(lines, start=1):
            change_state(line, State.BATCHED, now=now, reason=f"Line {number} of {batch.po_number}.", gen=line.gen + 1,
                         batch=batch, line=number, next_attempt_at=None)  # fmt: skip
            hit("BP3")
    nudge(batch.pk)
    return batch


def _open(lines: list[RewardOrder], webhook: bool | None, now: datetime) -> RewardOrder:
    number = po_number(["batch", *(line.po_number for line in lines)])
    hook_url, hook_hash = new_hook(webhook)
    body = batch_body(number, [bytes(line.body) for line in lines], hook_url)
    approvals = json.dumps([[line.reference, line.approval_hash] for line in lines])
    return open_order(
        now,
        channel=lines[0].channel,
        reference=f"batch:{number}",
        po_number=number,
        content_hash=hashlib.sha256(json.dumps([line.content_hash for line in lines]).encode()).hexdigest(),
        approval_hash=hashlib.sha256(approvals.encode()).hexdigest(),
        product=lines[0].product,
        delivery_type=lines[0].delivery_type,
        recipient="",
        amount_minor=sum(line.amount_minor for line in lines),
        currency=lines[0].currency,
        body=body,
        body_sha256=hashlib.sha256(body).hexdigest(),
        hook_hash=hook_hash,
        line_count=len(lines),
        expected_cost_minor=sum(line.expected_cost_minor for line in lines),
    )


# --- it falls apart -----------------------------------------------------------------------------------------------------
def fall_apart(batch: RewardOrder, now: datetime, reason: str) -> None:
    """Each line becomes an order of its own again and is due at once, under the number it always had. Call it in the
    transaction that ends the batch, for only then is it proven that the batch never was and never will be ordered."""
    for line in _open_lines(batch):
        change_state(line, State.DRAFT, now=now, reason=reason, gen=line.gen + 1, next_attempt_at=now)
        hit("BP4")
        nudge(line.pk)


def _open_lines(batch: RewardOrder) -> list[RewardOrder]:
    """The lines whose fate is the batch's, locked."""
    rows = batch.lines.select_for_update(of=("self",), no_key=True).select_related("product")
    return list(rows.filter(state=State.BATCHED).order_by("pk"))


def _changing(batch: RewardOrder) -> list[RewardOrder]:
    """The same, and receivers have locked what they have for each of them."""
    lines = _open_lines(batch)
    lines_changing.send(sender=RewardOrder, order=batch)
    return lines


# --- the provider has it ------------------------------------------------------------------------------------------------
def note_accepted(batch: RewardOrder) -> None:
    """The provider has the order, so its lines were sent when it was: they never go out by themselves again."""
    batch.lines.filter(state=State.BATCHED, first_sent_at=None).update(first_sent_at=batch.first_sent_at)


def issue_lines(batch: RewardOrder, found: ProviderOrder, told: dict) -> bool:
    """Complete every line that `found` reports as issued; False, and nothing written, where it does not say which those are.

    What is charged for them is split over them to the cent. A line that is issued already is left alone.
    """
    ours = lines_of(batch)
    paired = pair_lines(ours, found) if found.lines else {line.pk: OrderLine(progress=found.word) for line in ours}
    if paired is None:
        return False
    issued = {pk: line for pk, line in paired.items() if line.progress == Progress.SUCCESS}
    links = [claim.link for line in issued.values() for claim in line.claims if claim.link]
    done = [line for line in ours if line.state == State.COMPLETED]
    known = known_links(done)
    fresh = [claim.link for line in ours if line.state == State.BATCHED and line.pk in issued
             for claim in issued[line.pk].claims if claim.link]  # fmt: skip
    if len(set(links)) < len(links) or known & set(fresh):
        return False  # one link for two people, or one that somebody has already
    due = [line for line in _changing(batch) if line.pk in issued]
    costs = split_cost(due, {line.pk: issued[line.pk].cost for line in due if issued[line.pk].quantity in (None, 1)})
    for line in due:
        store_cards(line, issued[line.pk].claims, told["now"])
        _end(batch, line, State.COMPLETED, told, cost_minor=costs.get(line.pk), provider_status=issued[line.pk].status,
             provider_order_id=f"{found.id[:190]}#{line.line}", known_since=batch.known_since or told["now"])  # fmt: skip
        hit("BP5")
    return True


def links_missing(batch: RewardOrder, found: ProviderOrder) -> bool:
    """Whether a line that should come with a claim link is done without one."""
    if batch.delivery_type != DeliveryType.LINKS:
        return False
    done = [line for line in found.lines if line.progress == Progress.SUCCESS]
    return not found.lines or any(not any(claim.link for claim in line.claims) for line in done)


def split_cost(lines: list[RewardOrder], costs: dict[int, Decimal | None]) -> dict[int, int]:
    """{pk: minor units}: the sum of the reported costs rounded once, divided by largest remainder so that the parts are the sum.

    Empty unless every line's cost is reported: then what was expected stands, as for an order of one card.
    """
    if not lines or any(costs.get(line.pk) is None for line in lines):
        return {}
    currency = lines[0].currency
    exact = {line.pk: Money.unrounded(costs[line.pk], currency) for line in lines}
    total = Money.from_decimal(sum(costs[line.pk] for line in lines), currency).minor
    parts = {pk: int(minor // 1) for pk, minor in exact.items()}
    by_remainder = sorted(exact, key=lambda pk: (parts[pk] - exact[pk], pk))
    for pk in by_remainder[: total - sum(parts.values())]:
        parts[pk] += 1
    return parts


# --- a person's final answer --------------------------------------------------------------------------------------------
def end_lines(batch: RewardOrder, new: str, told: dict, provider_order_id: str = "") -> bool:
    """What the two people said of the batch holds for every line that is still open. Whether some line was issued, ever."""
    for line in _changing(batch):
        known = {"provider_order_id": f"{provider_order_id[:190]}#{line.line}", "known_since": told["now"]}
        _end(batch, line, new, told, **(known if new == State.COMPLETED else {"last_problem": told["reason"][:300]}))
    return batch.lines.filter(state=State.COMPLETED).exists()


def _end(batch: RewardOrder, line: RewardOrder, new: str, told: dict, **fields) -> None:
    sent = {} if line.first_sent_at else {"first_sent_at": batch.first_sent_at}
    change_state(line, new, gen=line.gen + 1, **sent, **told, **fields)
