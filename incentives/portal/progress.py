"""How far somebody is, and what more would earn: pure functions of the definition and one scorecard."""

from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext as _

from incentives.core.templatetags.laurel import money_text, number
from incentives.programs.rules.schema import Bands, Definition, Milestone, Percent, PerDeal, PerUnit, Rank, Tiers
from rewards.money import Money

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Step:
    """A level and what reaching it is worth: `at` in the measure's own kind, `reward` Money or words such as `6%`."""

    at: Money | Decimal
    reward: Money | str


@dataclass(frozen=True, slots=True)
class Progress:
    """One reward of a program for one person: `value` reached so far, `steps` in rising order, `rule` in words."""

    rule: str
    value: Money | Decimal
    steps: list[Step] = field(default_factory=list)

    @property
    def next(self) -> Step | None:
        return next((step for step in self.steps if _number(step.at) > _number(self.value)), None)

    @property
    def missing(self) -> Money | Decimal | None:
        step = self.next
        return None if step is None else step.at - self.value

    @property
    def sentence(self) -> str:
        """`2,500.00 USD more reach the next reward of 250.00 USD.` Empty when there is no next."""
        step = self.next
        if step is None:
            return ""
        words = {"missing": _text(self.missing), "reward": _text(step.reward)}
        if isinstance(step.reward, Money):
            return _("%(missing)s more reach the next reward of %(reward)s.") % words
        return _("%(missing)s more reach the next rate of %(reward)s.") % words

    @property
    def tiers(self) -> list[dict]:
        """What the tag `tier_progress` takes."""
        return [{"at": step.at, "reward": step.reward} for step in self.steps]


def _number(value) -> Decimal:
    return value.decimal if isinstance(value, Money) else Decimal(value)


def _text(value) -> str:
    if isinstance(value, Money):
        return money_text(value)
    return value if isinstance(value, str) else number(value)


def progress_of(
    definition: Definition, *, measure: Decimal, deals: int = 0, target: Decimal | None = None, tier: str = ""
) -> list[Progress]:
    """One Progress per reward of the definition, in its order.

    `measure`, `deals` and `target` are a scorecard's; `tier` is the participant's partner tier, whose multiplier scales
    what a step is worth. A reward `of: target` has no steps without a target.
    """
    scale = _Scale(definition, tier)
    return [_PROGRESS[type(reward)](scale, reward, measure, deals, target) for reward in definition.rewards]


class _Scale:
    """Numbers of one program as the reader sees them."""

    def __init__(self, definition: Definition, tier: str):
        self.definition, self.tier, self.currency = definition, tier, definition.currency
        self.in_money = definition.measure.metric == "amount"

    def measure(self, value: Decimal) -> Money | Decimal:
        return Money.from_decimal(value, self.currency) if self.in_money else Decimal(value)

    def money(self, reward, amount: Decimal) -> Money:
        return Money.from_decimal(amount * self.factor(reward), self.currency)

    def rate(self, reward, rate: Decimal) -> str:
        return f"{number(rate * self.factor(reward))}%"

    def factor(self, reward) -> Decimal:
        own = getattr(reward, "partner_multipliers", None)
        return (self.definition.partner_multipliers if own is None else own).get(self.tier, Decimal(1))

    def level(self, of: str, at: Decimal, target: Decimal | None) -> Money | Decimal | None:
        if of == "measure":
            return self.measure(at)
        return None if target is None else self.measure(at * target / HUNDRED)


def _tiers(scale: _Scale, reward: Tiers, measure, deals, target) -> Progress:
    levels = [(scale.level(reward.of, tier.at, target), scale.money(reward, tier.amount)) for tier in reward.tiers]
    rule = _("Every level pays its reward.") if reward.mode == "each" else _("The highest level reached pays.")
    return Progress(rule, scale.measure(measure), [Step(*pair) for pair in levels if pair[0] is not None])


def _bands(scale: _Scale, reward: Bands, measure, deals, target) -> Progress:
    worth = [
        scale.rate(reward, band.rate) if band.rate is not None else scale.money(reward, band.amount)
        for band in reward.bands
    ]
    if reward.over == "deal":
        return Progress(_("Each deal pays %(rates)s, by its size.") % _joined(worth), scale.measure(measure))
    levels = [scale.level(reward.of, band.from_, target) for band in reward.bands]
    steps = [Step(at, pay) for at, pay in zip(levels, worth, strict=True) if at is not None and _number(at) > 0]
    rule = _("From the start %(first)s.") % {"first": _text(worth[0])} if reward.bands[0].from_ == 0 else ""
    return Progress(rule, scale.measure(measure), steps)


def _joined(worth: list) -> dict:
    return {"rates": _(" or ").join(_text(item) for item in worth)}


def _milestone(scale: _Scale, reward: Milestone, measure, deals, target) -> Progress:
    steps = [Step(Decimal(step.count), scale.money(reward, step.amount)) for step in reward.at]
    return Progress(_("Certain deals pay a reward of their own."), Decimal(deals), steps)


def _per_unit(scale: _Scale, reward: PerUnit, measure, deals, target) -> Progress:
    pay = money_text(scale.money(reward, reward.amount))
    return Progress(_("%(pay)s for every unit.") % {"pay": pay}, scale.measure(measure))


def _per_deal(scale: _Scale, reward: PerDeal, measure, deals, target) -> Progress:
    pay = money_text(scale.money(reward, reward.amount))
    return Progress(_("%(pay)s for every deal.") % {"pay": pay}, scale.measure(measure))


def _percent(scale: _Scale, reward: Percent, measure, deals, target) -> Progress:
    return Progress(_("%(rate)s of what counts.") % {"rate": scale.rate(reward, reward.rate)}, scale.measure(measure))


def _rank(scale: _Scale, reward: Rank, measure, deals, target) -> Progress:
    best = Money.from_decimal(reward.prizes[0].amount, scale.currency)
    return Progress(
        _("The best win prizes at the end, up to %(best)s.") % {"best": money_text(best)}, scale.measure(measure)
    )


_PROGRESS = {
    Tiers: _tiers,
    Bands: _bands,
    Milestone: _milestone,
    PerUnit: _per_unit,
    PerDeal: _per_deal,
    Percent: _percent,
    Rank: _rank,
}
