"""Contests: who stands where and what that wins."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from .caps import Caps
from .crediting import ineligible
from .facts import NOTHING, Enrolment, Line, Person, Place, Roster, Scorecard, Standing
from .limits import decimal_text
from .numbers import allocate, from_units, units
from .parsing import digest
from .payers import Words
from .periods import clock
from .schema import Definition, Rank


@dataclass(slots=True)
class Entry:
    """One competitor: a participant, or a team or partner with those of its people who added to the measure."""

    group: str
    members: list[str]
    measure: int = 0
    reached_at: datetime | None = None

    def add(self, participant: str, measure: int, reached_at: datetime | None) -> None:
        self.measure += measure
        if measure > 0:
            self.members.append(participant)
        if reached_at is not None and (self.reached_at is None or reached_at > self.reached_at):
            self.reached_at = reached_at


class Competitor(NamedTuple):
    """One participant as a contest sees them, all periods of the program added up.

    measure: of the facts that enter the contest, in units (ten-thousandths). reached_at: when it last grew.
    earned_minor, earned_last_minor: what the other rewards earned so far, in all and in the program's last period; it
    leaves less of the caps.
    """

    participant: str
    measure: int
    reached_at: datetime | None = None
    earned_minor: int = 0
    earned_last_minor: int = 0


Groups = Mapping[str, tuple[str | None, str | None]]
"""participant -> (team, partner) as of the seal; who is missing belongs to what the roster says."""

BY_MEASURE = Rank.model_construct(type="rank", by="participant", prizes=(), ties="same", minimum=None)
"""What ranks a board without prizes."""


def enters(received_at: datetime | None, sealed_at: datetime) -> bool:
    """Whether a fact belongs to a contest that was sealed then: it had first reached us before. Corrections of such a fact
    enter for ever, anything that came first at the seal or later never does."""
    return received_at is None or received_at < sealed_at


def rank_standings(
    definition: Definition, scorecards: Iterable[Scorecard], roster: Roster, enrolment: Enrolment = NOTHING
) -> tuple[Standing, ...]:
    """One standing per `rank` reward, over the scorecards of everybody (all periods of the program added up).

    Only a measure above zero takes part, and only people the program is for (`enrolment` included); those below
    `minimum` are ranked but win nothing. A team's or partner's prize is divided equally among its people who added to the
    measure. Prizes respect what the scorecards leave of the cap of the program's last period and of the participant's
    cap. The order of the scorecards does not matter.
    """
    return rank_competitors(definition, competitors_from(definition, scorecards), roster, enrolment)


def rank_rewards(definition: Definition) -> list[tuple[int, Rank]]:
    """(index, reward) of every contest of the program."""
    return [(index, reward) for index, reward in enumerate(definition.rewards) if isinstance(reward, Rank)]


def rank_competitors(
    definition: Definition, competitors: Iterable[Competitor], roster: Roster, enrolment: Enrolment = NOTHING,
    groups: Groups = NOTHING, *, only: int | None = None,
) -> tuple[Standing, ...]:  # fmt: skip
    """As rank_standings, from sums. Several contests of one program take from the same caps, in their order.

    `only`: the index of the one contest that is wanted; it comes last, after those it shares caps with.
    """
    everybody = sorted(competitors)
    caps = _caps_left(definition, everybody)
    entrants = _entrants(definition, everybody, roster, enrolment)
    shared = definition.caps.period is not None or definition.caps.participant is not None
    return tuple(
        _standing(definition, index, reward, entrants, roster, groups, caps)
        for index, reward in rank_rewards(definition)
        if only is None or index == only or (shared and index < only)
    )


def rank_by_measure(
    definition: Definition, competitors: Iterable[Competitor], roster: Roster, enrolment: Enrolment = NOTHING
) -> Standing:
    """The standing of a board without prizes: by participant, equal measures share a rank. Its index is -1."""
    entrants = _entrants(definition, sorted(competitors), roster, enrolment)
    return _standing(definition, -1, BY_MEASURE, entrants, roster, NOTHING, _caps_left(definition, entrants))


def _entrants(definition: Definition, everybody: list[Competitor], roster: Roster, enrolment) -> list[Competitor]:
    return [one for one in everybody if _takes_part(definition, roster.get(one.participant), enrolment)]


def _takes_part(definition: Definition, person: Person | None, enrolment: Enrolment) -> bool:
    return person is not None and not ineligible(definition, person, enrolment)


def competitors_from(definition: Definition, scorecards: Iterable[Scorecard]) -> list[Competitor]:
    """One competitor per participant with a scorecard."""
    last = clock(definition).starts[-1]
    cards = sorted(scorecards, key=lambda card: (card.participant, card.period_start))
    found = []
    for participant, group in groupby(cards, key=lambda card: card.participant):
        own = list(group)
        reached = [card.reached_at for card in own if card.reached_at is not None]
        found.append(
            Competitor(
                participant,
                sum(units(card.measure) for card in own),
                max(reached, default=None),
                sum(card.earned_minor for card in own),
                sum(card.earned_minor for card in own if card.period_start == last),
            )
        )
    return found


def _standing(definition: Definition, index: int, reward: Rank, entrants, roster: Roster, groups, caps) -> Standing:
    words = Words(definition)
    entries = _ranked(reward, _entries(reward, entrants, roster, groups))
    minimum = 1 if reward.minimum is None else max(units(reward.minimum), 1)
    places: list[Place] = []
    lines: dict[str, Line] = {}
    for rank, tied, entry, prize in _prizes(reward, entries, minimum, words):
        shares = allocate(prize, [1] * len(entry.members)) if entry.members else []
        measure = from_units(entry.measure)
        for participant, share in zip(entry.members, shares, strict=True):
            paid, cut = (0, "")
            if share:
                paid, cut = caps(participant).within(share)
                text = _sentence(reward, rank, tied, entry, prize, share, words) + cut
                lines[participant] = Line(f"r{index}:rank", index, "rank", None, None, paid, share, text)
            places.append(Place(rank, participant, entry.group, measure, paid, tied, entry.reached_at))
    return Standing(index, reward.by, reward.ties, tuple(places), lines, _inputs_digest(definition, index, entries))


def _entries(reward: Rank, entrants: list[Competitor], roster: Roster, groups: Groups) -> list[Entry]:
    found: dict[str, Entry] = {}
    for one in entrants:
        group = _group(reward, roster[one.participant], groups)
        if group is None:
            continue
        entry = found.setdefault(group, Entry(group, []))
        entry.add(one.participant, one.measure, one.reached_at)
    return [entry for entry in found.values() if entry.measure > 0]


def _group(reward: Rank, person: Person, groups: Groups) -> str | None:
    if reward.by == "participant":
        return person.key
    team, partner = groups.get(person.key, (person.team, person.partner))
    return team if reward.by == "team" else partner


_LAST = datetime.max.replace(tzinfo=UTC)


def _order(reward: Rank, entry: Entry) -> tuple:
    """Equal for those who tie. `earliest`: only the same moment still ties, and is then shared as by `split`."""
    return (-entry.measure, entry.reached_at or _LAST) if reward.ties == "earliest" else (-entry.measure,)


def _ranked(reward: Rank, entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (*_order(reward, entry), entry.group))


def _prizes(reward: Rank, entries: list[Entry], minimum: int, words: Words) -> Iterator[tuple[int, bool, Entry, int]]:
    """(rank, tied, entry, prize in minor units) from the first to the last."""
    amounts = [(prize.bounds, int(prize.amount.scaleb(words.digits))) for prize in reward.prizes]

    def of_rank(rank: int) -> int:
        return next((amount for (first, last), amount in amounts if first <= rank <= last), 0)

    rank = 1
    for _, group in groupby(entries, key=lambda entry: _order(reward, entry)):
        tied = list(group)
        shares = _tied_prizes(reward, [of_rank(rank + offset) for offset in range(len(tied))])
        for entry, share in zip(tied, shares, strict=True):
            yield rank, len(tied) > 1, entry, share if entry.measure >= minimum else 0
        rank += len(tied)


def _tied_prizes(reward: Rank, occupied: list[int]) -> list[int]:
    """The prizes of people who tie, from the prizes of the ranks they occupy (best first)."""
    if reward.ties == "same":
        return [max(occupied)] * len(occupied)
    return allocate(sum(occupied), [1] * len(occupied))


def _caps_left(definition: Definition, entrants: list[Competitor]):
    """A function from a participant to the caps that what they earned already leaves."""
    words = Words(definition)
    earned = {one.participant: one for one in entrants if one.earned_minor or one.earned_last_minor}
    left: dict[str, Caps] = {}

    def caps(participant: str) -> Caps:
        if participant not in left:
            own = left[participant] = Caps(definition, words)
            if one := earned.get(participant):
                own.left_participant = own.participant and max(own.participant - one.earned_minor, 0)
                own.left_period = own.period and max(own.period - one.earned_last_minor, 0)
        return left[participant]

    return caps


def _sentence(reward: Rank, rank: int, tied: bool, entry: Entry, prize: int, share: int, words: Words) -> str:
    who = "" if reward.by == "participant" else f"{reward.by} {entry.group}, "
    text = f"{who}rank {rank} with {words.measure(entry.measure)}"
    if tied:
        text += {"same": ", tied: each gets the best prize of the tied ranks"}.get(
            reward.ties, ", tied: the prizes of the tied ranks are shared"
        )
    text += f": {words.money(prize)}"
    if len(entry.members) > 1:
        text += f", divided among {len(entry.members)} people = {words.money(share)}"
    return text[0].upper() + text[1:]


def _inputs_digest(definition: Definition, index: int, entries: list[Entry]) -> str:
    """SHA-256 over the rules and every competitor's group, measure, moment and members."""
    rows = [f"{digest(definition)} {index}"]
    for entry in entries:
        moment = entry.reached_at.astimezone(UTC).isoformat() if entry.reached_at else "-"
        rows.append("\t".join([entry.group, _plain(entry.measure), moment, *entry.members]))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _plain(measure: int) -> str:
    return decimal_text(Decimal(measure).scaleb(-4))
