"""Reading payouts: who may decide what next, what a build would make, what is unusual."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db.models import (
    Avg,
    BooleanField,
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from incentives.claims.selectors import approved_by
from incentives.earnings.models import Earning, Participation
from incentives.payouts import wording
from incentives.payouts.errors import CannotBuild
from incentives.payouts.models import Approval, Hold, Payout, PayoutEarning
from incentives.payouts.policies import PERMISSION, approvers_of_claims, wrote_rules
from incentives.payouts.services.build import CARDS_AT_ONCE, Plan, Skipped, obstacle, plan_for
from incentives.payouts.services.policies import MOST_STEPS
from incentives.programs.models import Program
from rewards import selectors as catalogue
from rewards.money import Money

S = Payout.Status
PAYING = (Program.Status.ACTIVE, Program.Status.CLOSING, Program.Status.CLOSED)
FAR_ABOVE = 3
"""An amount more than this many times the program's average so far is shown first."""
ENOUGH = 5
"""Below so many payouts a program has no usual amount."""


# --- who may decide -----------------------------------------------------------------------------------------------------
def open_hold(**kinds) -> Exists:
    return Exists(Hold.objects.filter(payout=OuterRef("pk"), lifted_at__isnull=True, **kinds))


def for_decision(payouts: QuerySet, user) -> QuerySet:
    """`payouts` with `given` (approvals so far), `held` (an open hold that a person must lift), `unfunded`, and `mine`:
    whether the next step is this person's. The same rules as services.approve_payout, as one query."""
    given = Approval.objects.filter(payout=OuterRef("pk")).order_by().values("payout").annotate(n=Count("pk"))
    blocking = Hold.objects.filter(payout=OuterRef("pk"), lifted_at__isnull=True).exclude(kind=Hold.Kind.FUNDING)
    return payouts.annotate(
        given=Coalesce(Subquery(given.values("n"), output_field=IntegerField()), 0),
        held=Exists(blocking),
        unfunded=open_hold(kind=Hold.Kind.FUNDING),
    ).annotate(mine=Case(When(_mine(user), then=Value(True)), default=Value(False), output_field=BooleanField()))


def _mine(user) -> Q:
    """Status first, so that the database looks no further for everything decided long ago."""
    roles = [str(step) for step, permission in PERMISSION.items() if user.can(permission)]
    if not roles:
        return Q(pk__in=[])
    next_step = Q(pk__in=[])
    for number in range(MOST_STEPS):
        next_step |= Q(given=number) & Q(**{f"steps__{number}__in": roles})
    wrote = PayoutEarning.objects.filter(wrote_rules(user), payout=OuterRef("pk"))
    decided = Approval.objects.filter(payout=OuterRef("pk"), actor=user)
    reviewed = approved_by(user).filter(program=OuterRef("program"), participant=OuterRef("participant"))
    edited = Payout.policy_editors.through.objects.filter(payout=OuterRef("pk"), user=user)
    own = Q(submitted_by__isnull=True) | ~Q(submitted_by=user)
    foreign = Q(participant__user__isnull=True) | ~Q(participant__user=user)
    others = own & foreign & ~Exists(wrote) & ~Exists(decided) & ~Exists(edited) & ~Exists(reviewed)
    return Q(status=S.SUBMITTED) & next_step & others


def objection(payout: Payout, user) -> str:
    """Why this person may not give the next approval, as an end of a sentence; empty when they may."""
    if payout.participant.user_id == user.pk:
        return wording.RECEIVES
    if payout.submitted_by_id == user.pk:
        return wording.SUBMITTED
    if payout.allocations.filter(wrote_rules(user)).exists():
        return wording.WROTE_RULES
    if payout.policy_editors.filter(pk=user.pk).exists():
        return wording.CHANGED_POLICY
    if user.pk in approvers_of_claims(payout):
        return wording.APPROVED_CLAIM
    if payout.approvals.filter(actor=user).exists():
        return wording.APPROVED_BEFORE
    given = payout.approvals.count()
    if given >= len(payout.steps) or not user.can(PERMISSION[payout.steps[given]]):
        return wording.OTHER_ROLE
    return ""


# --- what is unusual ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Look:
    """One payout of a bulk decision and what a careful person would notice about it."""

    payout: Payout
    remarks: list[tuple[str, str]]
    """(what, more about it)"""


def with_remarks(payouts: list[Payout]) -> list[Look]:
    """Unusual ones first, then by amount, largest first. Four queries for any number."""
    usual, known = _usual([p.program_id for p in payouts]), _known([p.participant_id for p in payouts])
    holds: dict[int, list[Hold]] = {}
    for hold in Hold.objects.filter(payout__in=payouts, lifted_at__isnull=True):
        holds.setdefault(hold.payout_id, []).append(hold)
    looks = []
    for payout in payouts:
        remarks = [(hold.get_kind_display(), hold.reason) for hold in holds.get(payout.pk, ())]
        average = usual.get(payout.program_id)
        if average and payout.amount_minor > FAR_ABOVE * average:
            remarks.append((str(wording.FAR_ABOVE), wording.usual(Money(int(average), payout.currency))))
        if payout.participant_id not in known:
            remarks.append((str(wording.NEW_RECIPIENT), ""))
        looks.append(Look(payout, remarks))
    return sorted(looks, key=lambda look: (-len(look.remarks), -look.payout.amount_minor, look.payout.pk))


