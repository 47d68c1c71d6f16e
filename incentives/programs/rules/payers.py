"""What each kind of reward is worth on one scorecard, before caps: one payer per reward of a definition.

Rounding: half up to the smallest unit, once per line. A line is about one activity (`per_unit`, `per_deal`, `percent`,
`bands` over `deal`, `milestone`) or about the period (`bands` over `period`: one line per band; `tiers`: one per tier).
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from .facts import OVERLAY, Credit
from .limits import decimal_text
from .numbers import FACTOR, RATE, UNITS, half_up, money_text, units, units_text
from .schema import Bands, Definition, Milestone, Percent, PerDeal, PerUnit, Tiers

_TARGET_SCALE = 100 * UNITS  # thresholds of target are exact in measure units times this


class Draft(NamedTuple):
    """A line before caps."""

    key: str
    fact_id: str | None
    counted_at: datetime | None
    minor: int
    explanation: str
    per_deal: bool  # the cap per deal applies


class Card(NamedTuple):
    """One period of one participant: the credits in order, each with its measure in units."""

    credits: list[Credit]
    measures: list[int]
    total: int
    target: int | None  # in units


class Words:
    """How amounts and measures of one program read."""

    def __init__(self, definition: Definition):
        self.digits = definition.digits
        self.is_money = definition.measure.metric == "amount"
        self.scale = 10 ** (4 - self.digits)
        metric = definition.measure.metric
        self.unit = {"quantity": "unit", "deals": "deal", "amount": definition.currency}.get(metric, "unit")

    def money(self, minor: int) -> str:
        return money_text(minor, self.digits)

    def measure(self, value: int) -> str:
        return money_text(half_up(value, self.scale), self.digits) if self.is_money else units_text(value)

    def part(self, credit: Credit, measure: int) -> str:
        """The measure of a credit with its share: `3,152.40 (60 % of 5,254.00)`."""
        if credit.role == "owner":
            return self.measure(measure)
        kind = " as overlay" if credit.role == OVERLAY else ""
        share = decimal_text(credit.share_percent)
        return f"{self.measure(measure)} ({share} % of {self.measure(units(credit.whole))}{kind})"


class Payer:
    """The base: `factor` (ten-thousandths) is the partner multiplier, `tail` how it reads.

    `of_period`: it pays for the period as a whole, over the credits of every version. `of_target`: it needs a target.
    """

    of_period = of_target = False

    def __init__(self, index: int, reward, words: Words, tier: str | None, multipliers: dict[str, Decimal]):
        self.index, self.type, self.reward, self.words = index, reward.type, reward, words
        factor = multipliers.get(tier, Decimal(1)) if tier else Decimal(1)
        self.factor = int(factor.scaleb(4))
        self.tail = f" × {decimal_text(factor)} for {tier} partners" if factor != 1 else ""
        self.prepare()

    def prepare(self) -> None:
        """Whole-number forms of the reward's figures."""

    def minor(self, amount: Decimal) -> int:
        return int(amount.scaleb(self.words.digits))

    def fixed(self, minor: int) -> int:
        """A fixed amount times the multiplier."""
        return minor if self.factor == FACTOR else half_up(minor * self.factor, FACTOR)

    def deal_key(self, credit: Credit) -> str:
        return f"r{self.index}:deal:{credit.fact_id}" + (":overlay" if credit.role == OVERLAY else "")

    def drafts(self, card: Card) -> Iterator[Draft]:
        raise NotImplementedError


class PayPerUnit(Payer):
    """Whole units of the period's measure. A deal earns the units that became whole with it, oldest first."""

    def prepare(self) -> None:
        self.amount = self.minor(self.reward.amount)
        self.price = self.words.money(self.amount)

    def drafts(self, card: Card) -> Iterator[Draft]:
        so_far = 0
        for credit, measure in zip(card.credits, card.measures, strict=True):
            before, so_far = so_far, so_far + measure
            count = max(so_far, 0) // UNITS - max(before, 0) // UNITS
            minor = self.fixed(count * self.amount)
            yield Draft(self.deal_key(credit), credit.fact_id, credit.counted_at, minor,
                        self.explain(credit, measure, before, count, minor), True)  # fmt: skip

    def explain(self, credit: Credit, measure: int, before: int, count: int, minor: int) -> str:
        words = self.words
        left = max(before, 0) % UNITS
        text = words.part(credit, measure)
        text += f" and {words.measure(left)} left from before" if left else ""
        if not count:
            return f"{text}: no further whole unit yet"
        if left or measure != count * UNITS:
            text += f": {count:,} whole"
        return f"{text} × {self.price} per unit{self.tail} = {words.money(minor)}"


