"""Reading payouts: who may decide what next, what a build would make, what is unusual."""

from dataclasses import dataclass, field
from datetime import datetime

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

from incentives.accounts.models import User
from incentives.awards.selectors import made_by
from incentives.claims.selectors import approved_by
from incentives.earnings.models import Earning, Participation
from incentives.payouts import wording
from incentives.payouts.errors import CannotBuild
from incentives.payouts.models import Approval, Hold, Payout, PayoutEarning, ProductChoice
from incentives.payouts.policies import (
    PEOPLE,
    PERMISSION,
    approvers_of_claims,
    award_records,
    choosers_of,
    delegators_of,
    hands_of,
    is_approver,
    may_decide,
    wrote_rules,
)
from incentives.payouts.services import options
from incentives.payouts.services.build import Plan, Skipped, cards_for, obstacle, plan_for
from incentives.payouts.services.netting import netting_of
from incentives.payouts.services.policies import MOST_STEPS
from incentives.payouts.services.scheduled import RUNNING, next_day
from incentives.programs.models import Program
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
    mine = Case(When(_mine(user), then=Value(True)), default=Value(False), output_field=BooleanField())
    return with_steps(payouts).annotate(mine=mine)


def with_steps(payouts: QuerySet) -> QuerySet:
    """`payouts` with `given`, `held` and `unfunded`, as `for_decision` has them."""
    given = Approval.objects.filter(payout=OuterRef("pk")).order_by().values("payout").annotate(n=Count("pk"))
    blocking = Hold.objects.filter(payout=OuterRef("pk"), lifted_at__isnull=True).exclude(kind=Hold.Kind.FUNDING)
    return payouts.annotate(
        given=Coalesce(Subquery(given.values("n"), output_field=IntegerField()), 0),
        held=Exists(blocking),
        unfunded=open_hold(kind=Hold.Kind.FUNDING),
    )


def _mine(user) -> Q:
    """Status first, so that the database looks no further for everything decided long ago."""
    if not is_approver(user):
        return Q(pk__in=[])
    delegators = list(User.objects.filter(pk__in=delegators_of(user)))
    roles = [str(step) for step, permission in PERMISSION.items() if user.can(permission)]
    next_step = Q(pk__in=[])
    for number in range(MOST_STEPS):
        takes = Q(**{f"steps__{number}__in": roles}) | Q(escalated_step=number, escalate_to__in=roles)
        for person in (user, *delegators):  # a step that names people carries their ids between commas
            named = Q(
                **{f"steps__{number}__startswith": f"{PEOPLE}:"}, **{f"steps__{number}__icontains": f",{person.pk},"}
            )
            takes |= named if person is user else named & ~_decided_by(person)
        next_step |= Q(given=number) & takes
    others = ~_decided_by(user)
    for person in (user, *delegators):
        others &= _foreign_to(person)
    return Q(status=S.SUBMITTED) & next_step & others


def _decided_by(user) -> Q:
    """Decided an earlier step, or somebody did for them."""
    done = Approval.objects.filter(Q(actor=user) | Q(on_behalf_of=user), payout=OuterRef("pk"))
    return Q(Exists(done))


def _foreign_to(user) -> Q:
    """Payouts that this person neither made nor receives: policies.makers_of as one condition."""
    wrote = PayoutEarning.objects.filter(wrote_rules(user), payout=OuterRef("pk"))
    gave = PayoutEarning.objects.filter(
        payout=OuterRef("pk"),
        earning__object__object_type="award",
        earning__object__object_id__in=made_by(user).values("record"),
    )
    reviewed = approved_by(user).filter(program=OuterRef("program"), participant=OuterRef("participant"))
    edited = Payout.policy_editors.through.objects.filter(payout=OuterRef("pk"), user=user)
    chose = ProductChoice.staff.through.objects.filter(productchoice__payout=OuterRef("pk"), user=user)
    own = Q(submitted_by__isnull=True) | ~Q(submitted_by__in=hands_of(user))
    foreign = Q(participant__user__isnull=True) | ~Q(participant__user=user)
    return own & foreign & ~Exists(wrote) & ~Exists(gave) & ~Exists(edited) & ~Exists(reviewed) & ~Exists(chose)


def objection(payout: Payout, user) -> str:
    """Why this person may not give the next approval, as an end of a sentence; empty when they may."""
    if reason := _made_by(payout, user):
        return reason
    delegators = delegators_of(user)
    if any(_made_by(payout, person) for person in User.objects.filter(pk__in=delegators)):
        return wording.DEPUTY_OF_MAKER
    if payout.approvals.filter(Q(actor=user) | Q(on_behalf_of=user)).exists():
        return wording.APPROVED_BEFORE
    given = payout.approvals.count()
    if given >= len(payout.steps):
        return wording.OTHER_ROLE
    may, behalf = may_decide(payout, given, user, delegators)
    if behalf and payout.approvals.filter(Q(actor=behalf) | Q(on_behalf_of=behalf)).exists():
        return wording.APPROVED_BEFORE
    return "" if may else wording.OTHER_ROLE


