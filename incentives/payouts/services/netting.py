"""What is due and what was paid too much, fact by fact.

Earnings and what payouts take from them are compared per *ground*: the fact an earning is about, or its period where it is
about no single fact (tiers, bands over a period). With sums per ground

    open(ground) = earned + written off - on live payouts

a positive `open` is still to be paid and a negative one was paid too much. What is due is the sum of both. Instalments
limit how much of the negative part a payout takes; the rest stays recoverable. Comparing per ground and not in one sum
tells a deal that came back (its write-off is taken back first) from another deal that was won (it is paid).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from incentives.earnings.models import Participation
from incentives.payouts.models import Payout, PayoutEarning
from incentives.payouts.recovery_models import Recovery, WriteOffLine

LEFT = (Payout.Status.APPROVED, Payout.Status.ORDERED, Payout.Status.FULFILLED)
"""States a payout cannot simply be withdrawn from."""


def ground_of(object_id: int | None, period_start) -> tuple:
    """What an earning stands on: (fact id, None) or (None, first day of the period)."""
    return (object_id, None) if object_id else (None, period_start)


@dataclass(slots=True)
class OpenRow:
    """What is left of one earning, in minor units; negative for a correction nobody has taken off a payout yet."""

    earning_id: int
    ground: tuple
    left: int


@dataclass(slots=True)
class Netting:
    """The open rows of one participation and how much of them a payout may take now."""

    rows: list[OpenRow]
    written_off: dict[tuple, int] = field(default_factory=dict)
    recovery: Recovery | None = None
    open: dict[tuple, int] = field(init=False)
    """What is left per ground, in minor units; a write-off counts up to the corrections it stands for."""

    def __post_init__(self):
        self.open = defaultdict(int)
        negative: dict[tuple, int] = defaultdict(int)
        for row in self.rows:
            self.open[row.ground] += row.left
            negative[row.ground] -= min(0, row.left)
        self.written_off = {ground: min(minor, negative[ground]) for ground, minor in self.written_off.items()}
        for ground, minor in self.written_off.items():
            self.open[ground] += minor

    @property
    def gross(self) -> int:
        """Still to be paid, before anything is withheld, in minor units."""
        return sum(minor for minor in self.open.values() if minor > 0)

    @property
    def overpaid(self) -> int:
        return -sum(minor for minor in self.open.values() if minor < 0)

    @property
    def withheld(self) -> int:
        """How much of `gross` the next payout does not pay because that much was paid too much before."""
        owed, gross = self.overpaid, self.gross
        most = self.recovery.instalment(gross) if self.recovery else gross
        return min(owed, most, gross)

    @property
    def due(self) -> int:
        """What may be paid now; negative when more was paid too much than is due."""
        in_instalments = self.recovery is not None and self.recovery.in_instalments
        return self.gross - (self.withheld if in_instalments else self.overpaid)

    def sources(self) -> list[list]:
        """[earning id, minor units] that a payout of `due` may take, corrections first; they add up to `due`."""
        taken, withheld = [], self.withheld
        owed = {ground: -minor for ground, minor in self.open.items() if minor < 0}
        for row in self.rows:
            if row.left < 0 and (part := min(withheld, owed.get(row.ground, 0), -row.left)):
                taken.append([row.earning_id, -part])
                withheld -= part
                owed[row.ground] -= part
        paying: list[list] = []
        for ground, rows in self._paying().items():
            spare = self.written_off.get(ground, 0)  # a written-off correction is not taken off a payout
            for row in rows:
                if row.left < 0:
                    part = min(spare, -row.left)
                    spare -= part
                    if row.left + part:
                        taken.append([row.earning_id, row.left + part])
                else:
                    paying.append([row.earning_id, row.left])
        return taken + sorted(paying)

    def _paying(self) -> dict[tuple, list[OpenRow]]:
        found: dict[tuple, list[OpenRow]] = defaultdict(list)
        for row in self.rows:
            if self.open[row.ground] > 0:
                found[row.ground].append(row)
        return found


def netting_of(
    participation: Participation, *, until: datetime | None = None, states: Iterable = Payout.LIVE
) -> Netting:
    """Read the open rows, in the order of posting. Corrections count at once, what is earned only when it was posted by
    `until`. `states`: of the payouts that use earnings up."""
    used = Sum("allocations__amount_minor", filter=Q(allocations__payout__status__in=states))
    earned = participation.earnings.annotate(used=Coalesce(used, 0)).order_by("pk")
    if until is not None:
        earned = earned.filter(Q(posted_at__lte=until) | Q(amount_minor__lt=0))
    values = earned.values_list("pk", "object_id", "period_start", "amount_minor", "used")
    rows = [OpenRow(pk, ground_of(fact, day), amount - used) for pk, fact, day, amount, used in values]
    recovery = Recovery.objects.filter(participation=participation).first()
    written_off = written_off_by_ground(participation) if recovery else {}
    return Netting([row for row in rows if row.left], written_off, recovery)


def written_off_by_ground(participation: Participation) -> dict[tuple, int]:
    """What stands written off per ground, in minor units; nothing where it was taken back."""
    found: dict[tuple, int] = defaultdict(int)
    for fact, day, minor in WriteOffLine.objects.filter(participation=participation).values_list(
        "object_id", "period_start", "amount_minor"
    ):
        found[ground_of(fact, day)] += minor
    return {ground: minor for ground, minor in found.items() if minor}


def overpaid_by_ground(participation: Participation, states: Iterable = (Payout.Status.FULFILLED,)) -> dict[tuple, int]:
    """Minor units that payouts in `states` took beyond what the ground is worth now, oldest ground first, before
    write-offs. Empty, by one cheap query, where nothing was ever corrected."""
    if not participation.earnings.filter(amount_minor__lt=0).exists():
        return {}
    over: dict[tuple, int] = defaultdict(int)
    taken = PayoutEarning.objects.filter(payout__participation=participation, payout__status__in=states)
    for fact, day, minor in taken.order_by("pk").values_list(
        "earning__object_id", "earning__period_start", "amount_minor"
    ):
        over[ground_of(fact, day)] += minor
    for fact, day, minor in participation.earnings.values_list("object_id", "period_start", "amount_minor"):
        if (ground := ground_of(fact, day)) in over:
            over[ground] -= minor
    return {ground: minor for ground, minor in over.items() if minor > 0}
