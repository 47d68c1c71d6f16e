"""Earned, approved, ordered, issued, delivered: by program and day, with every difference and its reason. Reads only.

The day of every cent is the accounting day of the earning it pays (docs/decisions/0009-reconciliation-day.md): a payout stands
on the days of its earnings, as much on each as it takes from them, however late it is approved, ordered and issued. So the five
columns of one line are about the same money, and a difference says what became of it, not when it happened.

    earned     earnings booked on the day, corrections included
    approved   of it, on payouts that were approved: they have an order
    ordered    the provider has taken the order, or refused it
    issued     spent in the ledger, because the card was proven issued
    delivered  with its recipient as far as that can be known: a claim link that was opened, a card the provider sends itself

Approved, ordered and issued come from three records that are written apart (payout, order, posting). Where they disagree, no
reason is made up: the difference is *unexplained*.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date
from functools import cache
from types import SimpleNamespace

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Concat, TruncDate
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from incentives.core.snapshot import snapshot
from incentives.earnings.models import Earning
from incentives.ledger.models import Posting
from incentives.payouts.errors import CannotBuild
from incentives.payouts.models import Hold, Payout, PayoutEarning, Recovery, WriteOffLine
from incentives.payouts.services.build import obstacle, plan_for
from incentives.payouts.services.netting import Netting, OpenRow, ground_of
from incentives.programs.models import Program, ProgramVersion
from incentives.reports.journal import uuid_text
from rewards import selectors as catalogue
from rewards.models import Card, CardReveal, DeliveryType, RewardOrder
from rewards.money import Money

S, O = Payout.Status, RewardOrder.State  # noqa: E741
STAGES = ("earned", "approved", "ordered", "issued", "delivered")
GAPS = STAGES[1:]
"""Each is the step from the stage before to this one."""
UNEXPLAINED = "unexplained"
DEAD = (S.REJECTED, S.EXPIRED, S.CANCELLED, S.FAILED)
TAKEN = (O.PENDING, O.COMPLETED, O.REJECTED, O.FAILED)

REASONS = {
    "approved": {
        "waiting": _("Waits for approval"),
        **{f"held_{kind}": format_lazy(_("Held: {kind}"), kind=kind.label) for kind in Hold.Kind},
        f"held_{Hold.Kind.REVIEW}": Hold.Kind.REVIEW.label,  # which says so already
        "to_build": _("Due; the next build pays it"),
        "not_due_yet": _("Held back for the program's hold days"),
        "below_minimum": _("Carried: below the program's minimum"),
        "below_smallest_card": _("Carried: less than the smallest card"),
        "inactive": _("Recipient is inactive"),
        "no_address": _("Recipient has no postal address"),
        "cannot_build": _("Program cannot pay now"),
        "rejected": _("Rejected; due again"),
        "expired": _("Nobody decided in time; due again"),
        "withdrawn": _("Withdrawn before approval; due again"),
        "due_again": _("Card refused or cancelled; due again"),
        "approved_again": _("Approved, then refused or cancelled: counted as approved, paid by another payout"),
        "netted": _("Earned and taken back before it was paid"),
        "withheld": _("Withheld for what was paid too much"),
        "recoverable": _("Paid and no longer earned; to be recovered"),
        "written_off": _("Paid and no longer earned; written off"),
    },
    "ordered": {
        "queued": _("Approved, not sent yet"),
        "in_flight": _("Being sent; no answer yet"),
        "unfunded": _("Waits for funding at the provider"),
        "review_unsent": _("Needs a person before it is sent"),
        "cancelled": _("Cancelled before it was sent"),
    },
    "issued": {
        "pending": _("In progress at the provider"),
        "review": _("Needs a person"),
        "refused": _("Refused by the provider; money released"),
        "failed": _("No card was issued; money released"),
    },
    "delivered": {
        "unopened": _("Claim link not opened yet"),
        "no_link": _("Issued, but no claim link is stored"),
    },
}
"""Step -> its reasons in words, in the order in which they are shown."""
LABELS = {code: words for reasons in REASONS.values() for code, words in reasons.items()} | {
    UNEXPLAINED: _("Unexplained")
}
GAP_OF = {code: gap for gap, reasons in REASONS.items() for code in reasons}
GAP_WORDS = {
    "approved": _("Earned, not approved"),
    "ordered": _("Approved, not ordered"),
    "issued": _("Ordered, not issued"),
    "delivered": _("Issued, not delivered"),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which programs (None: all) and days, both ends included, are looked at."""

    programs: QuerySet | None = None
    first: date | None = None
    last: date | None = None

    def of(self, rows: QuerySet, program: str) -> QuerySet:
        """`rows` that have a `day`, within this scope."""
        if self.programs is not None:
            rows = rows.filter(**{f"{program}__in": self.programs})
        if self.first is not None:
            rows = rows.filter(day__gte=self.first)
        return rows if self.last is None else rows.filter(day__lte=self.last)

    def __contains__(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


@dataclass(slots=True)
class Line:
    """One program's day, in minor units of its currency. `reasons`: code -> [minor units, rows]."""

    program_id: int
    day: date
    currency: str
    minors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGES, 0))
    reasons: dict[str, list[int]] = field(default_factory=dict)

    def explain(self, code: str, minor: int, rows: int = 1) -> None:
        found = self.reasons.setdefault(code, [0, 0])
        found[0] += minor
        found[1] += rows

    def add(self, other: "Line") -> None:
        for stage in STAGES:
            self.minors[stage] += other.minors[stage]
        for code, (minor, rows) in other.reasons.items():
            self.explain(code, minor, rows)

    def money(self, stage: str) -> Money:
        return Money(self.minors[stage], self.currency)

    def difference(self, gap: str) -> int:
        """How much of the stage before did not reach this one; negative where more did."""
        return self.minors[STAGES[STAGES.index(gap) - 1]] - self.minors[gap]

    def explained(self, gap: str) -> int:
        return sum(minor for code, (minor, _rows) in self.reasons.items() if GAP_OF[code] == gap)

    def unexplained(self, gap: str) -> int:
        return self.difference(gap) - self.explained(gap)

    @property
    def open_gaps(self) -> list[str]:
        """Steps whose difference its reasons do not add up to."""
        return [gap for gap in GAPS if self.unexplained(gap)]

    @property
    def differs(self) -> bool:
        return bool(self.reasons) or any(self.difference(gap) for gap in GAPS)

    @property
    def status(self) -> str:
        return UNEXPLAINED if self.open_gaps else "explained" if self.differs else "agrees"


