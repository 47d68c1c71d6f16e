"""Figures of the home page and of a participant's own pages."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Case, Count, Exists, F, Min, OuterRef, Q, Sum, When
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core.models import AuditEvent, Heartbeat
from incentives.crm.models import Connection, Delivery
from incentives.disputes import selectors as disputes
from incentives.earnings.models import Earning, Participation, Scorecard
from incentives.ledger import alerts, deposits, transfers
from incentives.ledger.selectors import budget_figures
from incentives.participants.models import Participant
from incentives.payouts import selectors as payouts
from incentives.payouts.models import Approval, Hold, Payout
from incentives.portal.progress import Progress, progress_of
from incentives.programs import review
from incentives.programs.models import Program, ProgramVersion, Target
from incentives.programs.rules.parsing import parse_definition
from rewards import channel as channels
from rewards import selectors as rewards
from rewards.models import DeliveryType, RewardOrder
from rewards.money import Money

S = Payout.Status
AUTHORISED = (S.APPROVED, S.ORDERED, S.FULFILLED)
ON_ITS_WAY = (S.SUBMITTED, S.APPROVED, S.ORDERED)
SHOWN = 8
RUNNING = (Program.Status.ACTIVE, Program.Status.PAUSED, Program.Status.CLOSING)


def sums(rows) -> list[Money]:
    """Money by currency from (currency, minor units) pairs, zero left out."""
    found: dict[str, int] = defaultdict(int)
    for currency, minor in rows:
        found[currency] += minor or 0
    return [Money(minor, currency) for currency, minor in sorted(found.items()) if minor]


def month_start(now: datetime | None = None) -> datetime:
    """The first moment of this month in the reader's time zone."""
    local = timezone.localtime(now or timezone.now())
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


# --- manager ------------------------------------------------------------------------------------------------------------
def manager_home(user) -> dict:
    due = payouts.due_by_program()
    running = list(Program.objects.filter(status__in=RUNNING).select_related("budget").order_by("ends_on")[:SHOWN])
    figures = budget_figures({p.budget for p in running if p.budget})
    earned = earned_by_program(running)
    return {
        "alerts": alerts.standing_alerts(user),
        "reviews": list(review.waiting_for(user)[:SHOWN]),
        "drafts": list(Program.objects.filter(status=Program.Status.DRAFT).order_by("starts_on")[:SHOWN]),
        "disputes": disputes.waiting_for(user),
        "due": [(p, *due[p.pk]) for p in Program.objects.filter(pk__in=due).order_by("name")],
        "due_sums": sums((money.currency, money.minor) for _, money in due.values()),
        "quarantined": Delivery.objects.filter(status=Delivery.Status.QUARANTINED).count(),
        "failed": Delivery.objects.filter(status=Delivery.Status.FAILED).count(),
        "unscored": Participation.objects.filter(dirty_seq__gt=F("scored_seq")).count(),
        "running": [(p, earned.get(p.pk, Money(0, p.currency)), figures.get(p.budget_id)) for p in running],
    }


def earned_by_program(programs) -> dict[int, Money]:
    currencies = {p.pk: p.currency for p in programs}
    rows = Participation.objects.filter(program__in=currencies).order_by().values_list("program")
    return {pk: Money(total, currencies[pk]) for pk, total in rows.annotate(n=Sum("earned_minor"))}


# --- finance ------------------------------------------------------------------------------------------------------------
def finance_home(user) -> dict:
    month = month_start()
    return {
        "mine": _waiting(payouts.for_decision(Payout.objects.all(), user).filter(mine=True, held=False)),
        "held": _waiting(Payout.objects.filter(status=S.SUBMITTED).filter(_open_hold(exclude=True))),
        "unfunded": _waiting(Payout.objects.filter(status=S.SUBMITTED).filter(_open_hold())),
        "states": rewards.counts_by_state(),
        "alarms": rewards.alarms(),
        "channel": channels.current(),
        "budgets": alerts.standing_alerts(),
        "low_deposits": deposits.low_ones(),
        "transfers": list(transfers.to_decide(user)[:SHOWN]),
        "approved": _waiting(Payout.objects.filter(Exists(_approvals(month)), status__in=AUTHORISED)),
        "delivered": _waiting(Payout.objects.filter(status=S.FULFILLED, order__finished_at__gte=month)),
    }


