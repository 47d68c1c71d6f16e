"""What makes a new payout wait for a person: each check is a function of the payout, and `CHECKS` is the list of them.

changed        the recipient's e-mail or phone changed in the last 7 days
same contact   another participant's address reaches the same mailbox (contacts.email_key) or phone
domain         allowed domains are named (for everybody or the program) and the address has none of them
unusual        amount > 5 x median of the program's last 100 approved payouts, and > 100.00; from 5 payouts on
structuring    the third amount in 7 days that is at most 10 % below one approval policy's limit
velocity       a limit per participant or program in a day or a month is exceeded with this payout
contact        the delivery needs an e-mail address or a phone number, and none is on file
choice         several cards fit and the recipient has not chosen one (services.options)
tax            a tax form is missing at the year's threshold, or finance reviews the person (incentives.tax)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from incentives.participants.models import Participant
from incentives.payouts.contacts import allows, domain_of, email_key, looks_like, phone_key
from incentives.payouts.errors import ApproverLimit
from incentives.payouts.models import Approval, ApprovalPolicy, ContactKey, Hold, Payout, RiskRule
from incentives.payouts.services import options
from incentives.programs import terms
from incentives.tax import services as tax
from rewards.models import DeliveryType
from rewards.money import MINOR_DIGITS, Money

K = Hold.Kind
USUAL_TIMES, USUAL_OF, USUAL_FROM = 5, 100, 5
USUAL_ABOVE = 100
"""Major units: below it nothing is unusual, however small the program's amounts are."""
STRUCTURING_TIMES, STRUCTURING_DAYS, STRUCTURING_PERCENT = 3, 7, 10
SHOWN = 10
EMAIL, PHONE = "e-mail address", "mobile number"


@dataclass(frozen=True, slots=True)
class Found:
    """A reason to wait. `evidence`: ids and figures that the review page shows; never an address."""

    kind: str
    reason: str
    evidence: dict = field(default_factory=dict)


CONTACT_CHANGE_DAYS = 7
"""A recipient whose e-mail or phone changed within this many days waits for a look (reliability.md, section 3)."""


def contact_changed(payout: Payout) -> Iterable[Found]:
    changed = payout.participant.contact_changed_at
    if changed and changed > timezone.now() - timedelta(days=CONTACT_CHANGE_DAYS):
        yield Found(K.CONTACT_CHANGED, f"E-mail or phone changed on {changed:%Y-%m-%d}.", {"at": changed.isoformat()})


# --- contacts -------------------------------------------------------------------------------------------------------------
def refresh_contact_keys() -> int:
    """Bring the keys to the participants' present addresses; returns how many changed. One query where none did."""
    stale = Q(contact_key__isnull=True) | ~Q(contact_key__email=F("email")) | ~Q(contact_key__phone=F("phone"))
    rows = [
        ContactKey(participant_id=pk, email=mail, phone=phone, email_key=email_key(mail), phone_key=phone_key(phone))
        for pk, mail, phone in Participant.objects.filter(stale).order_by("pk").values_list("pk", "email", "phone")
    ]
    values = ["email", "phone", "email_key", "phone_key"]
    ContactKey.objects.bulk_create(
        rows, batch_size=500, update_conflicts=True, unique_fields=["participant"], update_fields=values
    )
    return len(rows)


def same_contact(payout: Payout) -> Iterable[Found]:
    mail, phone = email_key(payout.participant.email), phone_key(payout.participant.phone)
    same = (Q(email_key=mail) if mail else Q(pk__in=[])) | (Q(phone_key=phone) if phone else Q(pk__in=[]))
    others = ContactKey.objects.filter(same).exclude(participant=payout.participant)
    people = list(others.select_related("participant").order_by("participant")[:SHOWN])
    if people:
        names = ", ".join(key.participant.name for key in people)
        what = "E-mail" if any(key.email_key == mail for key in people) else "Phone"
        yield Found(
            K.SAME_CONTACT,
            f"{what} reaches the same person as that of {names}."[:300],
            {"participants": [str(key.participant.public_id) for key in people]},
        )


