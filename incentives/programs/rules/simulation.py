"""A whole program over a whole history, without a database: what `manage.py simulate` prints.

Reads parsed lines; the caller opens files and turns EventError into "file, line". A fact becomes credits as soon as it
is read, so that memory grows with the number of objects and not with the size of the file.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from .contests import rank_standings
from .crediting import credits_for
from .events import EventError, day, parse_event
from .facts import NOTHING, Credit, CreditResult, Fact, Line, Person, Place, Rates, Scorecard, Standing
from .history import History
from .limits import decimal_text, one_of
from .numbers import money_text, number
from .periods import period_start
from .schema import Definition, Rank
from .scoring import score
from .whatif import MoreWins, mark

TYPES = ("employee", "contractor", "partner")


@dataclass(frozen=True, slots=True)
class Exceptional:
    """One entry of the exceptions list. `activity` is an external id, None where it is about a participant."""

    activity: str | None
    code: str
    message: str


@dataclass(slots=True)
class People:
    """The participants file: the roster, and how an event's participant is found in it."""

    roster: dict[str, Person] = field(default_factory=dict)
    by_email: dict[str, str | None] = field(default_factory=dict)  # None: more than one has it

    def add(self, data: Any) -> None:
        """One line. Raises EventError."""
        person, email = parse_person(data)
        if person.key in self.roster:
            raise EventError("external_user_id", person.key, "each participant once")
        self.roster[person.key] = person
        if email:
            self.by_email[email] = None if email in self.by_email else person.key

    def resolve(self, who: Mapping[str, Any]) -> str | None:
        """By external user id, else by e-mail (exact, any case, unique); never by name."""
        key = who.get("external_user_id")
        if key not in (None, ""):
            key = str(key).strip()
            if key in self.roster:
                return key
        email = who.get("email")
        return self.by_email.get(email.strip().casefold()) if isinstance(email, str) else None


def parse_person(data: Any) -> tuple[Person, str]:
    """A line of the participants file as (person, e-mail or ""). Raises EventError."""
    if not isinstance(data, dict):
        raise EventError("", data, "one JSON object")

    def text(key: str, *, required: bool = False) -> str | None:
        value = data.get(key)
        value = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if value is not None and not isinstance(value, str):
            raise EventError(key, value, "text")
        value = (value or "").strip()
        if (required and not value) or len(value) > 255:
            raise EventError(key, value or None, "text of 1 to 255 characters")
        return value or None

    kind = text("type") or "employee"
    if kind not in TYPES:
        raise EventError("type", kind, "one of " + ", ".join(TYPES) + one_of(kind, TYPES))
    days = {key: day(data[key], key) if data.get(key) else None for key in ("started_on", "ended_on")}
    person = Person(
        key=text("external_user_id", required=True), type=kind, team=text("team"), manager=text("manager"),
        partner=text("partner"), partner_tier=text("partner_tier"), region=text("region"), name=text("name") or "",
        **days,
    )  # fmt: skip
    return person, (text("email") or "").casefold()


def parse_target(data: Any) -> tuple[str, date, Decimal]:
    """A line of the targets file: (participant, any day of the period, value). Raises EventError."""
    if not isinstance(data, dict):
        raise EventError("", data, "one JSON object")
    who = data.get("participant")
    if isinstance(who, dict):
        who = who.get("external_user_id")
    if not isinstance(who, str | int) or isinstance(who, bool) or not str(who).strip():
        raise EventError("participant", who, "an external_user_id")
    value = number(data.get("value"))
    if value is None or value < 0 or value > 10**13:
        raise EventError("value", data.get("value"), "a number from 0 to 10000000000000")
    return str(who).strip(), day(data.get("period_start"), "period_start"), value


