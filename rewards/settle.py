"""From what a call proved to the order's next state: one short transaction, fenced by the order's generation.

The table of outcomes stands in docs/provider.md; every branch here is one of its lines.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from rewards import channel as channels
from rewards import clock, conf, tokens
from rewards.batches import fall_apart, issue_lines, links_missing, note_accepted
from rewards.calls import Finding, Found, Mismatch, Missing, Problem
from rewards.cards import store_cards
from rewards.failpoints import hit
from rewards.models import Channel, DeliveryType, LookNow, OrderAttempt, RewardOrder
from rewards.money import Money
from rewards.orders import change_state, note, write
from rewards.provider.errors import (
    AccessOff,
    NotFound,
    NotSent,
    OutcomeUnknown,
    ProviderError,
    Refused,
    SlowDown,
    TokenInvalid,
    Unfunded,
)
from rewards.provider.types import Progress, ProviderOrder

log = logging.getLogger(__name__)
State, Outcome = RewardOrder.State, OrderAttempt.Outcome

RECEIVER_PAUSE = timedelta(seconds=30)
EMPTY_POLLS = 5
OUTCOMES = {
    Refused: Outcome.REFUSED,
    Unfunded: Outcome.UNFUNDED,
    NotSent: Outcome.NOT_SENT,
    TokenInvalid: Outcome.TOKEN_INVALID,
    AccessOff: Outcome.ACCESS_OFF,
    SlowDown: Outcome.SLOW_DOWN,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on one order until its lease ends. `attempt_id` only when this is a POST."""

    order: RewardOrder
    channel: Channel
    claimed_at: datetime
    attempt_id: int | None = None
    token_generation: int = 0

    @property
    def gen(self) -> int:
        return self.order.gen


def settle(claim: Claim, finding: Finding) -> None:
    """Record what was proved. When somebody took the order over, only the attempt's own answer is kept as evidence.

    When a receiver of `order_changed` raises, everything is undone and the order is tried again later.
    """
    try:
        with transaction.atomic():
            _answer(claim, finding)
            order = _mine(claim)
            if order is None:
                log.warning("order %s was taken over; the late answer is kept as evidence", claim.order.pk)
                return
            _apply(order, claim, finding, clock.now())
            if order.hook_hash:
                LookNow.objects.filter(order_id=order.pk, received_at__lte=claim.claimed_at).delete()
            hit("CP11")
    except IntegrityError as exc:
        _collision(claim, finding, exc)
    except Exception:
        log.exception("order %s could not be settled; it will be tried again", claim.order.pk)
        postpone(claim, finding)
    hit("CP12")


def _mine(claim: Claim) -> RewardOrder | None:
    """The locked row while the claim still holds it."""
    rows = RewardOrder.objects.select_for_update(of=("self",), no_key=True).select_related("product")
    return rows.filter(pk=claim.order.pk, gen=claim.gen).first()


def _answer(claim: Claim, finding: Finding) -> None:
    """Close this claim's attempt with what came back; a row closed once never changes."""
    if claim.attempt_id is None:
        return
    outcome, status, evidence = _outcome(finding)
    OrderAttempt.objects.filter(pk=claim.attempt_id, outcome="").update(
        outcome=outcome, status_code=status, evidence=evidence[:4000], ended_at=clock.now()
    )


def _outcome(finding: Finding) -> tuple[str, int | None, str]:
    match finding:
        case Found(how="created"):
            return Outcome.ACCEPTED, 201, f"provider order {finding.order.id}"
        case Found():
            return Outcome.CONFLICT, 409, f"provider order {finding.order.id} ({finding.how})"
        case Mismatch():
            return Outcome.UNKNOWN, None, "; ".join(finding.problems)
        case Missing():
            return Outcome.CONFLICT, 409, "the number is known there, the order was not found"
        case Problem(error=error, posted=True):
            return OUTCOMES.get(type(error), Outcome.UNKNOWN), error.status_code, f"{error}. {error.evidence}"
        case Problem(error=error):
            return Outcome.UNKNOWN, error.status_code, f"{error}. {error.evidence}"
    raise TypeError(finding)


def postpone(claim: Claim, finding: Finding | None = None, pause: timedelta = RECEIVER_PAUSE) -> None:
    """Give the order back unchanged, to be tried again after a pause."""
    with transaction.atomic():
        if finding is not None:
            _answer(claim, finding)
        RewardOrder.objects.filter(pk=claim.order.pk, gen=claim.gen).update(
            lease_until=None,
            next_attempt_at=clock.now() + pause,
            last_problem="could not be settled; tried again later",
        )