def _made_by(payout: Payout, user) -> str:
    if payout.participant.user_id == user.pk:
        return wording.RECEIVES
    submitter = payout.submitted_by
    if submitter is not None and user.pk in (submitter.pk, submitter.responsible_id):
        return wording.SUBMITTED
    if payout.allocations.filter(wrote_rules(user)).exists():
        return wording.WROTE_RULES
    if made_by(user).filter(record__in=award_records(payout)).exists():
        return wording.GAVE_AWARD
    if payout.policy_editors.filter(pk=user.pk).exists():
        return wording.CHANGED_POLICY
    if user.pk in approvers_of_claims(payout):
        return wording.APPROVED_CLAIM
    if user.pk in choosers_of(payout):
        return wording.CHOSE
    return ""


# --- what the recipient chooses -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Question:
    """Which card a payout becomes, as its recipient sees it. Of `options` the first is the default."""

    payout: Payout
    choice: ProductChoice
    options: list

    @property
    def open(self) -> bool:
        return not self.choice.answered

    @property
    def default(self):
        return self.options[0] if self.options else None


def questions_of(participant) -> list[Question]:
    """What this person may choose or change now: open questions first, the most urgent first."""
    rows = ProductChoice.objects.filter(
        payout__participant=participant, payout__status=S.SUBMITTED, committed_at__isnull=True
    ).select_related("payout__program")
    shelf = options.Shelf()
    found = [Question(row.payout, row, shelf.options(row.payout, row.allowed)) for row in rows]
    return sorted(found, key=lambda one: (not one.open, one.choice.deadline, one.payout.pk))


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
        held_as_unusual = any(hold.kind == Hold.Kind.UNUSUAL for hold in holds.get(payout.pk, ()))
        if average and payout.amount_minor > FAR_ABOVE * average and not held_as_unusual:
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


def _written_off() -> Coalesce:
    return Coalesce(F("recovery__written_off_minor"), 0)


INSTALMENTS = Q(recovery__recoverable_minor__gt=0) & (
    Q(recovery__percent__isnull=False) | Q(recovery__most_minor__isnull=False)
)
"""Participations whose due amount depends on each fact and not on sums alone: few, read one by one."""


def due_by_program(programs: QuerySet | None = None) -> dict[int, tuple[int, Money]]:
    """Program id -> (people, Money) of what is earned and on no live payout, over programs that pay. Two queries, and a few
    for each person who pays back in instalments.

    Before hold days, minimum and card values: the build's preview says what of it can be paid now.
    """
    programs = Program.objects.filter(status__in=PAYING) if programs is None else programs
    rows = Participation.objects.filter(program__in=programs, earned_minor__gt=0)
    summed = (
        rows.exclude(INSTALMENTS)
        .annotate(due=F("earned_minor") + _written_off() - _live())
        .filter(due__gt=0)
        .values_list("program_id", "program__currency")
        .order_by()
        .annotate(people=Count("pk"), total=Sum("due"))
    )
    found = {pk: (people, Money(total, currency)) for pk, currency, people, total in summed}
    for participation in rows.filter(INSTALMENTS).select_related("program"):
        if (due := netting_of(participation).due) > 0:
            people, total = found.get(participation.program_id, (0, Money(0, participation.program.currency)))
            found[participation.program_id] = (people + 1, total + Money(due, total.currency))
    return found


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
    for participation in _due_rows(program, plan.until):
        due = Money(participation.due, program.currency)
        if problem := obstacle(plan, participation.participant, due):
            preview.skipped.append(Skipped(participation.participant, due, *problem))
        else:
            preview.rows.append(_row(plan, participation.participant, due))
    preview.rows.sort(key=lambda row: (-row.due.minor, row.participant.name))
    preview.skipped.sort(key=lambda skip: skip.participant.name)
    return preview


def _due_rows(program: Program, until: datetime | None) -> list[Participation]:
    earned = Earning.objects.filter(participation=OuterRef("pk"))
    if until is not None:
        earned = earned.filter(Q(posted_at__lte=until) | Q(amount_minor__lt=0))
    total = earned.order_by().values("participation").annotate(n=Sum("amount_minor")).values("n")
    rows = program.participations.filter(earned_minor__gt=0).select_related("participant", "program").order_by("pk")
    due = Coalesce(Subquery(total), 0) + _written_off() - _live()
    found = list(rows.exclude(INSTALMENTS).annotate(due=due).filter(due__gt=0))
    for participation in rows.filter(INSTALMENTS):
        participation.due = netting_of(participation, until=until).due
        found += [participation] if participation.due > 0 else []
    return found


def _row(plan: Plan, participant, due: Money) -> Row:
    cards = cards_for(plan, due)
    return Row(participant, due, cards, due - Money(sum(card.minor for card in cards), due.currency))


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
        "next_on": next_day(program) if program.status in RUNNING else None,
        "last": program.payouts.aggregate(at=Max("created_at"))["at"],
    }
