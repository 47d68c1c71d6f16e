"""Build payouts: what is due becomes cards that await approval."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.earnings.models import Participation
from incentives.ledger.errors import InsufficientFunds
from incentives.payouts.errors import CannotBuild
from incentives.payouts.models import Hold, Payout, PayoutEarning
from incentives.payouts.policies import DEFAULT_STEPS, active_policies, flat, policy_for, unconfirmed_editors
from incentives.payouts.services import options, states
from incentives.payouts.services.approve import approve_automatically
from incentives.payouts.services.batches import send_together
from incentives.payouts.services.netting import netting_of
from incentives.payouts.services.recovery import adjust_recoverable
from incentives.payouts.services.risk import Found, found_in, refresh_contact_keys, risks_of
from incentives.programs.models import Program
from rewards import selectors as catalogue
from rewards.money import Money

EXPIRES_AFTER = timedelta(days=30)
CARDS_AT_ONCE = 50
"""At most this many cards for one participant in one build; the rest follows with the next."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A participant who gets nothing from this build, and why in words."""

    participant: object
    due: Money
    code: str
    message: str


@dataclass(slots=True)
class BuildResult:
    """What a build made and what it left."""

    payouts: list[Payout] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    carried_minor: int = 0

    @property
    def total_minor(self) -> int:
        return sum(payout.amount_minor for payout in self.payouts)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the program says about paying: read once per build."""

    program: Program
    wanted: object
    """Product codes in the definition's order, or "any"."""
    products: list
    """The orderable ones among them; the first is sent where nobody chooses."""
    delivery_type: str
    channel: str
    minimum: Money
    hold_days: int
    until: datetime | None = None
    """What was earned later is not paid yet; None pays everything."""
    choose_days: int = options.CHOOSE_WITHIN_DAYS

    @property
    def product(self):
        """What cards are cut by, and the default."""
        return self.products[0]


def build_payouts(
    *, program: Program, actor=None, participations: Iterable[Participation] | None = None
) -> BuildResult:
    """Build payouts for everything due in `program` (or only for `participations`).

    `actor` None means Laurel itself (instant programs). One card per payout; what no card can represent, or is below the
    program's minimum, is carried. A budget without room gives payouts with a funding hold: nothing is reserved and
    approving tries again. A repeat builds nothing, because nothing is due any more.
    Raises: NotAllowed, CannotBuild (no budget, paused, no delivery, product not orderable).
    """
    if actor is not None and not actor.can("payouts.build"):
        raise NotAllowed("Only a program manager may build payouts.")
    plan = plan_for(program)
    if participations is None:
        participations = program.participations.filter(earned_minor__gt=0).order_by("pk")
    result = BuildResult()
    refresh_contact_keys()
    for participation in participations:
        build_one(plan, participation.pk, actor, result)
    send_together(result.payouts)
    return result


def plan_for(
    program: Program, cutoff: datetime | None = None, *, definition: dict | None = None, orderable=None
) -> Plan:
    """What to pay with, and of what was earned up to `cutoff` (None: now). Raises CannotBuild naming what is missing and
    where to set it. Who asks for many programs gives what it has read for all: the definitions that govern now, and a
    function from currency and delivery type to the products that may be ordered."""
    if program.status not in (Program.Status.ACTIVE, Program.Status.CLOSING, Program.Status.CLOSED):
        raise CannotBuild(
            f"{program} is {program.get_status_display().lower()}; only a running or closed program pays."
        )
    if program.budget is None:
        raise CannotBuild(f"{program} has no budget. Choose one on the program's page.")
    if program.budget.currency != program.currency:
        raise CannotBuild(f"{program} pays {program.currency}, its budget holds {program.budget.currency}.")
    definition = program.current_definition if definition is None else definition
    delivery, payout = definition.get("delivery"), definition.get("payout") or {}
    if not delivery:
        raise CannotBuild(f"{program} names no delivery. Add one in its definition.")
    return Plan(
        program=program,
        wanted=delivery.get("products", "any"),
        products=_products(program, delivery, orderable),
        delivery_type=delivery["type"],
        channel=delivery.get("channel") or "email",
        minimum=Money.from_decimal(Decimal(payout.get("minimum") or "0"), program.currency),
        hold_days=(days := int(payout.get("hold_days") or 0)),
        until=_until(days, cutoff),
        choose_days=options.days_to_choose(delivery),
    )


def _until(hold_days: int, cutoff: datetime | None) -> datetime | None:
    """Up to when something must have been earned: the cutoff (now, without one) less the days it is held."""
    if not hold_days and cutoff is None:
        return None
    return (cutoff or timezone.now()) - timedelta(days=hold_days)


def _products(program: Program, delivery: dict, orderable_products) -> list:
    """The cards that may be sent, the default first."""
    wanted = delivery.get("products", "any")
    if found := options.orderable(program.currency, delivery["type"], wanted, orderable_products):
        return found
    names = "any product" if wanted == "any" else ", ".join(wanted)
    raise CannotBuild(f"The catalogue has no orderable {names} in {program.currency} for {delivery['type']}.")


def build_one(plan: Plan, participation_id: int, actor, result: BuildResult) -> None:
    """Build for one participation in one transaction, so that a refusal for one leaves the others alone."""
    with transaction.atomic():
        participation = (
            Participation.objects.select_for_update(of=("self",), no_key=True)
            .select_related("participant", "program")
            .get(pk=participation_id)
        )
        adjust_recoverable(participation, kind="earned_again")
        netting = netting_of(participation, until=plan.until)
        due = Money(netting.due, plan.program.currency)
        if due.minor <= 0:
            return
        if problem := obstacle(plan, participation.participant, due):
            result.skipped.append(Skipped(participation.participant, due, *problem))
            return
        sources = netting.sources()
        cards = cards_for(plan, due)
        together = Money(sum(card.minor for card in cards), due.currency)
        for value in cards:
            result.payouts.append(_submit(plan, participation, value, together, sources, actor))
        result.carried_minor += (due - together).minor


