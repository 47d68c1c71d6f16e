"""Channel programs as claims see them: which take claims, from whom, until when, and what they make of one."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from incentives.claims.models import Claim
from incentives.participants.models import Participant
from incentives.participants.selectors import roster_row
from incentives.programs.models import Enrollment, Program, ProgramStop, ProgramVersion
from incentives.programs.rules.conditions import tests
from incentives.programs.rules.crediting import condition_of, credits_for, ineligible
from incentives.programs.rules.facts import Fact, Person
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import closes_at
from incentives.programs.rules.schema import Definition

KIND = "claim.submitted"
RESUBMIT = timedelta(days=14)
"""So long a returned claim may be sent again, even when the program's own deadline has passed meanwhile."""
TAKING = (Program.Status.ACTIVE, Program.Status.PAUSED, Program.Status.CLOSING)
"""A pause stops payouts, not the count."""


@lru_cache(maxsize=256)
def _parsed(digest: str, version_id: int) -> Definition:
    return parse_definition(ProgramVersion.objects.get(pk=version_id).definition)


def takes_claims(definition: Definition) -> bool:
    """Whether the program asks for claims: its condition names the kind."""
    for test in tests(condition_of(definition)):
        wanted = test.value if isinstance(test.value, tuple) else (test.value,)
        if test.field == "kind" and test.op in ("eq", "in") and KIND in wanted:
            return True
    return False


def definition_of(program: Program, moment: datetime | None = None) -> Definition | None:
    """The published definition that governs a fact that counts at `moment` (now): None for a first draft."""
    return _governing(program.versions.filter(published_at__isnull=False).defer("definition"), moment)


def _governing(versions, moment: datetime | None) -> Definition | None:
    moment = moment or timezone.now()
    found = [v for v in versions if v.starts_at is None or v.starts_at <= moment] or list(versions)
    newest = max(found, key=lambda version: version.number, default=None)
    return _parsed(newest.digest, newest.pk) if newest else None


@dataclass(frozen=True, slots=True)
class Offer:
    """A program that takes claims from somebody now."""

    program: Program
    definition: Definition
    closes_at: datetime


def offers(people: list[Participant]) -> list[Offer]:
    """Programs that take claims from any of `people` now, the first to close first. Three queries."""
    people = [person for person in people if person.active and person.partner_id and person.partner.active]
    if not people:
        return []
    now, by_program = timezone.now(), {}
    rows = ProgramVersion.objects.filter(program__status__in=TAKING, published_at__isnull=False)
    for version in rows.select_related("program").defer("definition"):
        by_program.setdefault(version.program, []).append(version)
    chosen = _enrolled(people, by_program)
    found = []
    for program, versions in by_program.items():
        definition = _governing(versions, now)
        if not takes_claims(definition) or closes_at(definition) <= now:
            continue
        if any(not _ineligible(definition, person, chosen.get((program.pk, person.pk))) for person in people):
            found.append(Offer(program, definition, closes_at(definition)))
    return sorted(found, key=lambda offer: (offer.closes_at, offer.program.name))


def _enrolled(people, programs) -> dict[tuple[int, int], str]:
    rows = Enrollment.objects.filter(participant__in=people, program__in=list(programs))
    return {(program, person): state for program, person, state in rows.values_list("program", "participant", "state")}


def person_of(participant: Participant) -> Person:
    """As the rules know somebody."""
    row = roster_row(participant)
    names = ("type", "team", "manager", "partner", "partner_tier", "region", "name")
    dates = {"started_on": participant.started_on, "ended_on": participant.ended_on}
    return Person(key=row["external_user_id"], **{name: row[name] for name in names}, **dates)


def _ineligible(definition: Definition, participant: Participant, enrolled: str | None) -> str:
    """Why not, in words; empty when they may. Invited people need not match, excluded ones are out whatever they match."""
    if enrolled == Enrollment.State.EXCLUDED:
        return _("You are not part of this program.")
    if enrolled == Enrollment.State.INVITED:
        return ""
    if definition.eligible.invited_only:
        return _("Only people who were invited take part in this program.")
    return ineligible(definition, person_of(participant))


