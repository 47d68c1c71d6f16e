"""Contests: who stands where and what that wins."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

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


def rank_standings(
    definition: Definition, scorecards: Iterable[Scorecard], roster: Roster, enrolment: Enrolment = NOTHING
) -> tuple[Standing, ...]:
    """One standing per `rank` reward, over the scorecards of everybody (all periods of the program added up).

    Only a measure above zero takes part, and only people the program is for (`enrolment` included); those below `minimum` are ranked but win
    nothing. A team's or partner's prize is divided equally among its people who added to the measure. Prizes respect
    what the scorecards leave of the cap of the program's last period and of the participant's cap. The order of the
    scorecards does not matter.
    """
    cards = sorted(scorecards, key=lambda card: (card.participant, card.period_start))
    rewards = [(index, reward) for index, reward in enumerate(definition.rewards) if isinstance(reward, Rank)]
    if not rewards:
        return ()
    caps = _caps_left(definition, cards)
    entrants = [card for card in cards if _takes_part(definition, roster.get(card.participant), enrolment)]
    return tuple(_standing(definition, index, reward, entrants, roster, caps) for index, reward in rewards)


def _takes_part(definition: Definition, person: Person | None, enrolment: Enrolment) -> bool:
    return person is not None and not ineligible(definition, person, enrolment)


def _standing(definition: Definition, index: int, reward: Rank, cards, roster: Roster, caps) -> Standing:
    words = Words(definition)
    entries = _ranked(reward, _entries(definition, reward, cards, roster))
    minimum = 1 if reward.minimum is None else max(units(reward.minimum), 1)
    places: list[Place] = []
    lines: dict[str, Line] = {}
    for rank, tied, entry, prize in _prizes(reward, entries, minimum, words):
        shares = allocate(prize, [1] * len(entry.members)) if entry.members else []
        for participant, share in zip(entry.members, shares, strict=True):
            paid, cut = (0, "")
            if share:
                paid, cut = caps(participant).within(share)
                text = _sentence(reward, rank, tied, entry, prize, share, words) + cut
                lines[participant] = Line(f"r{index}:rank", index, "rank", None, None, paid, share, text)
            places.append(
                Place(rank, participant, entry.group, from_units(entry.measure), paid, tied, entry.reached_at)
            )
    return Standing(index, reward.by, reward.ties, tuple(places), lines, _inputs_digest(definition, index, entries))


def _entries(definition: Definition, reward: Rank, cards: list[Scorecard], roster: Roster) -> list[Entry]:
    found: dict[str, Entry] = {}
    for participant, own in groupby(cards, key=lambda card: card.participant):
        own = list(own)
        person = roster.get(participant)
        group = _group(reward, person)
        if group is None:
            continue
        measure = sum(units(card.measure) for card in own)
        reached = [card.reached_at for card in own if card.reached_at is not None]
        entry = found.setdefault(group, Entry(group, []))
        entry.add(participant, measure, max(reached, default=None))
    return [entry for entry in found.values() if entry.measure > 0]


def _group(reward: Rank, person: Person | None) -> str | None:
    if person is None or reward.by == "participant":
        return person and person.key
    return person.team if reward.by == "team" else person.partner


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


def _caps_left(definition: Definition, cards: list[Scorecard]):
    """A function from a participant to the caps that what they earned already leaves."""
    last = clock(definition).starts[-1]
    words = Words(definition)
    earned: dict[str, list[int]] = {}
    for card in cards:
        sums = earned.setdefault(card.participant, [0, 0])
        sums[0] += card.earned_minor
        sums[1] += card.earned_minor if card.period_start == last else 0
    left: dict[str, Caps] = {}

    def caps(participant: str) -> Caps:
        if participant not in left:
            own = left[participant] = Caps(definition, words)
            program, period = earned.get(participant, (0, 0))
            own.left_participant = own.participant and max(own.participant - program, 0)
            own.left_period = own.period and max(own.period - period, 0)
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