@dataclass(frozen=True, slots=True)
class Item:
    """One row behind a difference: an earning or a payout, by its id, and how much of the difference it is."""

    code: str
    gap: str
    minor: int
    earning_id: int | None = None
    payout_id: int | None = None


def lines(scope: Scope) -> list[Line]:
    """Every program's day with anything on it, by day and program. A fixed number of queries, read from one consistent view
    of the database."""
    with snapshot():
        found: dict[tuple, Line] = {}

        def line(program_id: int, day: date, currency: str) -> Line:
            key = (program_id, day, currency)
            return found.setdefault(key, Line(*key))

        for program_id, day, currency, minor in _earned(scope):
            line(program_id, day, currency).minors["earned"] += minor
        for piece in _pieces(scope):
            place = line(piece.program_id, piece.day, piece.currency)
            for stage, minor in piece.stages().items():
                place.minors[stage] += minor
            for code, minor in piece.reasons().items():
                place.explain(code, minor, piece.rows)
        for piece in _odd(scope):
            place = line(piece.program_id, piece.day, piece.currency)
            for stage, minor in piece.minors.items():
                place.minors[stage] += minor
        for row, code, minor in _open(scope):
            line(row.program_id, row.day, row.currency).explain(code, minor)
    return sorted(found.values(), key=lambda line: (line.day, line.program_id, line.currency))