def _collision(claim: Claim, finding: Finding, exc: IntegrityError) -> None:
    """A constraint refused the settlement. The provider's id belonging to two of our orders is a mismatch."""
    taken = isinstance(finding, Found) and (
        RewardOrder.objects.filter(provider_order_id=finding.order.id).exclude(pk=claim.order.pk).exists()
    )
    if taken:
        settle(claim, Mismatch(("its id belongs to another order of ours",), (finding.order.id,)))
    else:
        log.exception("order %s could not be settled", claim.order.pk, exc_info=exc)
        postpone(claim, finding)


# --- the table --------------------------------------------------------------------------------------------------------
def _apply(order: RewardOrder, claim: Claim, finding: Finding, now: datetime) -> None:
    match finding:
        case Found():
            channels.auth_works(claim.channel)
            take_provider_order(order, finding.order, now, how=finding.how)
        case Mismatch():
            _mismatch(order, claim, finding, now)
        case Missing():
            _missing(order, finding, now)
        case Problem(error=TokenInvalid() as error):
            _token_refused(order, claim, error, now)
        case Problem(error=AccessOff() as error):
            channels.stop(claim.channel, "access_off", str(error))
            _again(order, now, error)
        case Problem(error=SlowDown() as error):
            _again(order, now, error, at=channels.slow_down(claim.channel, error.retry_after))
        case Problem(error=error, posted=True):
            _post_problem(order, claim, error, now)
        case Problem(error=error):
            _read_problem(order, error, now)


def _post_problem(order: RewardOrder, claim: Claim, error: ProviderError, now: datetime) -> None:
    match error:
        case Refused():
            _refused(order, error, now)
        case Unfunded():
            _unfunded(order, claim, error, now)
        case NotFound():
            channels.stop(claim.channel, "wrong_address", "POST /v1/Orders answered 404: check E2R_BASE_URL.")
            _again(order, now, error)
        case _:  # NotSent, OutcomeUnknown
            _again(order, now, error)


def _refused(order: RewardOrder, error: ProviderError, now: datetime) -> None:
    """Rule 6: a refusal is final only when every earlier attempt is proven to have made no order."""
    detail = {"answer": error.evidence, "status": error.status_code}
    if is_ambiguous(order):
        to_review(
            order, "refused_after_unknown", "Refused now, but an earlier attempt may have been accepted.", now, detail
        )
    else:
        change_state(
            order,
            State.REJECTED,
            now=now,
            reason=str(error),
            evidence=detail,
            lease_until=None,
            last_problem=str(error)[:300],
        )
        if order.is_batch:
            fall_apart(order, now, f"The provider refused the batch {order.po_number}; each card goes by itself.")
        hit("CP17")


def is_ambiguous(order: RewardOrder) -> bool:
    """Whether some attempt so far may have made an order at the provider."""
    return order.attempts.exclude(outcome__in=OrderAttempt.PROVEN_NOT_ORDERED).exists()


def _unfunded(order: RewardOrder, claim: Claim, error: ProviderError, now: datetime) -> None:
    """422: park, and pause the channel; unless others are paid meanwhile, for then it is not about money."""
    if _others_were_paid(order):
        to_review(order, "unfunded_alone", f"422 again although other orders went through: {error}", now)
        return
    channels.pause_for_funding(claim.channel, str(error))
    change_state(
        order, State.UNFUNDED, now=now, reason=str(error), evidence={"answer": error.evidence}, lease_until=None,
        next_attempt_at=now, last_problem=str(error)[:300],
    )  # fmt: skip


def _others_were_paid(order: RewardOrder) -> bool:
    """Whether, since this order's previous 422, another order of at least its value was accepted."""
    earlier = order.attempts.filter(outcome=Outcome.UNFUNDED).order_by("-number")[1:2]
    if not earlier:
        return False
    accepted = OrderAttempt.objects.filter(outcome=Outcome.ACCEPTED, started_at__gt=earlier[0].started_at)
    return accepted.filter(order__amount_minor__gte=order.amount_minor).exclude(order=order).exists()


