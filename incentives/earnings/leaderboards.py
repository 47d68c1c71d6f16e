"""Who stands where, live: boards of a program as a query on its scorecards, or as sealed.

A board is one contest of the program, or, where it has none, its participants by measure. Ranks and prizes are those of the
rules (`rank_competitors`), over one row per participant that the database adds up; the result is kept until something in
the program is scored again. Pages, portal and wall screens all read `leaderboard`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from django.core.cache import cache
from django.db.models import Count, F, Max, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from incentives.core.templatetags.laurel import number
from incentives.earnings.contests import ENDED, last_period
from incentives.earnings.models import LeaderboardSnapshot, Participation, SealedStanding
from incentives.earnings.running import running_of
from incentives.earnings.standings import group_names
from incentives.participants.models import Participant
from incentives.programs.models import Program
from incentives.programs.rules.contests import BY_MEASURE, Competitor, rank_by_measure, rank_competitors, rank_rewards
from incentives.programs.rules.facts import NOTHING, Enrolment, Person, Standing
from incentives.programs.rules.numbers import units
from incentives.programs.rules.periods import closes_at
from incentives.programs.rules.schema import Definition, Rank
from rewards.money import Money

KEPT_SECONDS = 120
"""Names and teams change without a scoring: a board is computed anew after so long anyway."""
LARGE, LARGE_SECONDS = 1000, 5
"""A board of more rows than LARGE is computed at most every so many seconds, however fast facts come in."""


# --- which boards -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Board:
    """`index`: of the `rank` reward, -1 for the board by measure."""

    index: int
    reward: Rank

    @property
    def name(self) -> str:
        if self.index < 0:
            return gettext("By measure")
        return {
            "participant": gettext("Individual contest"),
            "team": gettext("Team contest"),
            "partner": gettext("Partner contest"),
        }[self.reward.by]

    @property
    def is_contest(self) -> bool:
        return self.index >= 0


def ruling(program: Program) -> Definition:
    """The definition whose contests decide: that of the version that governs at the program's end."""
    return running_of(program).definition


def boards_of(definition: Definition) -> list[Board]:
    """Every contest, or the board by measure where there is none."""
    found = [Board(index, reward) for index, reward in rank_rewards(definition)]
    return found or [Board(-1, BY_MEASURE)]


class Row(NamedTuple):
    """One competitor. `group` is a participant key, team or partner code; `prize_minor` what they would win now (or won),
    all members together; `person` the participant's id and public id, None on boards of teams and partners."""

    rank: int
    tied: bool
    group: str
    name: str
    note: str
    measure: Decimal
    prize_minor: int
    members: int = 1
    person: tuple[int, str] | None = None
    partner: tuple[int, str] | None = None  # id and name of the person's organisation


@dataclass
class Leaderboard:
    """One board at one moment. `sealed`: the revision it shows, None while it is live. `moved`: group -> rank before."""

    program: Program
    definition: Definition
    board: Board
    rows: list[Row]
    as_of: datetime | None
    sealed: SealedStanding | None = None
    moved: dict[str, int] | None = None
    moved_since: date | None = None

    @cached_property
    def position(self) -> dict[str, int]:
        """Group -> index in `rows`."""
        return {row.group: index for index, row in enumerate(self.rows)}

    def movement(self, row: Row) -> int | None:
        """Ranks gained since the snapshot (negative: lost); None when there is none or the row was not on it."""
        before = (self.moved or {}).get(row.group)
        return None if before is None else before - row.rank

    def measure(self, value: Decimal) -> Money | Decimal:
        """In the program's words: money for amounts, else a number of units."""
        return Money.from_decimal(value, self.program.currency) if self.in_money else value

    def prize(self, row: Row) -> Money | None:
        return Money(row.prize_minor, self.program.currency) if row.prize_minor else None

    @property
    def in_money(self) -> bool:
        return self.definition.measure.metric == "amount"

    def text(self, value: Decimal) -> str:
        return number(value, max(self.definition.digits, 0)) if self.in_money else number(value)

    @property
    def closes(self) -> datetime:
        return closes_at(self.definition)

    # --- gaps
    @cached_property
    def _last_winner(self) -> int:
        return max((index for index, row in enumerate(self.rows) if row.prize_minor), default=-1)

    def gap(self, index: int) -> str:
        """How far it is to the next rank: `1,250.00 behind rank 3`, or the lead of who stands first."""
        row = self.rows[index]
        above = next((r for r in reversed(self.rows[:index]) if r.rank != row.rank), None)
        if above is None:
            return self._lead(index)
        missing = above.measure - row.measure
        if not missing:
            return gettext("level with rank %(rank)s, which was there first") % {"rank": above.rank}
        return gettext("%(gap)s behind rank %(rank)s") % {"gap": self.text(missing), "rank": above.rank}

    def _lead(self, index: int) -> str:
        row = self.rows[index]
        below = next((r for r in self.rows[index + 1 :] if r.rank != row.rank), None)
        if row.tied:
            others = sum(1 for r in self.rows if r.rank == row.rank) - 1
            return ngettext("level with %(n)s other", "level with %(n)s others", others) % {"n": others}
        if below is None:
            return gettext("alone in the lead")
        return gettext("leads by %(gap)s") % {"gap": self.text(row.measure - below.measure)}

    def to_prize(self, index: int) -> str:
        """What a better prize takes: `2,000.00 more for 500.00 USD`. Empty for who has the best, and without prizes."""
        row, reward = self.rows[index], self.board.reward
        if not reward.prizes:
            return ""
        if reward.minimum is not None and row.measure < reward.minimum:
            return gettext("%(gap)s below the minimum for a prize") % {"gap": self.text(reward.minimum - row.measure)}
        above = self._better(index)
        if above is None:
            return ""
        words = {"gap": self.text(above.measure - row.measure), "prize": f"{self.prize(above)}"}
        return gettext("%(gap)s to a prize of %(prize)s") % words

    def _better(self, index: int) -> Row | None:
        row = self.rows[index]
        start = index if row.prize_minor else min(index, self._last_winner + 1)
        return next((r for r in reversed(self.rows[:start]) if r.prize_minor > row.prize_minor), None)


