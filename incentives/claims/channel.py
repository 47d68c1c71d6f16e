"""Channel programs as claims see them: which take claims, from whom, until when, and what they make of one."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from incentives.claims.models import Claim
from incentives.participants.models import Participant
from incentives.participants.selectors import roster_row
from incentives.programs.models import Enrollment, Program, ProgramStop, ProgramVersion
from incentives.programs.rules.conditions import tests
from incentives.programs.rules.crediting import condition_of, ineligible
from incentives.programs.rules.facts import Fact, Person
from incentives.programs.rules.periods import closes_at
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.timeline import Timeline
from incentives.programs.told import told
from incentives.programs.versions import timeline_of

KIND = "claim.submitted"
RESUBMIT = timedelta(days=14)
"""So long a returned claim may be sent again, even when the program's own deadline has passed meanwhile."""
TAKING = (Program.Status.ACTIVE, Program.Status.PAUSED, Program.Status.CLOSING)
"""A pause stops payouts, not the count."""


def takes_claims(definition: Definition) -> bool:
    """Whether the program asks for claims: its condition names the kind."""
    for test in tests(condition_of(definition)):
        wanted = test.value if isinstance(test.value, tuple) else (test.value,)
        if test.field == "kind" and test.op in ("eq", "in") and KIND in wanted:
            return True
    return False


def timeline(program: Program) -> Timeline:
    """The published versions and when each governs. The program was launched: it has some."""
    return timeline_of(program.versions.filter(published_at__isnull=False))


def definition_of(program: Program) -> Definition:
    """The version that governs at the program's end: its days, zone and grace are those that count."""
    return timeline(program).last.definition


@dataclass(frozen=True, slots=True)
class Offer:
    """A program that takes claims from somebody now."""

    program: Program
    definition: Definition
    closes_at: datetime


def offers(people: list[Participant]) -> list[Offer]:
    """Programs that take claims from any of `people` now, the first to close first. Three queries.

    A version that governed earlier sales counts as well: the sale's own day decides when the claim is sent.
    """
    people = [person for person in people if person.active and person.partner_id and person.partner.active]
    if not people:
        return []
    now, by_program = timezone.now(), {}
    rows = ProgramVersion.objects.filter(program__status__in=TAKING, published_at__isnull=False)
    for version in rows.select_related("program"):
        by_program.setdefault(version.program, []).append(version)
    chosen = _enrolments(people, by_program)
    found = []
    for program, versions in by_program.items():
        line = timeline_of(versions)
        closes, enrolment = closes_at(line.last.definition), chosen.get(program.pk, {})
        taking = [part.definition for part in line.segments if takes_claims(part.definition)]
        if closes > now and any(not ineligible(part, person_of(who), enrolment) for part in taking for who in people):
            found.append(Offer(program, line.at(now).definition, closes))
    return sorted(found, key=lambda offer: (offer.closes_at, offer.program.name))


def _enrolments(people, programs) -> dict[int, dict[str, str]]:
    """Program id -> participant key -> invited or excluded. One query."""
    keys, found = {person.pk: person.key for person in people}, {}
    rows = Enrollment.objects.filter(participant__in=people, program__in=list(programs))
    for program, person, state in rows.values_list("program", "participant", "state"):
        found.setdefault(program, {})[keys[person]] = state
    return found


def person_of(participant: Participant) -> Person:
    """As the rules know somebody."""
    row = roster_row(participant)
    names = ("type", "team", "manager", "partner", "partner_tier", "region", "name")
    dates = {"started_on": participant.started_on, "ended_on": participant.ended_on}
    return Person(key=row["external_user_id"], **{name: row[name] for name in names}, **dates)


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
        received_at=claim.submitted_at or timezone.now(),
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about a claim: it counts; or why not (`why`); or something a person has to mend (`mend`)."""

    counts: bool
    why: str = ""
    mend: str = ""


def verdict(claim: Claim) -> Verdict:
    """Whether the claim will earn anything once approved, by the program's own rules. The claim must be complete."""
    line, person = timeline(claim.program), person_of(claim.participant)
    enrolment = _enrolments([claim.participant], [claim.program]).get(claim.program_id, {})
    stops = tuple(ProgramStop.objects.filter(program=claim.program).values_list("stopped_at", "resumed_at"))
    fact = fact_of(claim, line.last.definition)
    result = line.credits(fact, {person.key: person}, enrolment=enrolment, stops=stops)
    if result.credits:
        return Verdict(True)
    first = result.reasons[0]
    return Verdict(True, mend=first.message) if first.exception else Verdict(False, why=told(first.message))