def _token_refused(order: RewardOrder, claim: Claim, error: ProviderError, now: datetime) -> None:
    """401: drop the token and repeat once at once; a second 401 in a row waits and counts against the credentials."""
    tokens.invalidate(claim.channel, claim.token_generation)
    if order.last_problem.startswith("401"):
        channels.count_auth_failure(claim.channel, "The provider refuses every token (401).")
        _again(order, now, error)
    else:
        _again(order, now, error, at=now)
    write(order, last_problem=f"401 {error}"[:300])


def _again(order: RewardOrder, now: datetime, error: ProviderError, at: datetime | None = None) -> None:
    """Same number, same bytes, later; a poll too."""
    counted = order.poll_count if order.state == State.PENDING else order.window_attempts
    at = at or now + timedelta(seconds=retry_wait(counted))
    write(order, lease_until=None, next_attempt_at=at, last_problem=str(error)[:300])


def retry_wait(count: int) -> float:
    """Seconds: full jitter below 2 s * 2^n, at most 15 minutes."""
    return random.uniform(0.2, min(conf.RETRY_CAP_SECONDS, conf.RETRY_BASE_SECONDS * 2 ** min(count, 20)))


def _missing(order: RewardOrder, finding: Missing, now: datetime) -> None:
    """Absence proves nothing. Inside the window the same number goes out again; after it a person looks."""
    if finding.conflict:
        _again(order, now, OutcomeUnknown("409, but the order was not found yet"))
    else:
        to_review(order, "too_old", "Unknown for too long, and not in the provider's list (which proves nothing).", now)


def _mismatch(order: RewardOrder, claim: Claim, finding: Mismatch, now: datetime) -> None:
    """An invariant tripped: this order to a person, and the channel stops rather than go on (rule 10)."""
    reason = "; ".join(finding.problems)
    channels.stop(claim.channel, "mismatch", f"{order.po_number}: {reason}")
    to_review(
        order, "mismatch", reason, now, {"problems": list(finding.problems), "provider_ids": list(finding.provider_ids)}
    )


def to_review(order, code: str, reason: str, now: datetime, evidence: dict | None = None, actor_name: str = "") -> None:
    """A person decides. The money stays committed until then."""
    change_state(
        order, State.REVIEW, now=now, code=code, reason=reason, evidence=evidence, actor_name=actor_name,
        review_code=code, lease_until=None, next_attempt_at=None, last_problem=reason[:300],
    )  # fmt: skip


# --- an order the provider has ----------------------------------------------------------------------------------------
def take_provider_order(order: RewardOrder, found: ProviderOrder, now: datetime, *, how: str, actor_name: str = "",
                        reason: str = "") -> None:  # fmt: skip
    """Bind our order to the provider's and follow its progress. `found` was compared already."""
    facts = {
        "provider_order_id": found.id,
        "provider_status": found.status,
        "known_since": order.known_since or now,
        "lease_until": None,
        "last_problem": "",
        **_cost(order, found),
    }
    if how == "polled":
        facts |= {"polled_at": now, "poll_count": order.poll_count + 1}
    told = {
        "now": now,
        "actor_name": actor_name,
        "reason": reason,
        "evidence": {"provider_order": found.id, "how": how},
    }
    if order.is_batch:
        _take_batch(order, found, facts, told)
        return
    empty = order.delivery_type == DeliveryType.LINKS and not any(claim.link for claim in found.claims)
    if found.progress == Progress.SUCCESS and not empty:
        store_cards(order, found.claims, now)
        change_state(order, State.COMPLETED, **told, **facts)
    elif found.progress == Progress.FAILURE:
        told["evidence"]["status"] = found.status
        told["reason"] = f"The provider reports {found.status or 'a failed line'}."
        change_state(order, State.REVIEW, code="provider_failed", review_code="provider_failed", next_attempt_at=None,
                     **told, **facts)  # fmt: skip
    else:
        _in_progress(order, found, facts, told, empty)