def items(program: Program, day: date) -> list[Item]:
    """The rows behind the differences of one program's day. Their sums are the reasons of `lines`, and the rest."""
    scope = Scope(Program.objects.filter(pk=program.pk), day, day)
    found: list[Item] = []
    with snapshot():
        for row, code, minor in _open(scope):
            found.append(Item(code, "approved", minor, earning_id=row.pk))
        for piece in _pieces(scope, each=True):
            reasons = piece.reasons()
            found += [Item(code, GAP_OF[code], minor, payout_id=piece.payout_id) for code, minor in reasons.items()]
            found += [Item(UNEXPLAINED, gap, minor, payout_id=piece.payout_id) for gap, minor in piece.rest(reasons)]
        for piece in _odd(scope):
            found += [Item(UNEXPLAINED, gap, minor, payout_id=piece.payout_id) for gap, minor in piece.rest()]
    order = {code: number for number, code in enumerate((UNEXPLAINED, *LABELS))}
    return sorted(found, key=lambda item: (GAPS.index(item.gap), order[item.code], -abs(item.minor)))


def totals(rows: Iterable[Line]) -> list[Line]:
    """One sum per currency; its program and day say nothing."""
    found: dict[str, Line] = {}
    for row in rows:
        found.setdefault(row.currency, Line(0, date.min, row.currency)).add(row)
    return [found[currency] for currency in sorted(found)]


# --- what was earned ----------------------------------------------------------------------------------------------------
def _day(prefix: str = ""):
    """An earning's accounting day; of one without, the day it was posted (UTC)."""
    return Coalesce(f"{prefix}booked_on", TruncDate(f"{prefix}posted_at", tzinfo=UTC))


def _earned(scope: Scope) -> Iterator[tuple]:
    rows = scope.of(Earning.objects.annotate(day=_day()), "participation__program")
    grouped = rows.order_by().values_list("participation__program", "day", "currency")
    yield from grouped.annotate(total=Sum("amount_minor"))


# --- what payouts take of it ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Piece:
    """What payouts of one kind take from the earnings of one program's day, in minor units."""

    program_id: int
    day: date
    currency: str
    status: str
    state: str | None
    unsent: bool
    settled: bool
    delivery: str
    has_card: bool
    opened: bool
    hold: str | None
    payout_id: int | None
    minor: int
    rows: int

    @property
    def live(self) -> bool:
        return self.status in Payout.LIVE

    def reached(self) -> dict[str, bool]:
        approved = self.state is not None
        return {
            "approved": approved,
            "ordered": approved and (self.state in TAKEN or (self.state == O.REVIEW and not self.unsent)),
            "issued": self.settled,
            "delivered": self.state == O.COMPLETED and (self.delivery != DeliveryType.LINKS or self.opened),
        }

    def stages(self) -> dict[str, int]:
        return {stage: self.minor for stage, there in self.reached().items() if there}

    def reasons(self) -> dict[str, int]:
        """Code -> minor units. Nothing is said of what cannot be: a live payout that was neither approved nor waits, an
        order the ledger knows otherwise."""
        there, found = self.reached(), {}
        if not there["approved"]:
            if self.status == S.SUBMITTED:
                found[f"held_{self.hold}" if self.hold else "waiting"] = self.minor
            return found
        if not self.live:
            found["approved_again"] = -self.minor
        if not there["ordered"]:
            found[self._not_ordered()] = self.minor
        elif not there["issued"] and self.state != O.COMPLETED:
            names = {O.PENDING: "pending", O.REVIEW: "review", O.REJECTED: "refused", O.FAILED: "failed"}
            found[names[self.state]] = self.minor
        if there["issued"] and self.state == O.COMPLETED and not there["delivered"]:
            found["unopened" if self.has_card else "no_link"] = self.minor
        return found

    def _not_ordered(self) -> str:
        names = {O.DRAFT: "queued", O.SUBMITTING: "in_flight", O.UNFUNDED: "unfunded", O.CANCELLED: "cancelled"}
        return names.get(self.state, "review_unsent")

    def rest(self, reasons: dict[str, int]) -> list[tuple[str, int]]:
        """(step, minor units) that no reason explains."""
        minors = {"earned": self.minor if self.live else 0} | dict.fromkeys(GAPS, 0) | self.stages()
        explained = defaultdict(int)
        for code, minor in reasons.items():
            explained[GAP_OF[code]] += minor
        found = []
        for before, gap in zip(STAGES, GAPS, strict=False):
            if minor := minors[before] - minors[gap] - explained[gap]:
                found.append((gap, minor))
        return found