class Simulation:
    """Feed it people, then targets and activities, then `run`."""

    def __init__(self, definition: Definition, rates: Rates = NOTHING):
        self.definition, self.rates = definition, rates
        self.people = People()
        self.targets: dict[str, dict[date, Decimal]] = {}
        self.history: History[tuple[str, CreditResult] | None] = History(self._credited)
        self.exceptions: list[Exceptional] = []
        self._seen: dict[str, Any] = {}

    def add_person(self, data: Any) -> None:
        self.people.add(data)

    def add_target(self, data: Any) -> None:
        """Raises EventError, also for a second target in one period."""
        who, start, value = parse_target(data)
        if who not in self.people.roster:
            message = f"There is a target for {who}, who is not among the participants."
            self.exceptions.append(Exceptional(None, "unknown_participant", message))
            return
        own = self.targets.setdefault(who, {})
        start = period_start(self.definition, start)
        if start in own:
            raise EventError("period_start", str(start), f"one target per period (a second one for {who})")
        own[start] = value

    def add_activity(self, data: Any) -> None:
        """One line of the activities. The same line again changes nothing. Raises EventError."""
        event = parse_event(data, self.people.resolve)
        if not self._is_repeated(event.fact, data):
            self.history.add(event)

    def _is_repeated(self, fact: Fact, data: dict) -> bool:
        """Whether the external id was seen already. Versions of one object may share it; anything else may not."""
        mark = (fact.object_type, fact.object_id) if fact.object_id is not None else _content(data)
        known = self._seen.setdefault(fact.external_id, mark)
        if known is mark or (known == mark and fact.object_id is not None):
            return False
        if known != mark:
            message = f"{fact.external_id} came again with other content; the first one stands."
            self.exceptions.append(Exceptional(fact.external_id, "duplicate_conflict", message))
        return True

    def _credited(self, fact: Fact) -> tuple[str, CreditResult] | None:
        """The fact's credits, as soon as it is read: they need far less room than the fact."""
        result = credits_for(self.definition, fact, self.people.roster, self.rates, words=False)
        reasons = tuple(reason for reason in result.reasons if reason.exception)
        return (fact.external_id, CreditResult(result.credits, reasons)) if result.credits or reasons else None

    def run(self, percents: Iterable[int] = ()) -> "Result":
        """`percents`: changes of the wins (whatif.MoreWins) whose totals are computed as well."""
        credits: dict[str, list[Credit]] = {}
        exceptions = list(self.exceptions)
        for found in self.history.standing():
            if found is not None:
                activity, result = found
                for credit in result.credits:
                    credits.setdefault(credit.participant, []).append(credit)
                exceptions.extend(Exceptional(activity, reason.code, reason.message) for reason in result.reasons)
        changed = self._changed(credits, percents)
        cards = self._scorecards(credits)
        everyone = [card for own in cards.values() for card in own]
        exceptions.extend(Exceptional(None, item.code, item.message) for card in everyone for item in card.problems)
        standings = rank_standings(self.definition, everyone, self.people.roster)
        return Result(self.definition, cards, standings, sorted(exceptions, key=_exception_order), changed)

    def _changed(self, credits: dict[str, list[Credit]], percents: Iterable[int]) -> dict[int, int]:
        """per cent of more wins -> total in minor units"""
        percents = sorted(set(percents))
        marks = {mark(c.fact_id) for own in credits.values() for c in own} if percents else ()
        return {percent: self._total(credits, MoreWins(self.definition, percent, marks)) for percent in percents}

    def _total(self, credits: dict[str, list[Credit]], change: MoreWins) -> int:
        people, total, cards = self.people.roster, 0, []
        for key, own in credits.items():
            found = score(self.definition, people[key], self.targets.get(key, NOTHING), change.apply(own))
            total += sum(card.earned_minor for card in found)
            cards += found if any(isinstance(reward, Rank) for reward in self.definition.rewards) else ()
        standings = rank_standings(self.definition, cards, people)
        return total + sum(line.amount_minor for standing in standings for line in standing.lines.values())

    def _scorecards(self, credits: dict[str, list[Credit]]) -> dict[str, list[Scorecard]]:
        keys = sorted({*credits, *self.targets})
        return {
            key: score(self.definition, self.people.roster[key], self.targets.get(key, NOTHING), credits.pop(key, ()))
            for key in keys
        }


def _content(data: dict) -> bytes:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _exception_order(item: Exceptional) -> tuple:
    return item.activity is None, item.activity or "", item.code, item.message


@dataclass(frozen=True, slots=True)
class Result:
    definition: Definition
    scorecards: dict[str, list[Scorecard]]
    standings: tuple[Standing, ...]
    exceptions: list[Exceptional]
    changed: Mapping[int, int] = field(default_factory=dict)
    """per cent of more wins -> total in minor units, where that was asked for"""

    @property
    def total_minor(self) -> int:
        earned = sum(card.earned_minor for own in self.scorecards.values() for card in own)
        return earned + sum(line.amount_minor for standing in self.standings for line in standing.lines.values())

    def money(self, minor: int) -> str:
        return money_text(minor, self.definition.digits).replace(",", "")

    def measure(self, value: Decimal) -> str:
        if self.definition.measure.metric != "amount":
            return decimal_text(value)
        return self.money(int(value.scaleb(self.definition.digits)))

    def document(self) -> dict[str, Any]:
        """The document of design.md, section 9. Prizes stand in the last period of those who win them."""
        return json.loads("".join(self.json()))

    def json(self) -> Iterator[str]:
        """The document as text, one participant at a time. With `sensitivity` where that was asked for."""
        yield f'{{"currency": "{self.definition.currency}", "total": "{self.money(self.total_minor)}", "participants": ['
        between = ""
        for key, own in self.scorecards.items():
            if own:
                yield between + json.dumps(self._participant(key, own), ensure_ascii=False)
                between = ", "
        places = [self._place(place) for standing in self.standings for place in standing.places]
        exceptions = [asdict(item) for item in self.exceptions]
        yield f'], "standing": {json.dumps(places)}, "exceptions": {json.dumps(exceptions, ensure_ascii=False)}'
        totals = [{"percent": percent, "total": self.money(minor)} for percent, minor in sorted(self.changed.items())]
        yield f', "sensitivity": {json.dumps(totals)}}}' if totals else "}"

    def _place(self, place: Place) -> dict[str, Any]:
        return {
            "rank": place.rank,
            "external_user_id": place.participant,
            "measure": self.measure(place.measure),
            "prize": self.money(place.prize_minor),
        }

    def prizes(self, participant: str) -> list[Line]:
        return [standing.lines[participant] for standing in self.standings if participant in standing.lines]

    def _participant(self, key: str, cards: list[Scorecard]) -> dict[str, Any]:
        prizes = self.prizes(key)
        last = len(cards) - 1
        periods = [self._period(card, prizes if index == last else []) for index, card in enumerate(cards)]
        total = sum(card.earned_minor for card in cards) + sum(line.amount_minor for line in prizes)
        return {"external_user_id": key, "total": self.money(total), "periods": periods}

    def _period(self, card: Scorecard, prizes: list[Line]) -> dict[str, Any]:
        lines = [*card.lines, *prizes]
        return {
            "period_start": card.period_start.isoformat(),
            "measure": self.measure(card.measure),
            "attainment": None if card.attainment is None else str(card.attainment),
            "amount": self.money(sum(line.amount_minor for line in lines)),
            "lines": [
                {
                    "reward": line.reward_type,
                    "activity": line.fact_id,
                    "amount": self.money(line.amount_minor),
                    "explanation": line.explanation,
                }
                for line in lines
            ],
        }