class Shown:
    """A row with what a page says about it. Attributes of the row are its own."""

    __slots__ = ("at", "board", "row")

    def __init__(self, board: Leaderboard, at: int):
        self.board, self.at, self.row = board, at, board.rows[at]

    def __getattr__(self, name):
        return getattr(self.row, name)

    @property
    def measured(self) -> Money | Decimal:
        return self.board.measure(self.row.measure)

    @property
    def gap(self) -> str:
        return self.board.gap(self.at)

    @property
    def to_prize(self) -> str:
        return "" if self.board.sealed else self.board.to_prize(self.at)

    @property
    def prize(self) -> Money | None:
        return self.board.prize(self.row)

    @property
    def moved(self) -> int | None:
        return self.board.movement(self.row)


# --- a board now ------------------------------------------------------------------------------------------------------
def leaderboard(program: Program, board: Board, definition: Definition | None = None) -> Leaderboard:
    """The board as it stands: sealed where it was sealed, else live. At most eight queries for any number of rows."""
    definition = definition or ruling(program)
    sealed = latest_sealed(program, board)
    if sealed is not None:
        rows = _kept(f"sealed:{sealed.public_id}", (), lambda: _sealed_rows(sealed))
        return Leaderboard(program, definition, board, rows, sealed.recorded_at, sealed)
    stamp, as_of = _stamp(program)
    rows = _kept(
        f"live:{program.pk}:{board.index}", (stamp, definition), lambda: _live_rows(program, definition, board)
    )
    shot = LeaderboardSnapshot.objects.filter(program=program, board=board.index).order_by("-day").first()
    moved = (shot.ranks, shot.day) if shot else (None, None)
    return Leaderboard(program, definition, board, rows, as_of, None, *moved)


def latest_sealed(program: Program, board: Board) -> SealedStanding | None:
    if not board.is_contest or program.status not in ENDED:
        return None
    found = program.standings.filter(reward_index=board.index).order_by("-revision")
    return found.select_related("version").defer("places").first()


def _stamp(program: Program) -> tuple[tuple, datetime | None]:
    """What changes with every scoring of the program, and when that last was."""
    found = program.participations.aggregate(n=Count("pk"), seq=Sum("scored_seq"), at=Max("scored_at"))
    return (found["n"], found["seq"]), found["at"]


def _kept(name: str, stamp: tuple, compute) -> list[Row]:
    key, now = f"board:{name}", timezone.now().timestamp()
    kept = cache.get(key)
    if kept is not None:
        rows, of, at = kept
        if of == stamp or (len(rows) > LARGE and 0 <= now - at < LARGE_SECONDS):
            return rows
    rows = compute()
    cache.set(key, (rows, stamp, now), KEPT_SECONDS)
    return rows


PERSON = (
    "participant_id", "participant__public_id", "participant__external_user_id", "participant__name",
    "participant__type", "participant__region", "participant__team__code", "participant__team__name",
    "participant__team__region", "participant__partner_id", "participant__partner__code", "participant__partner__name",
    "participant__partner__tier", "participant__partner__region",
)  # fmt: skip