def cause_of(payout: str) -> Concat:
    """How postings name a payout, which stands behind the path `payout`."""
    return Concat(Value("payout:"), uuid_text(f"{payout}public_id"), output_field=CharField())


def _as_sent(name: str, order: str) -> Case:
    """A field of the order that is or will be sent for the one behind the path `order`: of its batch while it is a line."""
    return Case(
        When(**{f"{order}__state": O.BATCHED}, then=F(f"{order}__batch__{name}")), default=F(f"{order}__{name}")
    )


def _asked(when: Q, question) -> Case:
    """`question`, which the database asks only where `when` holds; else no."""
    return Case(When(when, then=question), default=Value(False), output_field=BooleanField())


def _pieces(scope: Scope, *, each: bool = False) -> Iterator[_Piece]:
    """One query, grouped by everything that decides; `each`: by payout as well."""
    order = OuterRef("payout__order")
    link = Q(payout__delivery_type=DeliveryType.LINKS, payout__order__state=O.COMPLETED)
    hold = Hold.objects.filter(payout=OuterRef("payout"), lifted_at__isnull=True).order_by("pk").values("kind")[:1]
    rows = PayoutEarning.objects.annotate(day=_day("earning__"), cause=cause_of("payout__"))
    rows = scope.of(rows, "payout__program").annotate(
        state=_as_sent("state", "payout__order"),
        sent_at=_as_sent("first_sent_at", "payout__order"),
        unsent=Q(sent_at__isnull=True),
        settled=Exists(Posting.objects.filter(cause=OuterRef("cause"), kind="settle")),
        has_card=_asked(link, Exists(Card.objects.filter(order=order))),
        opened=_asked(link, Exists(CardReveal.objects.filter(card__order=order))),
        hold=Case(When(payout__status=S.SUBMITTED, then=Subquery(hold)), default=Value(None), output_field=CharField()),
    )
    names = [
        "payout__program", "day", "payout__currency", "payout__status", "state", "unsent", "settled",
        "payout__delivery_type", "has_card", "opened", "hold",
    ]  # fmt: skip
    names += ["payout"] if each else []
    grouped = rows.order_by().values_list(*names)
    for values in grouped.annotate(total=Sum("amount_minor"), n=Count("payout", distinct=True)):
        *known, total, n = values
        yield _Piece(*known, *([] if each else [None]), total, n)


@dataclass(frozen=True, slots=True)
class _Odd:
    """A payout whose records name different amounts: what each stage has beyond what its earnings give."""

    program_id: int
    day: date
    currency: str
    payout_id: int
    minors: dict[str, int]

    def rest(self) -> list[tuple[str, int]]:
        minors = {"earned": 0} | dict.fromkeys(GAPS, 0) | self.minors
        differences = [(gap, minors[before] - minors[gap]) for before, gap in zip(STAGES, GAPS, strict=False)]
        return [(gap, minor) for gap, minor in differences if minor]


