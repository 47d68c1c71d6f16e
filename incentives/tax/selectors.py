"""One year of everybody's tax figures, in a constant number of queries."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import Min
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from incentives.ledger.rates import RateTable
from incentives.participants.models import Participant
from incentives.tax.models import Classification, OutsideAward, TaxProfile, TaxRule
from incentives.tax.services.holds import outside, utc_today
from incentives.tax.sources import Amount, Held, source
from incentives.tax.standing import RuleBook, classification_of, country_of, covered, form_state
from incentives.tax.totals import Total, total_of
from rewards.money import Money

NEAR = Decimal("0.8")
"""From this share of the threshold on somebody without a form is close to it."""
FORM_WORDS = {
    "not_needed": _("Not needed"),
    "on_file": _("On file"),
    "missing": _("Missing"),
    "expired": _("Expired"),
    "other_form": _("Another form"),
}
NO_CURRENCY = "USD"
"""For people no rule covers."""


@dataclass(slots=True)
class YearLine:
    """One participant's year. Money is in the rule's currency; `missing` is what no exchange rate could bring into it."""

    participant: Participant
    profile: TaxProfile | None
    classification: str
    country: str
    rule: TaxRule | None
    form: str
    paid: Money
    outside: Money
    in_flight: Money
    missing: list[Money] = field(default_factory=list)
    held: Held | None = None

    @property
    def total(self) -> Money:
        """Delivered and awarded elsewhere: what a report of the year says."""
        return self.paid + self.outside

    @property
    def threshold(self) -> Money | None:
        return self.rule.threshold if self.rule else None

    @property
    def reached(self) -> Decimal | None:
        """Of the threshold, with what is in flight: 1 is the threshold. None without one."""
        if not self.threshold:
            return None
        return Decimal((self.total + self.in_flight).minor) / self.threshold.minor

    @property
    def reportable(self) -> bool:
        """At or above the threshold without what is in flight."""
        return self.threshold is not None and self.total.minor >= self.threshold.minor

    @property
    def form_words(self) -> str:
        return str(FORM_WORDS[self.form])

    @property
    def open_form(self) -> bool:
        return not covered(self.form)

    @property
    def attention(self) -> bool:
        """Something waits, or soon will: held payouts, an amount without a rate, or close to the threshold without a form."""
        near = self.open_form and self.reached is not None and self.reached >= NEAR
        return self.held is not None or bool(self.missing) or near

    @property
    def is_empty(self) -> bool:
        return not (self.paid or self.outside or self.in_flight or self.missing or self.held)

    def get_absolute_url(self) -> str:
        return reverse("tax:participant", args=[self.participant.public_id])


def year_lines(year: int, participants: Collection[int] | None = None, today: date | None = None) -> list[YearLine]:
    """Everybody's year by name, or that of `participants` (ids). What is in flight or held belongs to the present year (UTC)."""
    today = today or utc_today()
    first, last = date(year, 1, 1), date(year, 12, 31)
    paid = _by_person(source().delivered(first, last, participants))
    other = _by_person(outside(first, last, participants))
    now = year == today.year
    moving = _by_person(source().in_flight(participants, today=today)) if now else {}
    held = source().held(participants) if now else {}
    people = Participant.objects.select_related("partner").order_by("name", "pk")
    if participants is not None:
        people = people.filter(pk__in=participants)
    profiles = {profile.participant_id: profile for profile in TaxProfile.objects.filter(participant__in=people)}
    book, table = RuleBook(year), RateTable()
    return [
        _line(person, profiles.get(person.pk), book, table, paid, other, moving, held.get(person.pk), min(today, last))
        for person in people
    ]


def _line(person, profile, book, table, paid, other, moving, held, day) -> YearLine:
    classification = classification_of(person.type, profile)
    country = country_of(person.country, person.partner.country if person.partner else "", profile)
    rule = book.of(country, classification)
    currency = rule.currency if rule else NO_CURRENCY
    totals = [total_of(part.get(person.pk, ()), currency, table) for part in (paid, other, moving)]
    return YearLine(
        person, profile, classification, country, rule, form_state(profile, rule, day),
        *(total.money for total in totals), missing=_missing(totals), held=held,
    )  # fmt: skip


def _missing(totals: Iterable[Total]) -> list[Money]:
    sums: dict[str, int] = defaultdict(int)
    for total in totals:
        for currency, minor in total.unknown.items():
            sums[currency] += minor
    return [Money(minor, currency) for currency, minor in sorted(sums.items())]


def _by_person(amounts: Iterable[Amount]) -> dict[int, list[Amount]]:
    found: dict[int, list[Amount]] = defaultdict(list)
    for amount in amounts:
        found[amount.participant_id].append(amount)
    return found


def years() -> list[int]:
    """Years to choose from, the latest first: from the first rule or award to now."""
    first_rule = TaxRule.objects.aggregate(year=Min("year_from"))["year"]
    first_award = OutsideAward.objects.aggregate(day=Min("on"))["day"]
    now = utc_today().year
    first = min(filter(None, [first_rule, first_award and first_award.year, now]))
    return list(range(now, max(first, now - 15) - 1, -1))


def classification_label(value: str) -> str:
    return str(Classification(value).label)
