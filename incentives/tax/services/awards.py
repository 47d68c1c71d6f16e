"""Awards made elsewhere: entered by hand or from a file, cancelled with a reason."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError, transaction
from django.utils import timezone

from incentives.core import audit
from incentives.participants.models import Participant
from incentives.tax.errors import AwardInvalid
from incentives.tax.identifiers import looks_like_identifier, refuse_identifiers
from incentives.tax.models import OutsideAward
from incentives.tax.services.holds import lock_profile, utc_today
from incentives.tax.services.profiles import require
from incentives.tax.sources import waiting
from rewards.money import Money

EARLIEST = date(2000, 1, 1)


@dataclass(frozen=True, slots=True)
class AwardRow:
    """One wanted award. `reference` is the other system's own key; with one, the same award is never taken twice."""

    participant: Participant
    on: date
    amount: Money
    source: str
    reference: str = ""

    @property
    def key(self) -> tuple:
        if self.reference:
            return self.source, self.reference
        return self.participant.pk, self.on, self.amount, self.source


def award_problem(row: AwardRow) -> str:
    """What is wrong with a row by itself, in words; empty when nothing is."""
    if row.amount.minor <= 0:
        return "the amount must be above zero; an award that was taken back is cancelled."
    if not EARLIEST <= row.on <= utc_today():
        return f"the date is {row.on}; expected a day up to today."
    if not row.source.strip() or len(row.source) > 120:
        return "the source must say where the award was made, in at most 120 characters."
    if len(row.reference) > 80:
        return "the reference has more than 80 characters."
    if looks_like_identifier(row.source) or looks_like_identifier(row.reference):
        return "the source or reference holds what looks like a tax identification number; Laurel stores none."
    return ""


def add_awards(*, rows: Sequence[AwardRow], actor) -> dict[str, int]:
    """Enter awards, all or nothing. Returns {"added", "unchanged"}: what stands already is not entered again, so that the
    same file twice adds nothing; two equal lines of one file are two awards.

    People's waiting payouts are looked at again: what the new total brings to the threshold is held, nothing is let go.
    Raises NotAllowed (not finance, or an award of one's own), AwardInvalid naming the row.
    """
    require(actor)
    for number, row in enumerate(rows, start=1):
        require(actor, row.participant)
        if problem := award_problem(row):
            raise AwardInvalid(f"Row {number}: {problem}")
    people = {row.participant.pk: row.participant for row in rows}
    try:
        with transaction.atomic():
            for _pk, person in sorted(people.items()):
                waiting().lock(person.pk)
                lock_profile(person)
            fresh = new_rows(rows)
            for row in fresh:
                _enter(row, actor)
            for _pk, person in sorted({row.participant.pk: row.participant for row in fresh}.items()):
                waiting().follow(person, actor=actor, lower=False)
    except IntegrityError as exc:  # the same reference for somebody else, entered in the same moment
        raise AwardInvalid("A reference of these rows was entered in the same moment. Look again.") from exc
    return {"added": len(fresh), "unchanged": len(rows) - len(fresh)}


def new_rows(rows: Sequence[AwardRow]) -> list[AwardRow]:
    """Those that do not stand yet. Raises AwardInvalid: a reference stands with other values."""
    standing: Counter = Counter()
    by_reference: dict[tuple, tuple] = {}
    live = OutsideAward.objects.filter(cancelled_at__isnull=True)
    people = {row.participant.pk for row in rows}
    references = {row.reference for row in rows if row.reference}
    for award in live.filter(participant__in=people, reference=""):
        standing[award.participant_id, award.on, award.amount, award.source] += 1
    for award in live.filter(reference__in=references):
        by_reference[award.source, award.reference] = (award.participant_id, award.on, award.amount)
    fresh = []
    for number, row in enumerate(rows, start=1):
        if row.reference:
            values = row.participant.pk, row.on, row.amount
            if by_reference.setdefault(row.key, None) is None:
                by_reference[row.key] = values
                fresh.append(row)
            elif by_reference[row.key] != values:
                raise AwardInvalid(f"Row {number}: reference {row.reference} stands already with other values.")
        elif standing[row.key] > 0:
            standing[row.key] -= 1
        else:
            fresh.append(row)
    return fresh


def _enter(row: AwardRow, actor) -> None:
    OutsideAward.objects.create(
        participant=row.participant, on=row.on, amount_minor=row.amount.minor, currency=row.amount.currency,
        source=row.source, reference=row.reference, entered_by=actor,
    )  # fmt: skip
    audit.record("outside_award.entered", row.participant, actor=actor)


def cancel_award(*, award: OutsideAward, actor, reason: str) -> OutsideAward:
    """Count an award no longer. Holds stay: lowering is never automatic. A repeat changes nothing.

    Raises NotAllowed (not finance, or one's own), AwardInvalid (no reason), IdentifierRefused.
    """
    require(actor, award.participant)
    if not reason.strip():
        raise AwardInvalid("Give a reason; it is kept with the award.")
    refuse_identifiers(reason)
    with transaction.atomic():
        lock_profile(award.participant)
        live = OutsideAward.objects.filter(pk=award.pk, cancelled_at__isnull=True)
        if live.update(cancelled_at=timezone.now(), cancelled_by=actor, cancel_reason=reason.strip()[:300]):
            audit.record("outside_award.cancelled", award.participant, actor=actor)
    award.refresh_from_db()
    return award