def _odd(scope: Scope) -> Iterator[_Odd]:
    """Payouts, orders and postings whose amounts differ from what the payout takes from its earnings: none, while the books are
    right. They stand on the day the payout was made."""
    taken = PayoutEarning.objects.filter(payout=OuterRef("pk")).order_by().values("payout")
    spent = Posting.objects.filter(cause=OuterRef("cause"), kind="settle").values("amount_minor")[:1]
    rows = Payout.objects.filter(order__isnull=False).annotate(
        day=TruncDate("created_at", tzinfo=UTC),
        cause=cause_of(""),
        taken=Coalesce(Subquery(taken.annotate(n=Sum("amount_minor")).values("n")), 0),
        spent=Subquery(spent),
        opened=Exists(CardReveal.objects.filter(card__order=OuterRef("order"))),
        state=_as_sent("state", "order"),
        sent_at=_as_sent("first_sent_at", "order"),
    )
    rows = scope.of(rows, "program").filter(
        ~Q(amount_minor=F("taken")) | ~Q(order__amount_minor=F("taken")) | Q(spent__isnull=False) & ~Q(spent=F("taken"))
    )
    names = (
        "program", "day", "currency", "pk", "status", "state", "sent_at", "delivery_type", "opened",
        "taken", "amount_minor", "order__amount_minor", "spent",
    )  # fmt: skip
    for program, day, currency, pk, status, state, sent, kind, opened, base, own, order, spent in rows.values_list(
        *names
    ):
        piece = _Piece(
            program, day, currency, status, state, sent is None, spent is not None, kind, True, opened, None, pk, 0, 1
        )
        amounts = {"approved": own, "ordered": order, "issued": spent, "delivered": order}
        yield _Odd(program, day, currency, pk, {s: amounts[s] - base for s, there in piece.reached().items() if there})


# --- what no payout takes -------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class _Row:
    """An earning of which something stands on no live payout."""

    pk: int
    participation_id: int
    program_id: int
    day: date
    currency: str
    ground: tuple
    posted_at: object
    left: int
    person: SimpleNamespace


def _open(scope: Scope) -> Iterator[tuple[_Row, str, int]]:
    """(earning, reason, minor units) for everything that no live payout takes, of the days of the scope.

    What a participant is due is netted over all their days (`payouts.services.netting`), so all of them are read.
    """
    within = scope.of(Earning.objects.annotate(day=_day()), "participation__program")
    people = None if scope == Scope() else within.order_by().values("participation")
    rows = _open_rows(people)
    if not rows:
        return
    written_off = _written_off(people)
    recoveries = {r.participation_id: r for r in _of(Recovery.objects.all(), people)}
    plans = _plans({row.program_id for row in rows})
    ended = _ended(people)
    by_part: dict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        by_part[row.participation_id].append(row)
    for part, own in by_part.items():
        netting = Netting([OpenRow(r.pk, r.ground, r.left) for r in own], written_off[part], recoveries.get(part))
        for row, code, minor in _explained(own, netting, plans.get(own[0].program_id), ended):
            if row.day in scope:
                yield row, code, minor


def _of(rows: QuerySet, people: QuerySet | None, path: str = "participation") -> QuerySet:
    return rows if people is None else rows.filter(**{f"{path}__in": people})


def _open_rows(people: QuerySet | None) -> list[_Row]:
    live = PayoutEarning.objects.filter(earning=OuterRef("pk"), payout__status__in=Payout.LIVE).order_by()
    used = Coalesce(Subquery(live.values("earning").annotate(n=Sum("amount_minor")).values("n")), 0)
    rows = _of(Earning.objects.annotate(day=_day(), used=used), people).exclude(amount_minor=F("used"))
    names = (
        "pk", "participation_id", "participation__program_id", "day", "currency", "object_id", "period_start", "posted_at",
        "amount_minor", "used", "participation__participant__active", "participation__participant__email",
        "participation__participant__phone",
    )  # fmt: skip
    found = []
    for pk, part, program, day, currency, fact, period, posted, amount, taken, active, email, phone in rows.order_by(
        "pk"
    ).values_list(*names):
        person = SimpleNamespace(active=active, email=email, phone=phone)
        ground = ground_of(fact, period)
        found.append(_Row(pk, part, program, day, currency, ground, posted, amount - taken, person))
    return found


def _written_off(people: QuerySet | None) -> dict[int, dict[tuple, int]]:
    rows = _of(WriteOffLine.objects.all(), people).order_by().values_list("participation", "object", "period_start")
    found: dict[int, dict[tuple, int]] = defaultdict(dict)
    for part, fact, period, minor in rows.annotate(n=Sum("amount_minor")):
        if minor:
            found[part][ground_of(fact, period)] = minor
    return found