# --- until when ---------------------------------------------------------------------------------------------------------
def deadline(claim: Claim, definition: Definition) -> datetime:
    """The first moment at which the claim can no longer be sent: the end of the program's grace days; a returned claim has
    RESUBMIT from its return if that is later. Source: docs/claims.md."""
    closes = closes_at(definition)
    if claim.status == Claim.Status.RETURNED and claim.returned_at:
        return max(closes, claim.returned_at + RESUBMIT)
    return closes


def moment_text(moment: datetime, definition: Definition) -> str:
    """Day and time in the program's own zone, which is what its terms say."""
    local = moment.astimezone(ZoneInfo(definition.time_zone))
    return f"{formats.date_format(local, _('j M Y, H:i'))} ({definition.time_zone})"


def too_late(claim: Claim, definition: Definition) -> str:
    """Why the claim can no longer be sent, in words; empty while it can."""
    limit = deadline(claim, definition)
    returned = claim.status == Claim.Status.RETURNED
    open_states = (*TAKING, Program.Status.CLOSED) if returned else TAKING
    if timezone.now() < limit and claim.program.status in open_states:
        return ""
    if returned:
        return _("This claim could be sent again until %(until)s. That has passed.") % {
            "until": moment_text(limit, definition)
        }
    return _("%(program)s took claims for sales until %(last)s, and took them until %(until)s. That has passed.") % {
        "program": claim.program,
        "last": formats.date_format(definition.ends_on, _("j M Y")),
        "until": moment_text(limit, definition),
    }


# --- what the program makes of it ---------------------------------------------------------------------------------------
def occurred_at(claim: Claim, definition: Definition) -> datetime:
    """Noon of the sale date in the program's time zone: the day is what the invoice says, wherever the reader is."""
    return datetime.combine(claim.invoice_date, time(12), ZoneInfo(definition.time_zone)).astimezone(UTC)


def event_lines(claim: Claim) -> list[dict]:
    """The claim's products as the lines of a generic event."""
    lines = []
    for line in claim.lines.all():
        found = {"sku": line.sku, "name": line.name, "quantity": format(line.quantity, "f")}
        if line.unit_price is not None:
            found |= {"unit_price": format(line.unit_price, "f"), "total": format(line.total, "f")}
        lines.append({key: value for key, value in found.items() if value})
    return lines


def attributes(claim: Claim) -> dict:
    serials = [row.serial for row in claim.serials.all()]
    found = {"claim": claim.reference, "invoice_number": claim.invoice_number, "serials": serials[:200]}
    return {key: value for key, value in found.items() if value}


def fact_of(claim: Claim, definition: Definition) -> Fact:
    """What the rules will see once the claim is approved."""
    return Fact(
        id=str(claim.public_id),
        kind=KIND,
        occurred_at=occurred_at(claim, definition),
        close_date=claim.invoice_date,
        participant=claim.participant.key,
        participant_name=claim.participant.name,
        amount=claim.amount.decimal,
        currency=claim.currency,
        quantity=sum((line.quantity for line in claim.lines.all()), Decimal(0)),
        lines=tuple(event_lines(claim)),
        account={"name": claim.customer},
        partner={"id": claim.partner.code, "name": claim.partner.name},
        attributes=attributes(claim),
        external_id=str(claim.public_id),
        object_type="claim",
        object_id=str(claim.public_id),
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about a claim: it counts; or why not (`why`); or something a person has to mend (`mend`)."""

    counts: bool
    why: str = ""
    mend: str = ""


def verdict(claim: Claim, definition: Definition) -> Verdict:
    """Whether the claim will earn anything once approved, by the program's own rules. The claim must be complete."""
    person = person_of(claim.participant)
    enrolled = _enrolled([claim.participant], [claim.program]).get((claim.program_id, claim.participant_id))
    if why := _ineligible(definition, claim.participant, enrolled):
        return Verdict(False, why=_("Not eligible: %(why)s") % {"why": why})
    result = credits_for(definition, fact_of(claim, definition), {person.key: person})
    if result.credits:
        return Verdict(True)
    stands = [r for r in result.reasons if not (r.code == "not_eligible" and enrolled == Enrollment.State.INVITED)]
    if not stands:
        return Verdict(True)
    if stands[0].exception:
        return Verdict(True, mend=stands[0].message)
    return Verdict(False, why=stands[0].message)


def stopped(program: Program) -> bool:
    """Whether the program has run out: what is received now does not count."""
    return ProgramStop.objects.filter(program=program, resumed_at__isnull=True).exists()