def outside_domains(payout: Payout) -> Iterable[Found]:
    if not payout.recipient_email:
        return
    rules = RiskRule.objects.filter(kind=RiskRule.Kind.DOMAIN, is_active=True)
    rules = rules.filter(Q(program__isnull=True) | Q(program=payout.program_id))
    allowed = set(rules.values_list("domain", flat=True))
    domain = domain_of(payout.recipient_email)
    if not allowed or allows(domain, allowed):
        return
    reason = f"{domain} is not among the allowed domains."
    if near := looks_like(domain, allowed):
        reason = f"{domain} is not {near}, but looks like it."
    yield Found(K.DOMAIN, reason[:300], {"domain": domain})


# --- amounts --------------------------------------------------------------------------------------------------------------
def unusual_amount(payout: Payout) -> Iterable[Found]:
    if payout.amount_minor <= USUAL_ABOVE * 10 ** MINOR_DIGITS[payout.currency]:
        return
    done = Payout.objects.filter(program=payout.program_id, order__isnull=False).order_by("-pk")
    amounts = list(done.values_list("amount_minor", flat=True)[:USUAL_OF])
    if len(amounts) < USUAL_FROM:
        return
    usual = median(amounts)
    if payout.amount_minor > USUAL_TIMES * usual:
        middle = Money(int(usual), payout.currency)
        yield Found(
            K.UNUSUAL,
            f"More than {USUAL_TIMES} times {middle}, the median of the program's last {len(amounts)} payouts.",
            {"median_minor": int(usual), "of": len(amounts)},
        )


def structuring(payout: Payout) -> Iterable[Found]:
    limits = ApprovalPolicy.objects.filter(is_active=True, currency=payout.currency, up_to_minor__isnull=False)
    for limit in sorted(set(limits.order_by().values_list("up_to_minor", flat=True))):
        least = limit * (100 - STRUCTURING_PERCENT) // 100
        if not least < payout.amount_minor <= limit:
            continue
        since = timezone.now() - timedelta(days=STRUCTURING_DAYS)
        near = Payout.objects.filter(
            participant=payout.participant_id,
            currency=payout.currency,
            created_at__gte=since,
            amount_minor__gt=least,
            amount_minor__lte=limit,
        )
        ids = [str(public_id) for public_id in near.order_by("-pk").values_list("public_id", flat=True)[:SHOWN]]
        if len(ids) >= STRUCTURING_TIMES:
            yield Found(
                K.STRUCTURING,
                f"{len(ids)} amounts in {STRUCTURING_DAYS} days just under {Money(limit, payout.currency)}, a limit of "
                "the approval policies.",
                {"payouts": ids, "limit_minor": limit},
            )
            return


# --- velocity -------------------------------------------------------------------------------------------------------------
def window_start(window: str, now: datetime) -> datetime:
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1) if window == RiskRule.Window.MONTH else day


def limits(*kinds: str, program_id: int | None) -> list[RiskRule]:
    """Limits in force, locked in id order: whoever counts against one waits for whoever counts before, and then sees what
    that one built. On SQLite one writer works at a time."""
    rows = RiskRule.objects.filter(kind__in=kinds, is_active=True)
    rows = rows.filter(Q(program__isnull=True) | Q(program=program_id))
    return list(rows.select_for_update(of=("self",), no_key=True).order_by("pk"))


def velocity(payout: Payout) -> Iterable[Found]:
    """Exceeded with this payout, which stands in the database already. The first limit exceeded speaks."""
    for limit in limits(RiskRule.Kind.PARTICIPANT, RiskRule.Kind.PROGRAM, program_id=payout.program_id):
        rows = Payout.objects.filter(status__in=Payout.LIVE, created_at__gte=window_start(limit.window, timezone.now()))
        if limit.kind == RiskRule.Kind.PARTICIPANT:
            rows = rows.filter(participant=payout.participant_id)
        if limit.kind == RiskRule.Kind.PROGRAM or limit.program_id:
            rows = rows.filter(program=payout.program_id)
        if reason := _exceeded(limit, rows, payout.currency):
            yield Found(K.VELOCITY, reason, {"rule": limit.pk})
            return