def _open_hold(exclude: bool = False):
    holds = Hold.objects.filter(payout=OuterRef("pk"), lifted_at__isnull=True)
    funding = {"kind": Hold.Kind.FUNDING}
    return Exists(holds.exclude(**funding) if exclude else holds.filter(**funding))


def _approvals(since: datetime):
    return Approval.objects.filter(payout=OuterRef("pk"), decision=Approval.Decision.APPROVED, at__gte=since)


def _waiting(rows) -> dict:
    """Count, sums by currency and the oldest, of payouts."""
    found = list(
        rows.order_by().values("currency").annotate(n=Count("pk"), sum=Sum("amount_minor"), old=Min("created_at"))
    )
    return {
        "count": sum(row["n"] for row in found),
        "sums": sums((row["currency"], row["sum"]) for row in found),
        "oldest": min((row["old"] for row in found), default=None),
    }


# --- administrator, auditor ---------------------------------------------------------------------------------------------
def administrator_home() -> dict:
    day = timezone.now() - timedelta(days=1)
    troubled = Count(
        "deliveries", filter=Q(deliveries__status__in=(Delivery.Status.QUARANTINED, Delivery.Status.FAILED))
    )
    beat = Heartbeat.objects.filter(name="sweep").first()
    return {
        "connections": list(Connection.objects.annotate(troubled=troubled).order_by("name")[:SHOWN]),
        "beat": beat,
        "late": beat is None or beat.at < timezone.now() - timedelta(seconds=60),
        "without_roles": User.objects.filter(is_active=True, role_set__isnull=True).count(),
        "waiting": Delivery.objects.filter(status=Delivery.Status.PENDING).count(),
        "received": Delivery.objects.filter(received_at__gte=day).count(),
    }


def auditor_home() -> dict:
    totals = Payout.objects.filter(status=S.FULFILLED)
    return {
        "events": AuditEvent.objects.count(),
        "unsealed": AuditEvent.objects.filter(seq__isnull=True).count(),
        "delivered": _waiting(totals),
        "differs": RewardOrder.objects.filter(cost_differs=True).count(),
    }


# --- a participant's own ------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Standing:
    """One program as one participant sees it: the scorecard of the period that runs now (or the last one)."""

    program: Program
    earned: Money
    card: Scorecard | None = None
    target: object = None
    progress: list[Progress] = field(default_factory=list)
    has_periods: bool = False

    @property
    def period_earned(self) -> Money:
        return Money(self.card.amount_minor if self.card else 0, self.program.currency)

    @property
    def value(self):
        return self.progress[0].value if self.progress else None

    @property
    def target_value(self):
        """The target in the measure's kind, for a bar beside `value`."""
        if self.target is None or not self.progress:
            return None
        value = self.progress[0].value
        return Money.from_decimal(self.target, value.currency) if isinstance(value, Money) else self.target


def own_payouts(participant: Participant):
    """What this person gets or got. Payouts taken back before anybody decided are not theirs to see."""
    rows = Payout.objects.filter(participant=participant).exclude(status=S.CANCELLED, order__isnull=True)
    return rows.select_related("program", "order__product", "participant", "choice")


def newest_payouts(participant: Participant, count: int = 4) -> list[Payout]:
    """The newest few, first what waits for the person's choice, then claim links that can be opened."""
    ready = Case(
        When(status=S.SUBMITTED, choice__product_code="", then=0),
        When(status=S.FULFILLED, delivery_type=DeliveryType.LINKS, then=1),
        default=2,
    )
    return list(own_payouts(participant).order_by(ready, "-pk")[:count])


