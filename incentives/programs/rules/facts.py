"""What the rules read and what they answer with: plain frozen values, no database and no clock.

Every `participant` here is a participant key (text, for example the external user id) that is already resolved.
Decimals carry at most four digits after the point; moments are aware datetimes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

NOTHING: Mapping[str, Any] = MappingProxyType({})

OWNER, SPLIT, OVERLAY = "owner", "split", "overlay"


@dataclass(frozen=True, slots=True)
class Split:
    """One person's part of an activity: `percentage` (0-100) or `amount`; `type` is `revenue` or `overlay`."""

    participant: str | None
    percentage: Decimal | None = None
    amount: Decimal | None = None
    type: str = "revenue"
    name: str = ""  # as the source states it, for messages about people we do not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One business fact as it stands now (crm-connectors.md 1.1): a won deal that was later updated is still
    `deal.won` with its present amounts and its moment of winning; one that was lost, reopened or deleted is not.

    `participant` is None when the source names nobody we know; `participant_name` then says whom it named.
    `lines` and the mappings keep the keys of the generic event (numbers may be text or Decimal, never float).
    `received_at` is when the fact first reached us; None where that does not matter (a simulation).
    """

    id: str
    kind: str
    occurred_at: datetime
    participant: str | None = None
    participant_name: str = ""
    close_date: date | None = None
    amount: Decimal | None = None
    currency: str | None = None
    quantity: Decimal | None = None
    lines: tuple[Mapping[str, Any], ...] = ()
    splits: tuple[Split, ...] = ()
    account: Mapping[str, Any] = field(default_factory=dict)
    partner: Mapping[str, Any] = field(default_factory=dict)
    region: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None
    value: Decimal | None = None
    received_at: datetime | None = None
    external_id: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can earn. `type` is `employee`, `contractor` or `partner`; `manager` is a participant key."""

    key: str
    type: str = "employee"
    team: str | None = None
    manager: str | None = None
    partner: str | None = None
    partner_tier: str | None = None
    region: str | None = None
    name: str = ""
    started_on: date | None = None
    ended_on: date | None = None  # the last day


Roster = Mapping[str, Person]
Rates = Mapping[tuple[str, date], Decimal]
"""(currency of the activity, day in the program's time zone) -> units of the program's currency for one unit. Only `get` is
asked, so anything that has it will do."""

INVITED, EXCLUDED = "invited", "excluded"
Enrolment = Mapping[str, str]
"""participant -> INVITED or EXCLUDED, of those for whom the program says so by name."""

Stops = Sequence[tuple[datetime, datetime | None]]
"""Times in which a program had run out of money: from the first moment on, up to but without the second (None: it lasts)."""


class Credit(NamedTuple):
    """A fact's share for one participant. (A tuple, because a program makes very many of them.)

    share_percent: four digits; those of owner and splits total 100 exactly. `share_from` is the sum of the shares
    before this one, so that a fixed amount divides without losing a cent; zero for owner and overlay.
    measure: this participant's part of the program's measure, four digits; `whole` is that of the whole activity.
    For the metric `amount` both are in major units of the program's currency, rounded to its smallest unit.
    counted_at: the moment that decides period and order; with `counts_by: close_date` midnight of that day in the
    program's time zone.
    """

    fact_id: str
    participant: str
    role: str  # owner, split or overlay
    share_percent: Decimal
    share_from: Decimal
    counted_at: datetime
    period_start: date
    measure: Decimal
    whole: Decimal


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a fact earned nothing for somebody, in words a rep understands.

    `exception` is true when a person should look at it (unknown participant, no rate), false when it is merely how
    the program works (not in the dates, not eligible).
    """

    code: str
    message: str
    participant: str | None = None
    exception: bool = False


class CreditResult(NamedTuple):
    credits: tuple[Credit, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class TargetValue:
    """A target of one participant. `period_start` may be any day of the period; `value` is in units of the measure."""

    participant: str
    period_start: date
    value: Decimal


class Line(NamedTuple):
    """What one part of a scorecard is worth, in whole minor units of the program's currency.

    key: unique in its scorecard and the same after every recomputation (`r0:deal:<fact id>`, `r0:deal:<fact id>:overlay`,
    `r1:band:<from>`, `r1:band:period`, `r2:tier:<at>`, `r2:tier:highest`, `r3:milestone:<count>`, `r4:rank`).
    uncapped_minor: before caps; the explanation says what a cap cut.
    fact_id: None for what the period as a whole earned.
    version: the number of the program version that pays it, where several govern (timeline.py); None where there is one.
    """

    key: str
    reward_index: int
    reward_type: str
    fact_id: str | None
    counted_at: datetime | None
    amount_minor: int
    uncapped_minor: int
    explanation: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The measure of one participant in one period, and what it is worth. Days are inclusive.

    attainment: per cent of the target, rounded to two digits for showing (comparisons are exact); None without target.
    reached_at: when the measure last grew (the tie rule `earliest`). `earned_minor` is the sum of the lines.
    """

    participant: str
    period_start: date
    period_end: date
    measure: Decimal
    target: Decimal | None
    attainment: Decimal | None
    lines: tuple[Line, ...]
    reached_at: datetime | None = None
    deals: int = 0
    problems: tuple[Reason, ...] = ()

    @property
    def earned_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)


@dataclass(frozen=True, slots=True)
class Place:
    """One line of a standing. In a team contest every contributing member has a line with the team's rank and measure."""

    rank: int
    participant: str
    group: str  # the participant's own key, the team or the partner
    measure: Decimal
    prize_minor: int
    tied: bool = False
    reached_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A ranked list with its prizes. `inputs_digest` (SHA-256) is over everything that decided it."""

    reward_index: int
    by: str
    ties: str
    places: tuple[Place, ...]
    lines: Mapping[str, Line] = field(default_factory=dict)  # participant -> the prize
    inputs_digest: str = ""