def _exceeded(limit: RiskRule, rows, currency: str) -> str:
    sums = rows.aggregate(count=Count("pk"), total=Sum("amount_minor", filter=Q(currency=limit.currency), default=0))
    if limit.most_count is not None and sums["count"] > limit.most_count:
        return f"{limit.get_kind_display()}: {sums['count']} {limit.get_window_display()}, at most {limit.most_count}."
    if limit.most_minor is not None and currency == limit.currency and sums["total"] > limit.most_minor:
        total = Money(sums["total"], limit.currency)
        return f"{limit.get_kind_display()}: {total} {limit.get_window_display()}, at most {limit.most}."
    return ""


def require_within_limits(payout: Payout, actor) -> None:
    """Call it after the actor's approval was recorded, in the same transaction. Raises ApproverLimit."""
    for limit in limits(RiskRule.Kind.APPROVER, program_id=payout.program_id):
        approved = Approval.objects.filter(
            actor=actor, decision=Approval.Decision.APPROVED, at__gte=window_start(limit.window, timezone.now())
        )
        rows = Payout.objects.filter(pk__in=approved.values("payout"))
        rows = rows.filter(program=limit.program_id) if limit.program_id else rows
        if reason := _exceeded(limit, rows, payout.currency):
            raise ApproverLimit(f"{reason} Ask another approver, or finance to change the limit.")


def terms_not_accepted(payout: Payout) -> Iterable[Found]:
    if terms.holds(payout.program, payout.participant):
        yield Found(K.TERMS, "The recipient has not accepted the program's terms.")


def contact_missing(payout: Payout) -> Iterable[Found]:
    if wanted := address_wanted(payout):
        yield Found(K.CONTACT, f"No {wanted} is on file for the recipient.", {"wanted": wanted})


def address_wanted(payout: Payout) -> str:
    """What a payout of a digital card lacks, in words; empty where nothing is missing. Which of the two it is was fixed by
    the program's definition when it was built, so without either the definition is asked."""
    if payout.delivery_type != DeliveryType.DIGITAL or payout.recipient_email or payout.recipient_phone:
        return ""
    delivery = payout.program.current_definition.get("delivery") or {}
    return PHONE if delivery.get("channel") == "sms" else EMAIL


def reward_not_chosen(payout: Payout) -> Iterable[Found]:
    choice = options.choice_of(payout)
    if choice is not None and not choice.answered:
        yield Found(K.CHOICE, options.why_open(choice), options.evidence_of(choice))


def tax_details(payout: Payout) -> Iterable[Found]:
    """Locks the recipient's tax profile, so that two programs that pay one person at once see each other."""
    if found := tax.hold_for(payout.participant, payout.amount, but=[payout.pk]):
        yield Found(found.kind, found.reason)


CHECKS: list[Callable[[Payout], Iterable[Found]]] = [
    contact_missing,
    reward_not_chosen,
    terms_not_accepted,
    contact_changed,
    same_contact,
    outside_domains,
    unusual_amount,
    structuring,
    velocity,
    tax_details,
]
"""Other parts add theirs here."""
AFTER_ADDRESS = (contact_changed, same_contact, outside_domains)
"""What an address that was missing is checked by once it is there."""


def found_in(payout: Payout) -> list[Found]:
    """Every reason why this new payout waits. Call it in the transaction that built it."""
    return [found for check in CHECKS for found in check(payout)]


def risks_of(payout: Payout, found: list[Found]) -> frozenset[str]:
    """What a policy may ask for: ApprovalPolicy.Risk values that fit this payout."""
    risks = set()
    if any(reason.kind not in Hold.BY_ITSELF for reason in found):
        risks.add(ApprovalPolicy.Risk.HOLD)
    if any(reason.kind == K.UNUSUAL for reason in found):
        risks.add(ApprovalPolicy.Risk.UNUSUAL)
    if not Payout.objects.filter(participant=payout.participant_id, status=Payout.Status.FULFILLED).exists():
        risks.add(ApprovalPolicy.Risk.NEW_RECIPIENT)
    return frozenset(str(risk) for risk in risks)