def cards_for(plan: Plan, due: Money) -> list[Money]:
    """The cards that represent `due`, the largest first; what none can represent is left."""
    cards: list[Money] = []
    while len(cards) < CARDS_AT_ONCE and (value := catalogue.card_value_for(plan.product, due)):
        cards.append(value)
        due = due - value
    return cards


def obstacle(plan: Plan, participant, due: Money) -> tuple[str, str] | None:
    """(code, why in words) when this participant gets nothing now, else None."""
    if not participant.active:
        return "inactive", "The participant is inactive; nothing is paid until somebody decides."
    if due < plan.minimum:
        return "below_minimum", f"{due} is below the program's minimum of {plan.minimum} and is carried."
    if plan.delivery_type == "PhysicalShipment":
        return "no_address", "Physical cards need a postal address, which is not collected yet."
    if catalogue.card_value_for(plan.product, due) is None:
        return "below_smallest_card", f"{due} is less than the smallest {plan.product.name} card and is carried."
    return None


def _submit(
    plan: Plan, participation: Participation, value: Money, together: Money, sources: list[list], actor
) -> Payout:
    """`together`: all cards of this build for the participant. Policies go by it, so that a large amount does not pass as
    several small cards."""
    product, preferred = options.first_product(plan, participation.participant, value)
    payout = _new_payout(plan, participation, value, product, actor)
    _allocate(payout, sources)
    options.ask(payout, plan, preferred=preferred)
    if editors := unconfirmed_editors():
        payout.policy_editors.add(*editors)
    audit.record("payout.submitted", payout, actor=actor, after={"amount": str(value), "product": payout.product_code})
    found = found_in(payout)
    for reason in found:
        Hold.objects.create(payout=payout, kind=reason.kind, reason=reason.reason, evidence=reason.evidence)
    policy = _apply_policy(payout, together, found)
    _reserve_or_hold(payout, actor)
    if not payout.steps and not payout.holds.filter(lifted_at__isnull=True).exists():
        approve_automatically(payout, policy.name)
    return payout


def _apply_policy(payout: Payout, together: Money, found: list[Found]):
    """Fix the steps. Where a hold needs a person anyway, nothing is approved by itself: one person of finance decides."""
    policy = policy_for(
        active_policies(),
        program_id=payout.program_id,
        participant_type=payout.participant.type,
        amount_minor=together.minor,
        currency=together.currency,
        risks=risks_of(payout, found),
    )
    if policy is not None:
        payout.steps = flat(policy.steps)
        payout.batch_lines = policy.batch_lines
        payout.escalate_after_hours = policy.escalate_after_hours
        payout.escalate_to = policy.escalate_to or None
    if policy is None or (not payout.steps and any(reason.kind not in Hold.BY_ITSELF for reason in found)):
        payout.steps = DEFAULT_STEPS
    payout.save(update_fields=["steps", "batch_lines", "escalate_after_hours", "escalate_to"])
    return policy


def _new_payout(plan: Plan, participation: Participation, value: Money, product, actor) -> Payout:
    participant = participation.participant
    by_sms = plan.channel == "sms"
    digital = plan.delivery_type == "DigitalDelivery"
    payout = Payout(
        participation=participation,
        program=plan.program,
        participant=participant,
        budget=plan.program.budget,
        n=(participation.payouts.aggregate(last=Max("n"))["last"] or 0) + 1,
        amount_minor=value.minor,
        currency=value.currency,
        product_code=product.product_id,
        product_name=product.name,
        delivery_type=plan.delivery_type,
        recipient_name=participant.name,
        recipient_email=participant.email if digital and not by_sms else "",
        recipient_phone=participant.phone if digital and by_sms else "",
        submitted_by=actor,
        expires_at=timezone.now() + EXPIRES_AFTER,
    )
    payout.content_hash = content_hash(payout)
    payout.save(force_insert=True)
    return payout


def content_hash(payout: Payout) -> str:
    """SHA-256 over what an approver decides on. The order is refused when it no longer matches."""
    content = [
        str(payout.public_id),
        payout.participation_id,
        payout.n,
        payout.amount_minor,
        payout.currency,
        payout.product_code,
        payout.delivery_type,
        payout.recipient_name,
        payout.recipient_email,
        payout.recipient_phone,
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _allocate(payout: Payout, sources: list[list]) -> None:
    """Take this payout's amount from `sources`, which shrink with it: all corrections, then the oldest first."""
    need, rows = payout.amount_minor, []
    for row in sources:
        pk, left = row
        take = left if left < 0 else min(left, need)
        if take:
            rows.append(PayoutEarning(payout=payout, earning_id=pk, amount_minor=take))
            need -= take
            row[1] -= take
        if need == 0 and left > 0:
            break
    if need:
        raise RuntimeError(f"payout of {payout.amount} is not covered by earnings: {need} minor units missing")
    PayoutEarning.objects.bulk_create(rows, batch_size=500)


def _reserve_or_hold(payout: Payout, actor) -> None:
    try:
        with transaction.atomic():
            states.reserve(payout, actor=actor)
    except InsufficientFunds as exc:
        Hold.objects.create(payout=payout, kind=Hold.Kind.FUNDING, reason=exc.user_message[:300])