class PayPerDeal(Payer):
    def prepare(self) -> None:
        self.amount = self.minor(self.reward.amount)
        self.price = self.words.money(self.amount)
        self.whole = self.fixed(self.amount)

    def drafts(self, card: Card) -> Iterator[Draft]:
        for credit in card.credits:
            if credit.role == "owner":
                minor = self.whole
                text = f"{self.price} per deal" + (f"{self.tail} = {self.words.money(minor)}" if self.tail else "")
            else:
                minor = self.shared(credit)
                kind = " as overlay" if credit.role == OVERLAY else ""
                share = decimal_text(credit.share_percent)
                text = f"{share} % of {self.price} per deal{kind}{self.tail} = {self.words.money(minor)}"
            yield Draft(self.deal_key(credit), credit.fact_id, credit.counted_at, minor, text, True)

    def shared(self, credit: Credit) -> int:
        """Rounded at the running sum of the shares, so that the parts of all participants add up to the amount."""
        first = units(credit.share_from)
        last = first + units(credit.share_percent)
        amount, hundred = self.amount * self.factor, 100 * UNITS * FACTOR
        return half_up(amount * last, hundred) - half_up(amount * first, hundred)


class PayPercent(Payer):
    def prepare(self) -> None:
        self.rate = int(self.reward.rate.scaleb(6)) * self.factor
        self.divisor = 100 * RATE * FACTOR * self.words.scale
        self.label = f"{decimal_text(self.reward.rate)} % of "

    def drafts(self, card: Card) -> Iterator[Draft]:
        words, rate, divisor = self.words, self.rate, self.divisor
        for credit, measure in zip(card.credits, card.measures, strict=True):
            minor = half_up(measure * rate, divisor)
            text = f"{self.label}{words.part(credit, measure)}{self.tail} = {words.money(minor)}"
            yield Draft(self.deal_key(credit), credit.fact_id, credit.counted_at, minor, text, True)


