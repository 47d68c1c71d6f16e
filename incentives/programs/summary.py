"""A program definition in plain words: what reps, approvers and auditors read instead of the document."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import singledispatchmethod
from itertools import zip_longest

from django.utils import formats
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.templatetags.laurel import money_text, number
from incentives.programs.rules.conditions import Condition, Group, Not, Test, sentence
from incentives.programs.rules.crediting import condition_of
from incentives.programs.rules.parsing import digest, parse_definition
from incentives.programs.rules.schema import (
    CHOOSE_WITHIN_DAYS,
    Bands,
    Definition,
    Milestone,
    Percent,
    PerDeal,
    PerUnit,
    Rank,
    RankPrize,
    Tiers,
)
from incentives.programs.told import told_condition
from rewards.money import Money

KINDS = {
    "spiff": _("SPIFF"),
    "deal_bonus": _("Deal bonus"),
    "quota": _("Quota bonus"),
    "contest": _("Contest"),
    "channel": _("Channel program"),
    "milestone": _("Milestone"),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """`part`: the part of the definition it tells, in words, for example "Caps"."""

    part: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence that differs between two definitions; `before` or `after` is empty where it came or went."""

    part: str
    before: str
    after: str


def sentences(definition: Definition | dict) -> list[str]:
    """Every part of the definition as one sentence or more, in the order a person asks. Equal sentences mean an equal
    program: tests change every key of a definition and look for a changed sentence."""
    return [item.text for item in outline(definition)]


def outline(definition: Definition | dict) -> list[Sentence]:
    """As `sentences`, each with the part it belongs to. A dict that is no definition raises DefinitionError."""
    return list(_Teller(_parsed(definition)).all())


def grouped(definition: Definition | dict) -> list[tuple[str, list[str]]]:
    """The outline as (part, its sentences), for pages."""
    return list(_by_part(definition).items())


def differences(before: Definition | dict, after: Definition | dict) -> list[Change]:
    """What differs between two definitions, in words; empty when they mean the same.

    Two documents that read alike but are not (`attributes.kind` and `kind`) differ by their digests.
    """
    before, after = _parsed(before), _parsed(after)
    old, new = _by_part(before), _by_part(after)
    changes = []
    for part in {**old, **new}:
        gone = [text for text in old.get(part, []) if text not in new.get(part, [])]
        came = [text for text in new.get(part, []) if text not in old.get(part, [])]
        changes += [Change(part, left, right) for left, right in zip_longest(gone, came, fillvalue="")]
    if not changes and before != after:
        changes.append(Change(gettext("Document"), digest(before)[:16], digest(after)[:16]))
    return changes


def reward_in_words(definition: Definition, reward) -> str:
    """One reward of the definition as a sentence: `Pays 2 % of the amount of every won deal.`"""
    return f"{_Teller(definition).reward(reward)}."


def _parsed(definition: Definition | dict) -> Definition:
    return definition if isinstance(definition, Definition) else parse_definition(definition)


def _by_part(definition: Definition | dict) -> dict[str, list[str]]:
    parts: dict[str, list[str]] = {}
    for item in outline(definition):
        parts.setdefault(item.part, []).append(item.text)
    return parts


def phrase(condition: Condition) -> str:
    """A condition as a clause: `the deal is won and (region is EMEA or region is APAC)`."""
    if isinstance(condition, Not):
        return gettext("not (%(clause)s)") % {"clause": phrase(condition.item)}
    if isinstance(condition, Group):
        word = gettext(" and ") if condition.word == "all" else gettext(" or ")
        inside = [_inner(item, condition) for item in condition.items]
        return word.join(inside)
    return _test(condition)


def _inner(item: Condition, around: Group) -> str:
    needs = isinstance(item, Group) and item.word != around.word and len(item.items) > 1
    return f"({phrase(item)})" if needs else phrase(item)


