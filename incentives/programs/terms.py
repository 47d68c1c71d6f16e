"""The terms of a program: written, published once and for all, accepted by the people they are for."""

import hashlib
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.participants.models import Participant
from incentives.programs.eligibility import can_earn
from incentives.programs.errors import StaleTerms, TermsInvalid
from incentives.programs.models import Program, ProgramVersion, Terms, TermsAcceptance
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.signals import terms_changed

MOST = 60_000
"""Characters of a text."""


def digest_of(title: str, body: str) -> str:
    """SHA-256 over what is read."""
    return hashlib.sha256(f"{title}\n\n{body}".encode()).hexdigest()


# --- writing -------------------------------------------------------------------------------------------------------------
def save_terms(*, program: Program, title: str, body: str, actor) -> Terms:
    """Write the next text, or change the one that is being written. Raises NotAllowed, TermsInvalid."""
    _require(actor, "programs.edit")
    title, body = title.strip(), body.replace("\r\n", "\n").strip()
    if not title or not body or len(title) > 150 or len(body) > MOST:
        raise TermsInvalid(f"Give a title of up to 150 and a text of up to {MOST:,} characters.")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program.pk)
        draft = draft_of(program) or Terms(program=program, number=_next_number(program))
        before = draft.digest
        draft.title, draft.body, draft.digest, draft.edited_by = title, body, digest_of(title, body), actor
        if draft.digest == before:
            return draft
        draft.save()
        audit.record(
            "terms.saved",
            program,
            actor=actor,
            before={"digest": before},
            after={"number": draft.number, "digest": draft.digest},
        )
    return draft


def publish_terms(
    *, program: Program, actor, asks_again: bool = True, holds_payouts: bool = True, seen_digest: str | None = None
) -> Terms:
    """Publish the text being written; it never changes again. The first one always asks everybody.

    Payouts that already await approval are held, or released, by the new text at once.
    Raises NotAllowed, TermsInvalid (nothing to publish, or it changed after it was read).
    """
    _require(actor, "programs.publish")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=program.pk)
        terms = draft_of(program)
        if terms is None:
            raise TermsInvalid("There is nothing to publish. Write the next text first.")
        if seen_digest is not None and seen_digest != terms.digest:
            raise TermsInvalid("The text was changed after you opened the page. Read it again before you publish it.")
        terms.asks_again = asks_again or terms.number == 1
        terms.holds_payouts = holds_payouts
        terms.published_at, terms.published_by = timezone.now(), actor
        terms.save()
        audit.record(
            "terms.published",
            program,
            actor=actor,
            after={
                "number": terms.number,
                "digest": terms.digest,
                "asks_again": terms.asks_again,
                "holds_payouts": holds_payouts,
            },
        )
        terms_changed.send(sender=Terms, program=program, participant=None)
    return terms


def accept(*, terms: Terms, user, seen_digest: str, ip_address: str | None = None) -> TermsAcceptance:
    """A participant accepts the newest text of a program for themselves; nobody does it for another.

    Payouts that waited for it alone are released in the same transaction. A repeat returns what stands.
    Raises NotAllowed (no participant behind the account), StaleTerms (a newer text, or not the one that was read).
    """
    participant = Participant.objects.filter(user=user).first()
    if participant is None or not user.can("me.view"):
        raise NotAllowed("Only the participant accepts terms.")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",), no_key=True).get(pk=terms.program_id)
        standing = TermsAcceptance.objects.filter(terms=terms, participant=participant).first()
        if standing is not None:
            return standing
        current = current_terms(program)
        if current is None or current.pk != terms.pk or seen_digest != current.digest:
            raise StaleTerms
        try:
            with transaction.atomic():
                acceptance = TermsAcceptance.objects.create(
                    terms=current, participant=participant, user=user, digest=current.digest, ip_address=ip_address
                )
        except IntegrityError:  # the same click twice
            return TermsAcceptance.objects.get(terms=terms, participant=participant)
        audit.record(
            "terms.accepted",
            program,
            actor=user,
            after={"participant": participant.key, "number": current.number, "digest": current.digest},
        )
        terms_changed.send(sender=Terms, program=program, participant=participant)
    return acceptance