def _ended(people: QuerySet | None) -> dict[int, str]:
    """Earning -> why the last payout that took it and ended did so."""
    rows = PayoutEarning.objects.filter(payout__status__in=DEAD, amount_minor__gt=0)
    rows = _of(rows, people, "payout__participation").order_by("payout_id")
    found = {}
    for earning, status, order in rows.values_list("earning_id", "payout__status", "payout__order_id"):
        if order is not None:
            found[earning] = "due_again"
        else:
            found[earning] = {S.REJECTED: "rejected", S.EXPIRED: "expired"}.get(status, "withdrawn")
    return found


def _plans(ids: set[int]) -> dict[int, object]:
    """Program -> how it pays, or None while it cannot. The queries do not grow with the programs."""
    versions = ProgramVersion.objects.filter(
        Q(starts_at__isnull=True) | Q(starts_at__lte=timezone.now()), published_at__isnull=False
    )
    definitions = dict(versions.order_by("number").values_list("program_id", "definition"))
    orderable, found = cache(catalogue.orderable_products), {}
    for program in Program.objects.select_related("budget"):
        if program.pk in ids:
            try:
                definition = definitions.get(program.pk, {})
                found[program.pk] = plan_for(program, definition=definition, orderable=orderable)
            except CannotBuild:
                found[program.pk] = None
    return found


def _explained(rows: list[_Row], netting: Netting, plan, ended: dict[int, str]) -> Iterator[tuple[_Row, str, int]]:
    """All of one participation's open rows, piece by piece; the pieces of a row add up to what is left of it."""
    grounds: dict[tuple, list[_Row]] = defaultdict(list)
    for row in rows:
        grounds[row.ground].append(row)
    due: list[list] = []
    for ground, own in grounds.items():
        spare = netting.written_off.get(ground, 0)
        taken_back: list[list] = []
        for row in own:
            if row.left < 0:
                if part := min(spare, -row.left):
                    spare -= part
                    yield row, "written_off", -part
                if row.left + part:
                    taken_back.append([row, -row.left - part])
        netted = min(sum(row.left for row in own if row.left > 0), sum(minor for _row, minor in taken_back))
        yield from _share([[row, row.left] for row in own if row.left > 0], netted, "netted", due)
        rest: list[list] = []
        for row, code, minor in _share(taken_back, netted, "netted", rest):
            yield row, code, -minor
        for row, minor in rest:
            yield row, "recoverable", -minor
    due.sort(key=lambda pair: pair[0].pk)
    free: list[list] = []
    yield from _share(due, netting.withheld, "withheld", free)
    yield from _unpaid(free, plan, ended)


def _share(pairs: list[list], minor: int, code: str, rest: list[list]) -> Iterator[tuple[_Row, str, int]]:
    """Give `code` the first `minor` units of the pairs; what is left of them goes to `rest`."""
    for row, left in pairs:
        part = min(minor, left)
        minor -= part
        if part:
            yield row, code, part
        if left - part:
            rest.append([row, left - part])


def _unpaid(pairs: list[list], plan, ended: dict[int, str]) -> Iterator[tuple[_Row, str, int]]:
    """Why what one participant is due stands on no payout."""
    if plan is None:
        yield from ((row, "cannot_build", minor) for row, minor in pairs)
        return
    early = [plan.until is not None and row.posted_at > plan.until for row, _minor in pairs]
    together = sum(minor for (_row, minor), soon in zip(pairs, early, strict=True) if not soon)
    problem = None
    if together:
        problem = obstacle(plan, pairs[0][0].person, Money(together, plan.minimum.currency))
    for (row, minor), soon in zip(pairs, early, strict=True):
        if soon:
            yield row, "not_due_yet", minor
        else:
            yield row, problem[0] if problem else ended.get(row.pk, "to_build"), minor