class Known(NamedTuple):
    """A row of PERSON."""

    pk: int
    public_id: object
    external: str
    name: str
    type: str
    region: str
    team: str | None
    team_name: str | None
    team_region: str | None
    partner_id: int | None
    partner: str | None
    partner_name: str | None
    tier: str | None
    partner_region: str | None

    @property
    def key(self) -> str:
        return self.external or str(self.public_id)

    def person(self) -> Person:
        region = self.region or self.team_region or self.partner_region or None
        return Person(
            self.key, self.type, self.team, None, self.partner, self.tier or None, region, self.name
        )  # fmt: skip


def competitors_now(program: Program, definition: Definition) -> tuple[dict[str, Known], list[Competitor]]:
    """Everybody with a scorecard, and their sums over all periods. One query."""
    besides = F("scorecards__amount_minor") - F("scorecards__prize_minor")
    last = Q(scorecards__period_start=last_period(definition))
    rows = (
        Participation.objects.filter(program=program, scorecards__isnull=False)
        .order_by()
        .values_list(*PERSON)
        .annotate(
            total=Sum("scorecards__measure"),
            grown=Max("scorecards__reached_at"),
            earned=Sum(besides),
            earned_last=Sum(besides, filter=last),
        )
    )
    known, competitors = {}, []
    for *person, total, grown, earned, earned_last in rows:
        one = Known(*person)
        known[one.key] = one
        competitors.append(Competitor(one.key, units(total), grown, earned, earned_last or 0))
    return known, competitors


def enrolment_of(program: Program, known: dict[str, Known]) -> Enrolment:
    states = dict(program.enrollments.values_list("participant_id", "state"))
    return {key: states[one.pk] for key, one in known.items() if one.pk in states} if states else NOTHING


def standing_now(definition: Definition, board: Board, known: dict[str, Known], competitors, enrolment) -> Standing:
    roster = {key: one.person() for key, one in known.items()}
    if not board.is_contest:
        return rank_by_measure(definition, competitors, roster, enrolment)
    return rank_competitors(definition, competitors, roster, enrolment, only=board.index)[-1]


def _live_rows(program: Program, definition: Definition, board: Board) -> list[Row]:
    known, competitors = competitors_now(program, definition)
    standing = standing_now(definition, board, known, competitors, enrolment_of(program, known))
    if board.reward.by == "participant":
        return [_person_row(place, known[place.participant]) for place in standing.places]
    names = group_names(board.reward.by)
    rows = []
    for group, members in groupby(standing.places, key=lambda place: place.group):
        rows.append(_group_row(list(members), names.get(group, group)))
    return rows


def _person_row(place, one: Known) -> Row:
    partner = (one.partner_id, one.partner_name) if one.partner_id else None
    return Row(
        place.rank, place.tied, place.group, one.name, one.team_name or one.partner_name or "", place.measure,
        place.prize_minor, 1, (one.pk, str(one.public_id)), partner,
    )  # fmt: skip


def _group_row(members: list, name: str) -> Row:
    first = members[0]
    note = ngettext("%(n)s person", "%(n)s people", len(members)) % {"n": len(members)}
    prize = sum(place.prize_minor for place in members)
    return Row(first.rank, first.tied, first.group, name, note, first.measure, prize, len(members))


def _sealed_rows(standing: SealedStanding) -> list[Row]:
    if standing.by == "participant":
        ids = [place["participant"] for place in standing.places]
        rows = Participant.objects.filter(participations__program=standing.program_id).values_list(
            "public_id", "pk", "team__name", "partner_id", "partner__name"
        )
        known = {str(public_id): rest for public_id, *rest in rows}
        return [_sealed_person(place, known.get(key, (0, "", None, ""))) for key, place in zip(ids, standing.places, strict=True)]  # fmt: skip
    rows = []
    for _group, members in groupby(standing.places, key=lambda place: place["group"]):
        own = list(members)
        note = ngettext("%(n)s person", "%(n)s people", len(own)) % {"n": len(own)}
        prize = sum(place["prize_minor"] for place in own)
        first = own[0]
        rows.append(
            Row(first["rank"], first["tied"], first["group"], first["group_name"], note, Decimal(first["measure"]), prize,
                len(own))
        )  # fmt: skip
    return rows


def _sealed_person(place: dict, known) -> Row:
    pk, team, partner_id, partner = known
    return Row(
        place["rank"], place["tied"], place["group"], place["name"], team or partner or "", Decimal(place["measure"]),
        place["prize_minor"], 1, (pk, place["participant"]), (partner_id, partner) if partner_id else None,
    )  # fmt: skip
