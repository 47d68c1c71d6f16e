"""The chain behind one earning line: from the CRM record to the amount that stands, each step with when and by what.

A line is everything posted under one line key of one period. What it is worth is the sum of its postings; what happened to
the money afterwards is told by payouts/chain.py. One structure for both readers: with `own` it is built without other
people's data, so that neither a page nor the JSON can show what was never put in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.templatetags.laurel import number
from incentives.crm.models import ObjectState
from incentives.earnings.causes import Cause, causes_of
from incentives.earnings.evaluate import compute
from incentives.earnings.explain import waiting
from incentives.earnings.facts import fact_of, people_of
from incentives.earnings.models import Credit, Earning, Participation
from incentives.earnings.record import Step, history
from incentives.earnings.selectors import earning_lines, in_words
from incentives.programs.models import ProgramVersion, Target
from incentives.programs.rules.conditions import Explained, holds
from incentives.programs.rules.conditions import explain as explain_condition
from incentives.programs.rules.crediting import condition_of
from incentives.programs.rules.limits import decimal_text
from incentives.programs.selectors import measure_text, period_label
from incentives.programs.summary import reward_in_words
from incentives.programs.told import told, told_explained, told_limits
from incentives.programs.versions import definition_of
from rewards.money import Money

FACTS = 50
"""How many of the period's facts a line about the whole period names."""
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Share:
    """Whose fact it is: role in words, per cent of it, this part of the measure and the whole fact's."""

    role: str
    percent: Decimal
    measure: str
    whole: str
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """One fact of the period with the measure as it stood after it. `reached`: with it the line's level was reached."""

    name: str
    at: datetime
    measure: str
    after: str
    reached: bool
    record: ObjectState | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The measure of the period before and after the fact (of a line about the whole period: from nothing to now), with
    attainment in per cent where there is a target."""

    before: str
    after: str
    total: str
    target: str
    attainment_before: Decimal | None
    attainment_after: Decimal | None
    deals: int
    facts: list[Counted] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reward:
    """What the rule says and what it gave: `sentence` has the figures, `level` the band, tier or count it is about."""

    type: str
    rule: str
    sentence: str
    level: str
    multiplier: Decimal | None
    tier: str
    uncapped: Money | None
    cut: Money | None
    cut_words: str


@dataclass(frozen=True, slots=True)
class Posted:
    """One posted difference. `because`: what happened since the one before."""

    earning: Earning
    amount: Money
    at: datetime
    version: int
    words: str
    correction: bool
    because: list[Cause]


@dataclass(frozen=True, slots=True)
class Chain:
    """Everything about one line. `amount` is the sum of `postings`; `stands` says whether the rules give the line now."""

    earning: Earning
    participation: Participation
    period: str
    period_start: date
    amount: Money
    stands: bool
    record: ObjectState | None
    steps: list[Step]
    conditions: list[Explained]
    version: ProgramVersion
    share: Share | None
    standing: Standing | None
    reward: Reward
    problems: list[str]
    postings: list[Posted]
    counting: bool

    @property
    def program(self):
        return self.participation.program

    @property
    def participant(self):
        return self.participation.participant

    @property
    def title(self) -> str:
        return str(self.record) if self.record else gettext("The whole period")


def line_of(earning: Earning) -> list[Earning]:
    """Everything posted under the earning's line, oldest first. One query."""
    rows = Earning.objects.filter(
        participation=earning.participation_id, period_start=earning.period_start, line_key=earning.line_key
    )
    return list(earning_lines(rows).order_by("n"))


def line_minor(earning: Earning) -> int:
    """What the earning's line is worth now, in minor units."""
    return sum(row.amount_minor for row in line_of(earning))


def chain_of(earning: Earning, *, own: bool = False) -> Chain:
    """The chain of the earning's line. `own`: as its participant may read it. Writes nothing; a bounded number of queries
    whatever the line's history."""
    return _Teller(line_of(earning), earning, own).tell()


