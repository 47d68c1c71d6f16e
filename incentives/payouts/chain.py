"""What became of an earning line's money: the payouts that pay it, their approvals, holds, orders and cards."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.earnings import chain as earned
from incentives.earnings.models import Earning
from incentives.payouts import wording
from incentives.payouts.models import Approval, Hold, Payout, PayoutEarning
from incentives.programs.models import Program
from rewards.models import RewardOrder
from rewards.money import Money

S = Payout.Status
PLAIN_HOLDS = {
    Hold.Kind.FUNDING: _("It waits until the budget has room. Nothing is lost."),
    Hold.Kind.CONTACT: _("It waits because an address is missing. Tell your program manager."),
    Hold.Kind.CHOICE: _("It waits until you have chosen your reward."),
    Hold.Kind.CONTACT_CHANGED: _("It waits because your address changed lately; somebody checks it first."),
    Hold.Kind.SAME_CONTACT: _("It waits because an address belongs to two people; somebody checks it first."),
    Hold.Kind.REVIEW: _("It waits because somebody takes a closer look at it."),
}


@dataclass(frozen=True, slots=True)
class Decided:
    """One approval step: `by` and `reason` are for staff."""

    step: str
    decision: str
    at: datetime
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Why it waits, or waited until `lifted`."""

    kind: str
    words: str
    at: datetime
    lifted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """The order at the provider: its number is for staff, and a claim link is never here."""

    words: str
    ordered_at: datetime
    issued_at: datetime | None
    number: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Paid:
    """How much of the line one payout pays (negative: takes back), and where that payout stands."""

    payout: Payout
    amount: Money
    live: bool
    status: str
    label: str
    words: str
    approvals: list[Decided]
    waits_for: str
    holds: list[Held]
    card: Card | None


@dataclass(frozen=True, slots=True)
class Trail:
    """`on_payouts` is what live payouts pay of the line; `open` is still to be paid (negative: to be taken back)."""

    payouts: list[Paid]
    on_payouts: Money
    open: Money
    open_words: str


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole chain: what was earned and what became of it."""

    earned: earned.Chain
    money: Trail | None
    own: bool = False
    extra: dict = field(default_factory=dict)


def whole_chain(earning: Earning, *, own: bool = False, money: bool = True) -> Whole:
    """From the CRM record to the card. `own`: as the participant may read it; `money` False leaves the payouts out, for
    who may not see them. A bounded number of queries."""
    chain = earned.chain_of(earning, own=own)
    return Whole(chain, trail_of(chain, own=own) if money else None, own)


def trail_of(chain: earned.Chain, *, own: bool = False) -> Trail:
    rows = PayoutEarning.objects.filter(earning__in=[item.earning for item in chain.postings])
    sums: dict[int, int] = defaultdict(int)
    for pk, minor in rows.values_list("payout", "amount_minor"):
        sums[pk] += minor
    payouts = Payout.objects.filter(pk__in=sums).select_related("order__product", "participant", "program", "choice")
    if own:  # as on their other pages: what was taken back before anybody decided is not theirs to see
        payouts = payouts.exclude(status=S.CANCELLED, order__isnull=True)
    found = list(payouts.order_by("pk").prefetch_related("approvals", "holds", "order__attempts"))
    told = [_paid(payout, Money(sums[payout.pk], payout.currency), own) for payout in found]
    currency = chain.amount.currency
    live = Money(sum(item.amount.minor for item in told if item.live), currency)
    return Trail(told, live, chain.amount - live, _open_words(chain, chain.amount - live))


def _paid(payout: Payout, amount: Money, own: bool) -> Paid:
    approvals = list(payout.approvals.all())
    holds = [hold for hold in payout.holds.all() if not own or hold.lifted_at is None]
    status, label, words = wording.payout_for_recipient(payout)
    if not own:
        status, label, words = payout.status, str(payout.get_status_display()), payout.outcome
    return Paid(
        payout=payout,
        amount=amount,
        live=payout.status in Payout.LIVE,
        status=status,
        label=label,
        words=words,
        approvals=[_decided(payout, approval, own) for approval in approvals],
        waits_for=_waits_for(payout, len(approvals), own),
        holds=[_held(hold, own) for hold in holds],
        card=_card(payout.order, own) if payout.order else None,
    )


def _decided(payout: Payout, approval: Approval, own: bool) -> Decided:
    known = approval.step < len(payout.steps)
    step = wording.steps_text(payout.steps[approval.step : approval.step + 1]) if known else wording.steps_text([])
    decision = str(approval.get_decision_display())
    if own:
        return Decided("", decision, approval.at)
    return Decided(step, decision, approval.at, approval.actor_name, approval.reason)


def _waits_for(payout: Payout, given: int, own: bool) -> str:
    if payout.status != S.SUBMITTED or given >= len(payout.steps):
        return ""
    return gettext("Somebody checks it before it is sent.") if own else wording.steps_text(payout.steps[given:])


def _held(hold: Hold, own: bool) -> Held:
    words = str(PLAIN_HOLDS.get(hold.kind, hold.get_kind_display())) if own else hold.reason
    return Held(str(hold.get_kind_display()), words, hold.placed_at, hold.lifted_at)


def _card(order: RewardOrder, own: bool) -> Card:
    if own:
        return Card("", order.created_at, order.finished_at if order.state == order.State.COMPLETED else None)
    return Card(wording.order_in_words(order), order.created_at, order.finished_at, order.po_number, order.state)


def _open_words(chain: earned.Chain, left: Money) -> str:
    """When the rest is paid, or how too much is taken back, by the program's policy."""
    rule = chain.program.current_definition.get("payout") or {}
    if left.minor < 0:
        return {
            "next_payout": gettext("It is taken from the next payout."),
            "write_off": gettext("It is written off when finance approves it."),
            "none": gettext("What was paid stays paid."),
        }[rule.get("recovery") or "next_payout"]
    if left.minor == 0:
        return ""
    if chain.program.status == Program.Status.PAUSED:
        return gettext("The program is paused; nothing is paid until it is resumed.")
    words = {
        "instant": gettext("It is paid with the next payout, as soon as something is due."),
        "weekly": gettext("It is paid with the payouts of the week."),
        "monthly": gettext("It is paid with the payouts of the month."),
        "at_close": gettext("It is paid when the program has closed."),
    }[rule.get("when") or "at_close"]
    if days := int(rule.get("hold_days") or 0):
        words += " " + gettext("Every earning waits %(n)s days first.") % {"n": days}
    return words