# --- reading -------------------------------------------------------------------------------------------------------------
def current_terms(program: Program) -> Terms | None:
    """The newest published text."""
    return program.terms.filter(published_at__isnull=False).order_by("-number").first()


def draft_of(program: Program) -> Terms | None:
    """The text that is being written."""
    return program.terms.filter(published_at__isnull=True).first()


@dataclass(frozen=True, slots=True)
class Required:
    """What a program asks for now: an acceptance of text `since` or a later one."""

    current: Terms
    since: int

    @property
    def holds_payouts(self) -> bool:
        return self.current.holds_payouts

    def accepted_by(self, participant: Participant) -> bool:
        rows = TermsAcceptance.objects.filter(participant=participant, terms__program=self.current.program_id)
        return rows.filter(terms__number__gte=self.since).exists()


def required(program: Program) -> Required | None:
    """What must be accepted, or None without published terms. Two queries."""
    current = current_terms(program)
    if current is None:
        return None
    asking = program.terms.filter(published_at__isnull=False, asks_again=True)
    return Required(current, asking.aggregate(n=Max("number"))["n"])


def holds(program: Program, participant: Participant) -> bool:
    """Whether payouts of this program to this participant wait for an acceptance."""
    wanted = required(program)
    return wanted is not None and wanted.holds_payouts and not wanted.accepted_by(participant)


@dataclass(frozen=True, slots=True)
class Mine:
    """A program's newest text for one participant. `accepted`: of a text that still suffices, else None."""

    program: Program
    terms: Terms
    accepted: TermsAcceptance | None

    @property
    def is_open(self) -> bool:
        return self.accepted is None


def of_participant(participant: Participant) -> list[Mine]:
    """The terms this person is asked to accept or has accepted, open ones first. Five queries for any number of programs.

    Asked is who can earn in a program that is published and not closed, and whoever has earned in any.
    """
    texts: dict[int, list[Terms]] = {}
    published = Terms.objects.filter(published_at__isnull=False, program__status__in=ASKING).select_related("program")
    for text in published.order_by("program", "number"):
        texts.setdefault(text.program_id, []).append(text)
    if not texts:
        return []
    accepted: dict[int, list[TermsAcceptance]] = {}
    rows = TermsAcceptance.objects.filter(participant=participant, terms__program__in=texts)
    for row in rows.select_related("terms").order_by("terms__number"):
        accepted.setdefault(row.terms.program_id, []).append(row)
    earning = _can_earn_in(participant, {pk: own[-1].program for pk, own in texts.items()})
    found = []
    for pk, own in texts.items():
        if pk not in earning and pk not in accepted:
            continue
        since = max(text.number for text in own if text.asks_again)
        enough = [row for row in accepted.get(pk, []) if row.terms.number >= since]
        found.append(Mine(own[-1].program, own[-1], enough[-1] if enough else None))
    return sorted(found, key=lambda mine: (not mine.is_open, mine.program.name, mine.program.pk))


ASKING = (
    Program.Status.SCHEDULED, Program.Status.ACTIVE, Program.Status.PAUSED, Program.Status.CLOSING, Program.Status.CLOSED,
)  # fmt: skip


def _can_earn_in(participant: Participant, programs: dict[int, Program]) -> set[int]:
    model = Program._meta.get_field("participations").related_model
    mine = model.objects.filter(participant=participant, program__in=programs)
    found = set(mine.values_list("program", flat=True))
    enrolled = dict(participant.enrollments.filter(program__in=programs).values_list("program", "state"))
    versions = ProgramVersion.objects.filter(program__in=programs, published_at__isnull=False).order_by("number")
    for pk, document in dict(versions.values_list("program", "definition")).items():
        may = participant.active and pk not in found and programs[pk].status != Program.Status.CLOSED
        if may and can_earn(parse_definition(document), participant, enrolled.get(pk)):
            found.add(pk)
    return found


def _next_number(program: Program) -> int:
    return (program.terms.aggregate(n=Max("number"))["n"] or 0) + 1


def _require(actor, permission: str) -> None:
    if not actor.can(permission):
        raise NotAllowed("Only a program manager may change terms.")