class PayBands(Payer):
    def prepare(self) -> None:
        self.of_period = self.reward.over == "period"
        self.of_target = self.reward.of == "target"
        self.levels = [units(band.from_) for band in self.reward.bands]
        self.rates = [None if band.rate is None else int(band.rate.scaleb(6)) for band in self.reward.bands]
        self.amounts = [None if band.amount is None else self.minor(band.amount) for band in self.reward.bands]

    def drafts(self, card: Card) -> Iterator[Draft]:
        if self.of_target and card.target is None:
            return
        unit = card.target if self.of_target else _TARGET_SCALE
        starts = [level * unit for level in self.levels]
        if self.reward.over == "period":
            for key, minor, text in self.period_lines(card.total, starts):
                yield Draft(key, None, None, minor, text, False)
            return
        for credit, measure in zip(card.credits, card.measures, strict=True):
            minor, text = self.of_deal(credit, measure, starts)
            yield Draft(self.deal_key(credit), credit.fact_id, credit.counted_at, minor, text, True)

    def reached(self, measure: int, starts: list[int]) -> list[int]:
        """The bands a measure (in units) reaches; zero and less reach none."""
        scaled = measure * _TARGET_SCALE
        return [index for index, start in enumerate(starts) if scaled >= start] if measure > 0 else []

    def slices(self, measure: int, starts: list[int]) -> Iterator[tuple[int, int]]:
        """(band, its part of the measure times _TARGET_SCALE) for what each reached band pays on."""
        reached, scaled = self.reached(measure, starts), measure * _TARGET_SCALE
        if self.reward.mode == "whole":
            if reached:
                yield reached[-1], scaled
            return
        for index, following in pairwise([*reached, None]):
            end = scaled if following is None else starts[following]
            yield index, end - starts[index]

    def worth(self, index: int, part: int) -> tuple[int, int]:
        """What a band pays, as an exact fraction of smallest units."""
        if self.rates[index] is None:
            return self.amounts[index] * self.factor, FACTOR
        return part * self.rates[index] * self.factor, 100 * RATE * FACTOR * self.words.scale * _TARGET_SCALE

    def period_lines(self, total: int, starts: list[int]) -> Iterator[tuple[str, int, str]]:
        for index, part in self.slices(total, starts):
            minor = half_up(*self.worth(index, part))
            whole = self.reward.mode == "whole"
            key = f"r{self.index}:band:" + ("period" if whole else decimal_text(self.reward.bands[index].from_))
            text = self.sentence(index, part, starts, total)
            if minor:
                yield key, minor, f"{text}{self.tail} = {self.words.money(minor)}"

    def of_deal(self, credit: Credit, measure: int, starts: list[int]) -> tuple[int, str]:
        """Rounded once per deal, however many bands it reaches."""
        words, found = self.words, list(self.slices(measure, starts))
        if not found:
            first = words.measure(half_up(starts[0], _TARGET_SCALE))
            return 0, f"{words.part(credit, measure)} is below the first band, which starts at {first}"
        common = 100 * RATE * FACTOR * words.scale * _TARGET_SCALE
        exact = sum(numerator * (common // divisor) for numerator, divisor in (self.worth(*item) for item in found))
        minor = half_up(exact, common)
        text = " + ".join(self.sentence(index, part, starts, measure) for index, part in found)
        share = f"{words.part(credit, measure)}: " if credit.role != "owner" or len(found) > 1 else ""
        return minor, f"{share}{text}{self.tail} = {words.money(minor)}"

    def sentence(self, index: int, part: int, starts: list[int], measure: int) -> str:
        """What one band pays on: `6 % of 25,000.00 (from 100,000.00, which is 100 % of the target)`."""
        words, band = self.words, self.reward.bands[index]
        start = words.measure(half_up(starts[index], _TARGET_SCALE))
        where = f"from {start} on"
        if self.of_target:
            where += f", {decimal_text(band.from_)} % of the target"
        if self.rates[index] is None:
            return f"{words.money(self.amounts[index])} for {words.measure(measure)} ({where})"
        base = words.measure(half_up(part, _TARGET_SCALE))
        return f"{decimal_text(band.rate)} % of {base}" + (f" ({where})" if starts[index] else "")


class PayTiers(Payer):
    of_period = True

    def prepare(self) -> None:
        self.of_target = self.reward.of == "target"
        self.levels = [units(tier.at) for tier in self.reward.tiers]
        self.amounts = [self.minor(tier.amount) for tier in self.reward.tiers]

    def drafts(self, card: Card) -> Iterator[Draft]:
        if card.total <= 0 or (self.of_target and card.target is None):
            return
        unit = card.target if self.of_target else _TARGET_SCALE
        reached = [index for index, level in enumerate(self.levels) if card.total * _TARGET_SCALE >= level * unit]
        highest = self.reward.mode == "highest"
        for index in reached[-1:] if highest else reached:
            minor = self.fixed(self.amounts[index])
            at = decimal_text(self.reward.tiers[index].at)
            key = f"r{self.index}:tier:" + ("highest" if highest else at)
            yield Draft(key, None, None, minor, self.explain(index, unit, card, minor), False)

    def explain(self, index: int, unit: int, card: Card, minor: int) -> str:
        words = self.words
        level = words.measure(half_up(self.levels[index] * unit, _TARGET_SCALE))
        if self.of_target:
            level += f" ({decimal_text(self.reward.tiers[index].at)} % of the target {words.measure(card.target)})"
        text = f"{words.measure(card.total)} reached {level}: {words.money(self.amounts[index])}"
        return text + (f"{self.tail} = {words.money(minor)}" if self.tail else "")


class PayMilestone(Payer):
    """The n-th activity of the period, whatever the share in it; overlays do not count as activities."""

    of_period = True

    def prepare(self) -> None:
        self.steps = [(step.count, self.minor(step.amount)) for step in self.reward.at]

    def drafts(self, card: Card) -> Iterator[Draft]:
        own = [credit for credit in card.credits if credit.role != OVERLAY]
        for count, amount in self.steps:
            if count <= len(own):
                credit, minor = own[count - 1], self.fixed(amount)
                text = f"{self.words.money(amount)} for activity number {count:,}"
                text += f"{self.tail} = {self.words.money(minor)}" if self.tail else ""
                key = f"r{self.index}:milestone:{count}"
                yield Draft(key, credit.fact_id, credit.counted_at, minor, text, False)


_PAYERS = {
    PerUnit: PayPerUnit, PerDeal: PayPerDeal, Percent: PayPercent, Bands: PayBands, Tiers: PayTiers,
    Milestone: PayMilestone,
}  # fmt: skip


def payers_of(definition: Definition, tier: str | None) -> tuple[Payer, ...]:
    """The payers for participants of one partner tier. `rank` has none: contests.py pays it at close."""
    words = Words(definition)
    return tuple(
        _PAYERS[type(reward)](index, reward, words, tier, _multipliers(definition, reward))
        for index, reward in enumerate(definition.rewards)
        if type(reward) in _PAYERS
    )


def _multipliers(definition: Definition, reward) -> dict[str, Decimal]:
    """The reward's own map replaces the program's."""
    own = reward.partner_multipliers
    return definition.partner_multipliers if own is None else own