def me(participant: Participant, today: date | None = None) -> dict:
    participations = list(Participation.objects.filter(participant=participant).select_related("program"))
    states = own_payouts(participant).order_by().values_list("status", "currency").annotate(n=Sum("amount_minor"))
    by_state = {group: sums((c, n) for s, c, n in states if s in group) for group in (ON_ITS_WAY, (S.FULFILLED,))}
    month = Earning.objects.filter(participation__participant=participant, posted_at__gte=month_start())
    return {
        "earned": sums((p.program.currency, p.earned_minor) for p in participations),
        "month": sums(month.order_by().values_list("currency").annotate(n=Sum("amount_minor"))),
        "on_its_way": by_state[ON_ITS_WAY],
        "sent": by_state[S.FULFILLED,],
        "standings": standings(participant, participations, today or timezone.localdate()),
    }


def standings(participant: Participant, participations, today: date) -> list[Standing]:
    """Running programs first, by their end. Four queries for any number of programs."""
    open_ones = [p for p in participations if p.program.status in RUNNING]
    programs = [p.program_id for p in open_ones]
    definitions = _definitions(programs)
    cards = _current_cards(open_ones, today)
    targets = _targets(participant, programs)
    found = []
    for participation in sorted(open_ones, key=lambda p: (p.program.ends_on, p.program.name)):
        program, card = participation.program, cards.get(participation.pk)
        standing = Standing(program, participation.earned, card)
        if program.pk in definitions:
            standing.has_periods = definitions[program.pk].period != "program"
            standing.target = _target_of(card, targets.get(program.pk, {}))
            standing.progress = progress_of(
                definitions[program.pk],
                measure=card.measure if card else 0,
                deals=card.deals if card else 0,
                target=standing.target,
                tier=participant.partner.tier if participant.partner else "",
            )
        found.append(standing)
    return found


def _definitions(programs: list[int]) -> dict:
    """The published definition in force by program id, in one query."""
    rows = ProgramVersion.objects.filter(program__in=programs, published_at__isnull=False).order_by("program", "number")
    newest = {version.program_id: version.definition for version in rows}
    return {pk: parse_definition(document) for pk, document in newest.items()}


def _current_cards(participations, today: date) -> dict[int, Scorecard]:
    """The scorecard of today's period, else the newest one that began."""
    found: dict[int, Scorecard] = {}
    for card in Scorecard.objects.filter(participation__in=participations).order_by("period_start"):
        if card.period_start <= today or card.participation_id not in found:
            found[card.participation_id] = card
    return found


def _targets(participant: Participant, programs: list[int]) -> dict[int, dict]:
    found: dict[int, dict] = defaultdict(dict)
    for target in Target.objects.filter(participant=participant, program__in=programs).order_by("period_start"):
        found[target.program_id][target.period_start] = target.value
    return found


def _target_of(card: Scorecard | None, targets: dict):
    if card is not None:
        return card.target if card.target is not None else targets.get(card.period_start)
    return next(reversed(targets.values()), None)


def own_earnings(participant: Participant):
    rows = Earning.objects.filter(participation__participant=participant)
    return rows.select_related("participation__program", "object").order_by("-pk")


# --- a partner's people -------------------------------------------------------------------------------------------------
def people_of(partner):
    """The partner's people with what each earned, per currency. Two queries."""
    people = list(Participant.objects.filter(partner=partner).order_by("name", "pk"))
    rows = Participation.objects.filter(participant__in=people, earned_minor__gt=0).order_by()
    totals: dict[int, list] = defaultdict(list)
    for pk, currency, total in rows.values_list("participant", "program__currency").annotate(n=Sum("earned_minor")):
        totals[pk].append((currency, total))
    return [(person, sums(totals[person.pk])) for person in people]
