"""Whether a payout must wait for a tax reason. Called inside the transaction that builds it."""

from collections.abc import Collection
from datetime import UTC, date
from typing import NamedTuple

from django.db.models import Sum
from django.utils import timezone

from incentives.ledger.rates import RateTable
from incentives.tax.models import OutsideAward, TaxProfile, TaxRule
from incentives.tax.sources import Amount, source
from incentives.tax.standing import RuleBook, classification_of, country_of, covered, form_state
from incentives.tax.totals import Total, total_of
from rewards.money import Money

FORM, REVIEW = "tax", "tax_review"
FORM_REASON = "A tax form must be on file first. Finance records it under Tax."
REVIEW_REASON = "Finance reviews this payout for tax before it is sent."
RATE_REASON = "Finance reviews it for tax: an amount of the year has no exchange rate."
"""Reasons are read by everybody who may see payouts, so they say nothing of a person's classification or totals."""


class TaxHold(NamedTuple):
    kind: str
    reason: str


def utc_today() -> date:
    """Years and forms go by the UTC day, as payouts do: one day for every reader."""
    return timezone.now().astimezone(UTC).date()


def lock_profile(participant) -> TaxProfile:
    """The person's profile, locked; a blank one is made on first need. Call it in a transaction.

    Whoever counts a person's year holds this lock, so that two payouts built at once see each other (SQLite: one writer
    works at a time anyway).
    """
    locked = TaxProfile.objects.select_for_update(of=("self",), no_key=True)
    profile = locked.filter(participant=participant).first()
    if profile is None:
        TaxProfile.objects.get_or_create(participant=participant)
        profile = locked.get(participant=participant)
    return profile


class Watch:
    """One person's year under the lock: `check(amount)` adds a payout and says whether it must wait.

    Counted: delivered in the year, awards made elsewhere, and every payout that may still be delivered.
    Source: Instructions for Forms 1099-MISC and 1099-NEC: the aggregate of a calendar year, at least the threshold.
    """

    def __init__(self, participant, *, but: Collection[int] = (), today: date | None = None):
        self.today = today or utc_today()
        self.participant, self.but = participant, but
        self.profile = lock_profile(participant)
        self.rule = rule_for(participant, self.profile, self.today.year)
        self.form_state = form_state(self.profile, self.rule, self.today)
        self.table = RateTable()
        self.total: Total | None = None

    def check(self, amount: Money) -> TaxHold | None:
        action = self.rule.hold_action if self.rule else TaxRule.Action.NONE
        if action == TaxRule.Action.REVIEW:
            return TaxHold(REVIEW, REVIEW_REASON)
        if action == TaxRule.Action.NONE or covered(self.form_state):
            return None
        total = self.counted()
        total.add(Amount(self.participant.pk, self.today, amount), self.table.to(total.currency))
        if total.minor >= self.rule.threshold_minor:
            return TaxHold(FORM, FORM_REASON)
        return TaxHold(REVIEW, RATE_REASON) if total.unknown else None

    def counted(self) -> Total:
        """What stands before the next amount, read once."""
        if self.total is None:
            who = [self.participant.pk]
            year = date(self.today.year, 1, 1), date(self.today.year, 12, 31)
            amounts = [
                *source().delivered(*year, who),
                *source().in_flight(who, but=self.but, today=self.today),
                *outside(*year, who),
            ]
            self.total = total_of(amounts, self.rule.currency, self.table)
        return self.total


def hold_for(participant, amount: Money, *, but: Collection[int] = (), today: date | None = None) -> TaxHold | None:
    """(kind, reason) of the hold a payout of `amount` must start with, or None. Call it in the building transaction.

    `but`: ids of payouts not to count beside it, among them its own when it is written already. `today`: the UTC day whose
    year is meant. Locks the person's tax profile until the transaction ends.
    """
    return Watch(participant, but=but, today=today).check(amount)


def rule_for(participant, profile: TaxProfile | None, year: int) -> TaxRule | None:
    partner = participant.partner.country if participant.partner_id and not participant.country else ""
    country = country_of(participant.country, partner, profile)
    return RuleBook(year).of(country, classification_of(participant.type, profile))


def outside(first: date, last: date, participants: Collection[int] | None = None) -> list[Amount]:
    """Awards made elsewhere that stand, summed by person, day and currency."""
    awards = OutsideAward.objects.filter(on__gte=first, on__lte=last, cancelled_at__isnull=True)
    if participants is not None:
        awards = awards.filter(participant__in=participants)
    rows = awards.order_by().values_list("participant_id", "on", "currency").annotate(n=Sum("amount_minor"))
    return [Amount(who, on, Money(minor, currency)) for who, on, currency, minor in rows]