def _usual(programs: list[int]) -> dict[int, float]:
    """The average of what was approved so far, in minor units, for programs with enough of it."""
    done = Payout.objects.filter(program__in=set(programs), status__in=(S.APPROVED, S.ORDERED, S.FULFILLED))
    rows = done.order_by().values_list("program").annotate(n=Count("pk"), usual=Avg("amount_minor"))
    return {pk: usual for pk, n, usual in rows if n >= ENOUGH}


def _known(participants: list[int]) -> set[int]:
    done = Payout.objects.filter(participant__in=set(participants), status=S.FULFILLED)
    return set(done.order_by().values_list("participant", flat=True).distinct())


def totals(payouts: list[Payout]) -> list[Money]:
    """One sum per currency, by currency."""
    sums: dict[str, int] = {}
    for payout in payouts:
        sums[payout.currency] = sums.get(payout.currency, 0) + payout.amount_minor
    return [Money(minor, currency) for currency, minor in sorted(sums.items())]


def by_program(payouts: list[Payout]) -> list[tuple]:
    """(program, count, Money), the largest first."""
    sums: dict[int, list] = {}
    for payout in payouts:
        row = sums.setdefault(payout.program_id, [payout.program, 0, 0])
        row[1] += 1
        row[2] += payout.amount_minor
    rows = [(program, count, Money(minor, program.currency)) for program, count, minor in sums.values()]
    return sorted(rows, key=lambda row: (-row[2].minor, row[0].name))


# --- what is due --------------------------------------------------------------------------------------------------------
def _live() -> Coalesce:
    live = Payout.objects.filter(participation=OuterRef("pk"), status__in=Payout.LIVE).order_by()
    return Coalesce(Subquery(live.values("participation").annotate(n=Sum("amount_minor")).values("n")), 0)


def due_by_program(programs: QuerySet | None = None) -> dict[int, tuple[int, Money]]:
    """Program id -> (people, Money) of what is earned and on no live payout, over programs that pay. One query.

    Before hold days, minimum and card values: the build's preview says what of it can be paid now.
    """
    programs = Program.objects.filter(status__in=PAYING) if programs is None else programs
    rows = (
        Participation.objects.filter(program__in=programs, earned_minor__gt=0)
        .annotate(due=F("earned_minor") - _live())
        .filter(due__gt=0)
        .values_list("program_id", "program__currency")
        .order_by()
        .annotate(people=Count("pk"), total=Sum("due"))
    )
    return {pk: (people, Money(total, currency)) for pk, currency, people, total in rows}


@dataclass(slots=True)
class Row:
    """What one participant would get from a build."""

    participant: object
    due: Money
    cards: list[Money]
    carried: Money

    @property
    def total(self) -> Money:
        return Money(sum(card.minor for card in self.cards), self.due.currency)


@dataclass(slots=True)
class Preview:
    """What building payouts for a program would do now; `problem` when it cannot at all."""

    program: Program
    problem: str = ""
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def total(self) -> Money:
        return Money(sum(row.total.minor for row in self.rows), self.program.currency)

    @property
    def cards(self) -> int:
        return sum(len(row.cards) for row in self.rows)

    @property
    def carried(self) -> Money:
        left = [row.carried.minor for row in self.rows] + [skip.due.minor for skip in self.skipped]
        return Money(sum(left), self.program.currency)


def preview_build(program: Program) -> Preview:
    """The same steps as services.build_payouts without writing; a constant number of queries."""
    preview = Preview(program)
    try:
        plan = plan_for(program)
    except CannotBuild as exc:
        preview.problem = exc.user_message
        return preview
    for participation in _due_rows(program, plan.hold_days):
        due = Money(participation.due, program.currency)
        if problem := obstacle(plan, participation.participant, due):
            preview.skipped.append(Skipped(participation.participant, due, *problem))
        else:
            preview.rows.append(_row(plan, participation.participant, due))
    preview.rows.sort(key=lambda row: (-row.due.minor, row.participant.name))
    return preview


def _due_rows(program: Program, hold_days: int) -> QuerySet[Participation]:
    earned = Earning.objects.filter(participation=OuterRef("pk"))
    if hold_days:
        earned = earned.filter(Q(posted_at__lte=timezone.now() - timedelta(days=hold_days)) | Q(amount_minor__lt=0))
    total = earned.order_by().values("participation").annotate(n=Sum("amount_minor")).values("n")
    return (
        program.participations.filter(earned_minor__gt=0)
        .annotate(due=Coalesce(Subquery(total), 0) - _live())
        .filter(due__gt=0)
        .select_related("participant")
        .order_by("pk")
    )


def _row(plan: Plan, participant, due: Money) -> Row:
    cards, left = [], due
    while len(cards) < CARDS_AT_ONCE and (value := catalogue.card_value_for(plan.product, left)):
        cards.append(value)
        left = left - value
    return Row(participant, due, cards, left)


# --- one program's payouts ----------------------------------------------------------------------------------------------
def program_payouts(program: Program) -> dict:
    """What the program's page shows: due, and count and sum per state."""
    rows = program.payouts.order_by().values_list("status").annotate(n=Count("pk"), total=Sum("amount_minor"))
    states = {status: (n, Money(total, program.currency)) for status, n, total in rows}
    nothing = (0, Money(0, program.currency))
    due = due_by_program(Program.objects.filter(pk=program.pk)).get(program.pk, nothing)
    return {
        "due": due,
        "states": [(S(status), *states[status]) for status in S.values if status in states],
        "waiting": states.get(S.SUBMITTED, nothing),
        "delivered": states.get(S.FULFILLED, nothing),
        "last": program.payouts.aggregate(at=Max("created_at"))["at"],
    }