class _Teller:
    def __init__(self, rows: list[Earning], asked: Earning, own: bool):
        self.rows, self.last, self.asked = rows, rows[-1], asked
        self.participation = self.last.participation
        self.person = self.participation.participant
        self.own = self.person if own else None
        self.key, self.start = self.last.line_key, self.last.period_start
        self.record = next((row.object for row in rows if row.object_id), None)
        self.credits = self._credits()
        self.credit = next((c for c in self.credits if self._is_mine(c)), None)
        (computed,) = compute([self.participation])
        self.card = next((card for card in computed.scorecards if card.period_start == self.start), None)
        lines = [
            *(self.card.lines if self.card else ()),
            *(line for start, line in computed.prizes if start == self.start),
        ]
        self.line = next((line for line in lines if line.key == self.key), None)
        self.version = computed.version_of(self.line.version) if self.line else self.last.version
        self.definition = definition_of(self.version)

    def _credits(self) -> list[Credit]:
        """Those of the period in the order in which they are scored."""
        rows = self.participation.credits.filter(period_start=self.start).select_related("object", "version")
        return sorted(rows, key=lambda c: (c.counted_at, str(c.object_id), c.role == Credit.Role.OVERLAY))

    def _is_mine(self, credit: Credit) -> bool:
        overlay = self.key.endswith(":overlay")
        return (
            self.record is not None
            and credit.object_id == self.record.pk
            and (credit.role == Credit.Role.OVERLAY) == overlay
        )

    def tell(self) -> Chain:
        currency = self.last.currency
        return Chain(
            earning=self.asked,
            participation=self.participation,
            period=period_label(self.definition, self.start),
            period_start=self.start,
            amount=Money(sum(row.amount_minor for row in self.rows), currency),
            stands=self.line is not None,
            record=self.record,
            steps=history(self.record, self.own) if self.record else [],
            conditions=self.conditions(),
            version=self.version,
            share=self.share(),
            standing=self.standing(),
            reward=self.reward(),
            problems=[told(in_words(reason, {})) for reason in self.card.problems] if self.card else [],
            postings=self.postings(),
            counting=self.participation.dirty_seq > self.participation.scored_seq
            or bool(self.record and waiting(self.record)),
        )

    def conditions(self) -> list[Explained]:
        if self.record is None or not self.record.kind or not self.record.occurred_at:
            return []
        fact = fact_of(self.record, people_of([self.record]))
        condition = condition_of(self.definition)
        found = explain_condition(condition, fact)
        return told_explained(found if self.own is None else list(_plainly(found, holds(condition, fact))))

    def share(self) -> Share | None:
        if self.credit is None:
            return None
        return Share(
            role=str(self.credit.get_role_display()),
            percent=self.credit.share_percent,
            measure=measure_text(self.definition, self.credit.measure),
            whole=measure_text(self.definition, self.credit.whole),
            counted_at=self.credit.counted_at,
        )

    # --- the measure -----------------------------------------------------------------------------------------------------
    def standing(self) -> Standing | None:
        if not self.credits or (self.record is not None and self.credit is None):
            return None
        total = sum((c.measure for c in self.credits), Decimal(0))
        before, after = Decimal(0), total
        if self.credit is not None:
            place = self.credits.index(self.credit)
            before = sum((c.measure for c in self.credits[:place]), Decimal(0))
            after = before + self.credit.measure
        target = self.target()
        return Standing(
            before=self.text(before),
            after=self.text(after),
            total=self.text(total),
            target=self.text(target) if target else "",
            attainment_before=_attained(before, target),
            attainment_after=_attained(after, target),
            deals=sum(c.role != Credit.Role.OVERLAY for c in self.credits),
            facts=self.facts(target) if self.record is None else [],
        )

    def target(self) -> Decimal | None:
        if self.card is not None:
            return self.card.target
        rows = Target.objects.filter(program=self.participation.program_id, participant=self.person)
        return rows.filter(period_start=self.start).values_list("value", flat=True).first()

    def facts(self, target: Decimal | None) -> list[Counted]:
        """The period's facts; where there are many the newest, and always the one that reached the level."""
        at, running, found, reached = self.level_at(target), Decimal(0), [], False
        for credit in self.credits:
            running += credit.measure
            hit = at is not None and not reached and running >= at
            reached = reached or hit
            found.append(
                Counted(
                    name=str(credit.object),
                    at=credit.counted_at,
                    measure=self.text(credit.measure),
                    after=self.text(running),
                    reached=hit,
                    record=None if self.own else credit.object,
                )
            )
        newest = len(found) - FACTS
        return [item for place, item in enumerate(found) if place >= newest or item.reached]

    def level_at(self, target: Decimal | None) -> Decimal | None:
        """The measure at which this line's band or tier begins; None where the key names none."""
        rule, level = self.rule(), self.key.rpartition(":")[2]
        steps = getattr(rule, "tiers", None) or getattr(rule, "bands", None)
        if steps is None or self.key.count(":") < 2:
            return None
        levels = [_level(step) for step in steps]
        if getattr(rule, "of", "measure") == "target":
            if target is None:
                return None
            levels = [value * target / HUNDRED for value in levels]
        exact = {decimal_text(_level(step)): value for step, value in zip(steps, levels, strict=True)}
        if level in exact:
            return exact[level]
        total = sum((c.measure for c in self.credits), Decimal(0))
        return max((value for value in levels if value <= total), default=None)

    def text(self, value: Decimal) -> str:
        return measure_text(self.definition, value)

    # --- the rule --------------------------------------------------------------------------------------------------------
    def rule(self):
        """The reward of the definition the key names, or None when the present version has fewer."""
        index = self.key.partition(":")[0].removeprefix("r")
        rewards = self.definition.rewards
        return rewards[int(index)] if index.isdigit() and int(index) < len(rewards) else None

    def reward(self) -> Reward:
        rule, line, currency = self.rule(), self.line, self.last.currency
        said = line.explanation if line else self.last.explanation
        sentence, _comma, limits = said.partition(", limited to ")
        cut = Money(line.uncapped_minor - line.amount_minor, currency) if line else None
        factor, tier = self.multiplier(rule)
        return Reward(
            type=rule.type if rule else "",
            rule=reward_in_words(self.definition, rule) if rule else "",
            sentence=told(sentence),
            level=self.level(),
            multiplier=factor,
            tier=tier,
            uncapped=Money(line.uncapped_minor, currency) if line else None,
            cut=cut if cut else None,
            cut_words=told_limits(sentence, limits) if limits else "",
        )

    def level(self) -> str:
        kind, _colon, level = self.key.partition(":")[2].partition(":")
        if kind == "band" and level != "period":
            return gettext("the band from %(level)s on") % {"level": self.level_text(level)}
        if kind == "band":
            return gettext("the highest band reached")
        if kind == "tier":
            words = gettext("the highest level reached") if level == "highest" else self.level_text(level)
            return words if level == "highest" else gettext("the level %(level)s") % {"level": words}
        if kind == "milestone":
            return gettext("activity number %(n)s") % {"n": level}
        return gettext("the place in the standing") if kind == "rank" else ""

    def level_text(self, level: str) -> str:
        if getattr(self.rule(), "of", "measure") == "target":
            return gettext("%(n)s %% of the target") % {"n": number(level)}
        return self.text(Decimal(level))

    def multiplier(self, rule) -> tuple[Decimal | None, str]:
        tier = self.person.partner.tier if self.person.partner_id else ""
        own = getattr(rule, "partner_multipliers", None)
        found = (self.definition.partner_multipliers if own is None else own).get(tier) if tier else None
        return (found, tier) if found not in (None, 1) else (None, "")

    # --- what was posted -------------------------------------------------------------------------------------------------
    def postings(self) -> list[Posted]:
        because = causes_of(self.rows, self.record, own=self.own)
        return [
            Posted(
                earning=row,
                amount=row.amount,
                at=row.posted_at,
                version=row.version.number,
                words=row.told,
                correction=row.n > 1,
                because=because[row.pk],
            )
            for row in self.rows
        ]


PLAIN = {
    "kind is deal.won": _("the deal is won"),
    "kind is metric.reported": _("the figure was reported"),
    "kind is claim.submitted": _("the claim was approved"),
    "kind is award.given": _("somebody gave it to you"),
}


def _plainly(found: list[Explained], passes: bool) -> Iterator[Explained]:
    """As the participant reads them: of a fact that counts what speaks for it (not the other ways it could have counted),
    nothing about other people, and no codes."""
    for item in found:
        hidden = "participant" in item.text or item.found.startswith("award-")
        if hidden or (passes and not item.passed):
            continue
        yield Explained(str(PLAIN[item.text]), gettext("yes"), item.passed) if item.text in PLAIN else item


def _level(step) -> Decimal:
    """Where a tier or band begins."""
    return step.at if hasattr(step, "at") else step.from_


def _attained(measure: Decimal, target: Decimal | None) -> Decimal | None:
    """Per cent of the target, rounded down to two digits; None without a target."""
    return None if not target else (measure * HUNDRED / target).quantize(Decimal("0.01"), ROUND_DOWN)