def _test(test: Test) -> str:
    known = {
        ("kind", "eq", "deal.won"): gettext("the deal is won"),
        ("kind", "eq", "metric.reported"): gettext("it is a reported metric"),
        ("kind", "eq", "claim.submitted"): gettext("it is an approved claim"),
        ("kind", "eq", "award.given"): gettext("it is an award that somebody gave"),
    }
    key = (test.field, test.op, test.value)
    return known[key] if isinstance(test.value, str) and key in known else told_condition(sentence(test))


def day(value: date) -> str:
    return formats.date_format(value, gettext("j M Y"))


def listed(words, last: str = "") -> str:
    """`a, b or c`"""
    words, last = [str(word) for word in words], last or gettext("or")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


class _Teller:
    """Tells one definition. Every method gives the sentences of one part."""

    def __init__(self, definition: Definition):
        self.d = definition

    def all(self) -> Iterator[Sentence]:
        parts = (
            (gettext("Program"), self.program),
            (gettext("Rewards"), self.rewards),
            (gettext("Caps"), self.caps),
            (gettext("Partner tiers"), self.multipliers),
            (gettext("What counts"), self.qualifies),
            (gettext("Measure"), self.measure),
            (gettext("Periods"), self.period),
            (gettext("Who earns"), self.eligible),
            (gettext("Credit"), self.credit),
            (gettext("Dates"), self.dates),
            (gettext("Stacking"), self.stacking),
            (gettext("Budget"), self.stop_when_spent),
            (gettext("Payout"), self.payout),
            (gettext("Delivery"), self.delivery),
            (gettext("Message"), self.personalization),
        )
        for part, tell in parts:
            for text in tell():
                yield Sentence(part, text)

    # --- words
    def money(self, amount: Decimal) -> str:
        return money_text(Money.from_decimal(amount, self.d.currency))

    def metric(self) -> str:
        names = {
            "amount": gettext("amount"),
            "quantity": gettext("quantity"),
            "deals": gettext("number of deals"),
            "value": gettext("reported value"),
        }
        found = self.d.measure.metric
        return names.get(found) or found.removeprefix("attributes.").replace("_", " ")

    def subject(self) -> str:
        condition = condition_of(self.d)
        just_won = isinstance(condition, Test) and (condition.field, condition.value) == ("kind", "deal.won")
        return gettext("won deal") if just_won else gettext("activity that counts")

    def level(self, value: Decimal, of: str = "measure") -> str:
        """A threshold: money, units, deals, or per cent of the target."""
        if of == "target":
            return gettext("%(n)s %% of the target") % {"n": number(value)}
        if self.d.measure.metric == "amount":
            exact = Money.from_decimal(value, self.d.currency).decimal == value
            return self.money(value) if exact else f"{number(value)} {self.d.currency}"
        if self.d.measure.metric == "deals":
            return ngettext("%(n)s deal", "%(n)s deals", int(value)) % {"n": number(value)}
        if self.d.measure.metric == "quantity":
            return ngettext("%(n)s unit", "%(n)s units", int(value)) % {"n": number(value)}
        return f"{number(value)} ({self.metric()})"

    def per_period(self) -> str:
        return {
            "program": gettext("in the whole program"),
            "week": gettext("per week"),
            "month": gettext("per month"),
            "quarter": gettext("per quarter"),
            "year": gettext("per year"),
        }[self.d.period]

    # --- parts
    def program(self) -> Iterator[str]:
        yield gettext("“%(name)s” is filed as %(kind)s and pays in %(currency)s.") % {
            "name": self.d.name,
            "kind": KINDS[self.d.template],
            "currency": self.d.currency,
        }

    def dates(self) -> Iterator[str]:
        yield gettext("Runs from %(first)s to %(last)s, by the clock of %(zone)s.") % {
            "first": day(self.d.starts_on),
            "last": day(self.d.ends_on),
            "zone": self.d.time_zone,
        }
        yield {
            "occurred_at": gettext("An activity counts at the moment it happened, a deal when it was won."),
            "close_date": gettext("An activity counts on its close date."),
        }[self.d.counts_by]
        if self.d.grace_days:
            yield ngettext(
                "Closes %(n)s day after the last day, so that late facts still count.",
                "Closes %(n)s days after the last day, so that late facts still count.",
                self.d.grace_days,
            ) % {"n": self.d.grace_days}
        else:
            yield gettext("Closes when the last day is over, without grace days.")

    def eligible(self) -> Iterator[str]:
        rule = self.d.eligible
        if rule.invited_only:
            yield gettext("Only people who are invited by name can earn.")
        types = {
            "employee": gettext("employees"),
            "contractor": gettext("contractors"),
            "partner": gettext("partners' people"),
        }
        limits = [
            (gettext("of type %(names)s"), [types[kind] for kind in rule.types]),
            (gettext("in team %(names)s"), rule.teams),
            (gettext("of partner %(names)s"), rule.partners),
            (gettext("of partner tier %(names)s"), rule.partner_tiers),
            (gettext("in region %(names)s"), rule.regions),
        ]
        told = [text % {"names": listed(names)} for text, names in limits if names]
        if not told:
            if not rule.invited_only:
                yield gettext("Everybody can earn.")
        else:
            words = (
                gettext("Nobody else can, not even people %(limits)s.")
                if rule.invited_only
                else gettext("Only people %(limits)s can earn.")
            )
            yield words % {"limits": listed(told, gettext("and"))}

    def qualifies(self) -> Iterator[str]:
        yield gettext("An activity counts when %(clause)s.") % {"clause": phrase(condition_of(self.d))}

    def credit(self) -> Iterator[str]:
        yield {
            "owner": gettext("It counts in full for its owner."),
            "splits": gettext("It is shared by its splits; without splits it counts in full for its owner."),
        }[self.d.credit.to]
        for overlay in self.d.credit.overlays:
            who = {
                "manager": gettext("the manager of each of them"),
                "second_manager": gettext("the manager's manager of each of them"),
                "participant": overlay.participant,
            }[overlay.to]
            yield gettext("On top, %(who)s is credited with %(percent)s %% of it.") % {
                "who": who,
                "percent": number(overlay.percent),
            }

    def measure(self) -> Iterator[str]:
        if self.d.measure.lines is None:
            yield gettext("Measured is the %(metric)s.") % {"metric": self.metric()}
        else:
            yield gettext("Measured is the %(metric)s of the product lines where %(clause)s.") % {
                "metric": self.metric(),
                "clause": phrase(self.d.measure.lines),
            }

    def period(self) -> Iterator[str]:
        yield {
            "program": gettext("The measure runs through the whole program."),
            "week": gettext("The measure starts again every week, on Monday."),
            "month": gettext("The measure starts again every month."),
            "quarter": gettext("The measure starts again every quarter."),
            "year": gettext("The measure starts again every year."),
        }[self.d.period]

    def caps(self) -> Iterator[str]:
        caps = self.d.caps
        told = [
            gettext("%(amount)s per deal") % {"amount": self.money(caps.deal)} if caps.deal else "",
            f"{self.money(caps.period)} {self.per_period()}" if caps.period else "",
            gettext("%(amount)s per participant over the whole program") % {"amount": self.money(caps.participant)}
            if caps.participant
            else "",
        ]
        told = [text for text in told if text]
        if told:
            yield gettext("Pays at most %(limits)s.") % {"limits": listed(told, gettext("and"))}
        else:
            yield gettext("No cap limits what is earned.")

    def multipliers(self) -> Iterator[str]:
        if self.d.partner_multipliers:
            yield gettext("What partners' people earn is multiplied by their tier: %(factors)s.") % {
                "factors": _factors(self.d.partner_multipliers)
            }

    def stacking(self) -> Iterator[str]:
        if self.d.stacking is None:
            yield gettext("Pays whatever other programs pay for the same activity.")
            return
        yield {
            "all": gettext("In the group “%(group)s” every program pays for the same activity."),
            "highest": gettext("In the group “%(group)s” only the program that pays most for an activity pays for it."),
            "first": gettext("In the group “%(group)s” only the program that started first pays for an activity."),
        }[self.d.stacking.rule] % {"group": self.d.stacking.group}

    def stop_when_spent(self) -> Iterator[str]:
        if self.d.stop_when_spent:
            yield gettext("Stops when the budget has no room left; facts received later do not count.")
        else:
            yield gettext("Keeps counting when the budget has no room left; payouts then wait for funding.")

    def payout(self) -> Iterator[str]:
        rule = self.d.payout
        text = {
            "instant": gettext("Pays out as soon as something is earned"),
            "weekly": gettext("Pays out every week"),
            "monthly": gettext("Pays out every month"),
            "at_close": gettext("Pays out when the program has closed"),
        }[rule.when]
        if rule.hold_days:
            waiting = ngettext(", after waiting %(n)s day", ", after waiting %(n)s days", rule.hold_days)
            text += waiting % {"n": rule.hold_days}
        if rule.minimum:
            text += gettext("; less than %(amount)s is carried to the next time") % {"amount": self.money(rule.minimum)}
        yield f"{text}."
        yield {
            "next_payout": gettext("What was paid and is no longer earned is taken from the next payout."),
            "write_off": gettext("What was paid and is no longer earned is written off when finance approves it."),
            "none": gettext("What was paid stays paid, even when it is no longer earned."),
        }[rule.recovery]

    def delivery(self) -> Iterator[str]:
        rule = self.d.delivery
        if rule is None:
            yield gettext("How rewards are delivered is not said yet; it is needed for the launch.")
            return
        how = {
            ("DigitalDelivery", "email"): gettext("as a digital card by e-mail"),
            ("DigitalDelivery", "sms"): gettext("as a digital card by text message"),
            ("DigitalDelivery", None): gettext("as a digital card, by e-mail unless said otherwise"),
            ("Links", None): gettext("as a claim link on the page My rewards"),
            ("PhysicalShipment", None): gettext("as a physical card by mail"),
        }[rule.type, rule.channel]
        if rule.products == "any":
            what = gettext("the participant chooses any product of the catalogue in %(currency)s")
        elif len(rule.products) == 1:
            what = gettext("the product is %(products)s")
        else:
            what = gettext("the participant chooses between %(products)s")
        products = "" if rule.products == "any" else listed(rule.products, gettext("and"))
        what %= {"currency": self.d.currency, "products": products}
        yield gettext("Rewards come %(how)s; %(what)s.") % {"how": how, "what": what}
        if rule.products == "any" or len(rule.products) > 1:
            days = rule.choose_within_days or CHOOSE_WITHIN_DAYS
            text = ngettext(
                "Who has not chosen within %(n)s day gets the first of them.",
                "Who has not chosen within %(n)s days gets the first of them.",
                days,
            )
            yield text % {"n": days}

    def personalization(self) -> Iterator[str]:
        if self.d.personalization.from_name:
            yield gettext("The card comes from “%(name)s”.") % {"name": self.d.personalization.from_name}
        if self.d.personalization.message:
            yield gettext("The card says: “%(message)s”") % {"message": self.d.personalization.message}

    # --- rewards
    def rewards(self) -> Iterator[str]:
        for reward in self.d.rewards:
            text = self.reward(reward)
            own = getattr(reward, "partner_multipliers", None)
            if own is not None:
                factors = _factors(own) if own else gettext("none")
                text += gettext("; its own factors for partner tiers: %(factors)s") % {"factors": factors}
            yield f"{text}."

    @singledispatchmethod
    def reward(self, reward) -> str:
        raise TypeError(f"no words for {type(reward).__name__}")

    @reward.register
    def _(self, reward: PerUnit) -> str:
        return gettext("Pays %(amount)s for every whole unit measured") % {"amount": self.money(reward.amount)}

    @reward.register
    def _(self, reward: PerDeal) -> str:
        return gettext("Pays %(amount)s for every %(subject)s") % {
            "amount": self.money(reward.amount),
            "subject": self.subject(),
        }

    @reward.register
    def _(self, reward: Percent) -> str:
        return gettext("Pays %(rate)s %% of the %(metric)s of every %(subject)s") % {
            "rate": number(reward.rate),
            "metric": self.metric(),
            "subject": self.subject(),
        }

    @reward.register
    def _(self, reward: Bands) -> str:
        over = gettext("of each activity") if reward.over == "deal" else self.per_period()
        mode = {
            "marginal": gettext("each band pays its own slice"),
            "whole": gettext("the highest band reached pays for everything"),
        }[reward.mode]
        return gettext("Pays by the %(metric)s %(over)s, where %(mode)s: %(bands)s") % {
            "metric": self.metric(),
            "over": over,
            "mode": mode,
            "bands": "; ".join(self.band(band, reward.of) for band in reward.bands),
        }

    def band(self, band, of: str) -> str:
        pays = gettext("%(rate)s %%") % {"rate": number(band.rate)} if band.amount is None else self.money(band.amount)
        return gettext("%(pays)s from %(level)s on") % {"pays": pays, "level": self.level(band.from_, of)}

    @reward.register
    def _(self, reward: Tiers) -> str:
        mode = {
            "highest": gettext("the highest step reached"),
            "each": gettext("every step reached"),
        }[reward.mode]
        steps = [
            gettext("%(amount)s at %(level)s")
            % {"amount": self.money(tier.amount), "level": self.level(tier.at, reward.of)}
            for tier in reward.tiers
        ]
        return gettext("Pays a fixed amount by the %(metric)s %(per)s, for %(mode)s: %(steps)s") % {
            "metric": self.metric(),
            "per": self.per_period(),
            "mode": mode,
            "steps": "; ".join(steps),
        }

    @reward.register
    def _(self, reward: Rank) -> str:
        who = {
            "participant": gettext("people"),
            "team": gettext("teams"),
            "partner": gettext("partners"),
        }[reward.by]
        ties = {
            "split": gettext("those who tie share the prizes of their ranks"),
            "same": gettext("those who tie each get the best prize of their ranks"),
            "earliest": gettext("of those who tie, who got there first stands first"),
        }[reward.ties]
        text = gettext("Ranks %(who)s by the %(metric)s when the program closes and pays %(prizes)s; %(ties)s") % {
            "who": who,
            "metric": self.metric(),
            "prizes": listed([self.prize(prize) for prize in reward.prizes], gettext("and")),
            "ties": ties,
        }
        if reward.minimum is not None:
            text += gettext("; who has less than %(level)s wins nothing") % {"level": self.level(reward.minimum)}
        return text

    def prize(self, prize: RankPrize) -> str:
        first, last = prize.bounds
        if first == last:
            return gettext("%(amount)s for rank %(rank)s") % {"amount": self.money(prize.amount), "rank": first}
        return gettext("%(amount)s each for ranks %(first)s to %(last)s") % {
            "amount": self.money(prize.amount),
            "first": first,
            "last": last,
        }

    @reward.register
    def _(self, reward: Milestone) -> str:
        steps = [
            gettext("%(amount)s for activity number %(n)s")
            % {"amount": self.money(step.amount), "n": number(step.count)}
            for step in reward.at
        ]
        return gettext("Pays for milestones %(per)s: %(steps)s") % {"per": self.per_period(), "steps": "; ".join(steps)}


def _factors(multipliers) -> str:
    return ", ".join(f"{tier} × {number(factor)}" for tier, factor in multipliers.items())