def _take_batch(order: RewardOrder, found: ProviderOrder, facts: dict, told: dict) -> None:
    """As above, for an order of several lines. Where some lines failed, those issued are settled and a person decides about the
    rest; until each line is done or failed by its own word, all of them wait."""
    done, partly = found.progress == Progress.SUCCESS, found.partly_issued
    failed = found.word == Progress.FAILURE or all(line.progress == Progress.FAILURE for line in found.lines)
    empty = (done or partly) and links_missing(order, found)
    if empty or not (done or partly or (failed and found.progress == Progress.FAILURE)):
        _in_progress(order, found, facts, told, empty)
        note_accepted(order)
        return
    code, reason = "provider_failed", f"The provider reports {found.status or 'a failed line'}."
    if (done or partly) and not issue_lines(order, found, told):
        done, code, reason = False, "lines_unclear", "The provider's answer does not say which of its lines is whose."
    elif partly:
        reason = "The provider reports that some lines failed. Those it issued are settled."
    facts |= batch_cost(order)
    if done:
        change_state(order, State.COMPLETED, **told, **facts)
        return
    told["reason"], told["evidence"]["status"] = reason, found.status
    facts |= {"review_code": code, "next_attempt_at": None, "last_problem": reason}
    if order.state == State.REVIEW:  # a person has bound it; what is left of it still needs one
        write(order, **facts)
        note(order, State.REVIEW, code=code, **told)
    else:
        change_state(order, State.REVIEW, code=code, **told, **facts)
    note_accepted(order)


def _in_progress(order: RewardOrder, found: ProviderOrder, facts: dict, told: dict, empty: bool) -> None:
    now = told["now"]
    if found.progress == Progress.SUCCESS and empty:
        facts["empty_polls"] = order.empty_polls + 1
    if order.state == State.PENDING:
        write(order, **facts)
    else:
        change_state(order, State.PENDING, **told, **facts)
    if order.empty_polls > EMPTY_POLLS:
        to_review(order, "no_claim_link", "Done, says the provider, but there is no claim link.", now)
    elif (at := next_poll(order, now)) is None:
        to_review(order, "pending_too_long", f"Still {found.status or 'without status'} after seven days.", now)
    else:
        write(order, next_attempt_at=at)


def next_poll(order: RewardOrder, now: datetime) -> datetime | None:
    """When to look again (contract 7.1): soon at first, then hourly for a day, then every 6 hours for a week; then None."""
    age = (now - order.known_since).total_seconds()
    if age > conf.POLL_GIVE_UP_AFTER:
        return None
    waits = conf.POLL_WAITS
    step = order.poll_count + (conf.BATCH_POLL_STEP if order.is_batch else 0)
    if step < len(waits):
        wait = waits[step] * (conf.POLL_SLOWDOWN_WITH_WEBHOOK if order.hook_hash else 1)
    else:
        wait = 3600 if age < conf.POLL_HOURLY_UNTIL else 6 * 3600
    return now + timedelta(seconds=wait * random.uniform(0.9, 1.1))


def batch_cost(order: RewardOrder) -> dict:
    """What was charged for the lines issued so far, where that was reported of all of them."""
    costs = list(order.lines.filter(state=State.COMPLETED).values_list("cost_minor", "expected_cost_minor", named=True))
    if not costs or any(line.cost_minor is None for line in costs):
        return {}
    differs = any(abs(line.cost_minor - line.expected_cost_minor) > 1 for line in costs)
    return {"cost_minor": sum(line.cost_minor for line in costs), "cost_differs": differs}


def _cost(order: RewardOrder, found: ProviderOrder) -> dict:
    """Book the reported cost; flag more than one cent of difference from the estimate (contract 11)."""
    if order.is_batch:  # known line by line, when they are issued
        return {}
    line = found.lines[0] if len(found.lines) == 1 else None
    if line is None or line.cost is None or line.quantity not in (None, 1):
        return {}
    cost = Money.from_decimal(line.cost, order.currency).minor
    expected = order.expected_cost_minor
    return {"cost_minor": cost, "cost_differs": expected is not None and abs(cost - expected) > 1}


def _read_problem(order: RewardOrder, error: ProviderError, now: datetime) -> None:
    """A GET that told nothing. 404 on a known id is 'not visible yet' for an hour."""
    if order.state != State.PENDING:
        _again(order, now, error)
        return
    age = (now - order.known_since).total_seconds()
    if isinstance(error, NotFound) and age > conf.NOT_VISIBLE_SECONDS:
        to_review(order, "not_visible", "The provider does not find an order it has accepted.", now)
    elif (at := next_poll(order, now)) is None:
        to_review(order, "pending_too_long", f"Could not be read for seven days: {error}", now)
    else:
        write(order, lease_until=None, next_attempt_at=at, polled_at=now, poll_count=order.poll_count + 1,
              last_problem=str(error)[:300])  # fmt: skip
