"""Giving and cancelling awards. An award is a fact: it enters through crm's ordinary intake, and everything after that
(earning, approval, card, correction, explanation) is what happens to any other fact."""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from incentives.awards import selectors, spot
from incentives.awards.errors import CannotGive, FileGiven, OwnAward, RowsWrong
from incentives.awards.models import Award, AwardBatch
from incentives.awards.selectors import Pot
from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.crm import intake
from incentives.crm.models import Delivery
from incentives.crm.services import awards_connection
from incentives.ledger.models import Budget
from incentives.participants.models import Participant
from incentives.programs import services as programs
from incentives.programs.models import Program
from rewards.money import Money

REASON, NOTE = 300, 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """One award to give. `line` names the row of a file."""

    participant: Participant
    amount: Money
    reason: str
    note: str = ""
    line: int = 0


def make_pot(*, actor, budget: Budget | None, **values) -> Program:
    """A draft program to give awards out of; `values` as spot.document takes them. Raises DefinitionError, NotAllowed,
    ProgramInvalid."""
    return programs.create_program(document=spot.document(**values), actor=actor, budget=budget)


def give_award(
    *, program: Program, participant: Participant, amount: Money, reason: str, actor, note: str = ""
) -> Award:
    """Give one person an award (minor units of the program's currency) and state it as a fact, in one transaction.

    A repeat gives another award. Raises NotAllowed, OwnAward, CannotGive (not a running award program, over a limit, the
    person cannot earn in it, the budget has less available). What the budget lacks later holds the payout, not the award.
    """
    _require(actor)
    with transaction.atomic():
        pot = _locked_pot(program)
        wanted = Wanted(participant, amount, reason, note)
        problems = _problems(pot, [wanted], actor)
        if problems:
            raise problems[0][1]
        return _give(pot, [wanted], actor)[0]


def upload_batch(*, program: Program, file_name: str, sha256: str, rows: list[list], actor) -> AwardBatch:
    """Keep what a file asks for until somebody confirms it. Raises NotAllowed, CannotGive, FileGiven."""
    _require(actor)
    if selectors.pot_of(program) is None:
        raise CannotGive(f"Awards are not given out of {program}. Choose a program made for awards.")
    _refuse_given(program, sha256)
    with transaction.atomic():
        batch = AwardBatch.objects.create(
            program=program, file_name=file_name[:255], sha256=sha256, rows=rows, uploaded_by=actor
        )
        audit.record("award_batch.uploaded", batch, actor=actor, after={"rows": len(rows), "sha256": sha256})
    return batch


def give_batch(*, batch: AwardBatch, wanted: list[Wanted], actor) -> list[Award]:
    """Give every award of a file, or none. Who confirms it is the giver of all of them.

    A repeat gives nothing again. Raises NotAllowed, CannotGive, RowsWrong naming the lines, FileGiven.
    """
    _require(actor)
    with transaction.atomic():
        pot = _locked_pot(batch.program)
        _refuse_given(batch.program, batch.sha256)
        if problems := _problems(pot, wanted, actor):
            raise RowsWrong([(line, error.user_message) for line, error in problems])
        try:
            with transaction.atomic():
                mine = AwardBatch.objects.filter(pk=batch.pk, status=AwardBatch.Status.UPLOADED)
                moved = mine.update(status=AwardBatch.Status.GIVEN, given_at=timezone.now())
        except IntegrityError as exc:  # the same file, uploaded twice, confirmed in the same moment
            raise FileGiven from exc
        if not moved:
            raise FileGiven
        awards = _give(pot, wanted, actor, batch)
        total = Money(sum(w.amount.minor for w in wanted), pot.program.currency)
        audit.record("award_batch.given", batch, actor=actor, after={"awards": len(awards), "total": str(total)})
    return awards


def cancel_award(*, award: Award, actor, reason: str) -> Award:
    """Take an award back by stating a later version of its record. Before its payout is approved nothing is sent; after
    that the amount is recovered by the program's policy, as with any correction.

    A repeat returns it unchanged. Raises NotAllowed, OwnAward (the recipient cancels nothing), CannotGive (no reason).
    """
    _require(actor)
    if not reason.strip():
        raise CannotGive("Give a reason: it is kept with the award.")
    with transaction.atomic():
        award = (
            Award.objects.select_for_update(of=("self",), no_key=True)
            .select_related("participant", "program")
            .get(pk=award.pk)
        )
        if award.status == Award.Status.CANCELLED:
            return award
        if award.participant.user_id == actor.pk:
            raise OwnAward("Nobody decides about an award of their own. Ask another manager.")
        now, words = timezone.now(), reason.strip()[:REASON]
        changed = Award.objects.filter(pk=award.pk, status=Award.Status.GIVEN).update(
            status=Award.Status.CANCELLED, cancelled_at=now, cancelled_by=actor, cancelled_reason=words
        )
        if not changed:
            raise IllegalTransition(award, "cancelled twice")
        award.refresh_from_db()
        intake.receive_one(awards_connection(), _incoming(award, "award.cancelled", 2, now))
        audit.record(
            "award.cancelled",
            award,
            actor=actor,
            before={"status": "given"},
            after={"status": "cancelled"},
            reason=words,
        )
    return award


# --- steps --------------------------------------------------------------------------------------------------------------
def _require(actor) -> None:
    if not actor.can("awards.give"):
        raise NotAllowed("Only a program manager may give awards.")


def _locked_pot(program: Program) -> Pot:
    """The program's row is locked, so that two givers see each other's awards under the limits."""
    locked = Program.objects.select_for_update(of=("self",), no_key=True).select_related("budget").get(pk=program.pk)
    pot = selectors.pot_of(locked)
    if pot is None:
        raise CannotGive(f"Awards are not given out of {locked}. Choose a program made for awards.")
    if locked.status != Program.Status.ACTIVE:
        raise CannotGive(f"{locked} is {locked.get_status_display().lower()}; awards are given out of a running one.")
    if not selectors.in_days(pot.definition):
        days = f"{pot.definition.starts_on} to {pot.definition.ends_on}"
        raise CannotGive(f"{locked} runs from {days}, by the clock of {pot.definition.time_zone}.")
    return pot


def _refuse_given(program: Program, sha256: str) -> None:
    before = AwardBatch.objects.filter(program=program, sha256=sha256, status=AwardBatch.Status.GIVEN).first()
    if before is not None:
        raise FileGiven(f" on {before.given_at:%Y-%m-%d}")


def check(pot: Pot, wanted: list[Wanted], actor) -> list[tuple[int, str]]:
    """(line, problem in words) of what could not be given now; empty when all can. For a preview."""
    return [(line, error.user_message) for line, error in _problems(pot, wanted, actor)]


def _problems(pot: Pot, wanted: list[Wanted], actor) -> list[tuple[int, Exception]]:
    """Each award against the person, the limits (with the awards before it) and the sum against the budget's room."""
    now, found = timezone.now(), []
    enrolled = selectors.enrollments(pot.program, [w.participant for w in wanted])
    before: dict[int, list[int]] = {}
    for item in wanted:
        error = _problem(pot, item, enrolled.get(item.participant.pk), actor, before, now)
        if error is not None:
            found.append((item.line, error))
    if not found and (short := _short(pot, wanted)):
        found.append((wanted[-1].line, short))
    return found


def _problem(pot: Pot, item: Wanted, enrolled, actor, before: dict, now: datetime) -> Exception | None:
    person, amount = item.participant, item.amount
    if person.user_id is not None and person.user_id == actor.pk:
        return OwnAward()
    if amount.currency != pot.program.currency:
        return CannotGive(f"{pot.program} pays {pot.program.currency}, not {amount.currency}.")
    if amount.minor <= 0:
        return CannotGive(f"{amount} is not above zero.")
    if not item.reason.strip() or len(item.reason) > REASON or len(item.note) > NOTE:
        return CannotGive(f"Give a reason of at most {REASON} characters: the recipient reads it.")
    if why := selectors.obstacle(pot, person, enrolled):
        return CannotGive(why[0].upper() + why[1:])
    if person.pk not in before:
        before[person.pk] = list(selectors.given_so_far(pot, person, now))
    sums = before[person.pk]
    if why := selectors.over_limit(pot, amount, *sums):
        return CannotGive(f"{person}: {why}")
    sums[0] += amount.minor
    sums[1] += amount.minor
    return None


def _short(pot: Pot, wanted: list[Wanted]) -> CannotGive | None:
    total = Money(sum(item.amount.minor for item in wanted), pot.program.currency)
    if pot.room is None:
        return CannotGive(f"{pot.program} has no budget. Choose one on the program's page.")
    if pot.room < total:
        return CannotGive(f"The budget {pot.program.budget} has {pot.room} available; {total - pot.room} are missing.")
    return None


def _give(pot: Pot, wanted: list[Wanted], actor, batch: AwardBatch | None = None) -> list[Award]:
    now = timezone.now()
    awards = [
        Award(
            code=pot.code,
            program=pot.program,
            participant=item.participant,
            amount_minor=item.amount.minor,
            currency=item.amount.currency,
            reason=item.reason.strip(),
            note=item.note.strip(),
            batch=batch,
            given_by=actor,
            recipient_user_id=item.participant.user_id,
            created_at=now,
        )
        for item in wanted
    ]
    for award in awards:
        award.record = str(award.public_id)
    Award.objects.bulk_create(awards, batch_size=200)
    for award in awards:
        after = {"participant": award.participant.key, "amount": str(award.amount), "program": str(pot.program)}
        audit.record("award.given", award, actor=actor, after=after, reason=award.reason)
    connection = awards_connection()
    intake.receive_many(connection, [_incoming(award, "award.given", 1, now) for award in awards])
    return awards


def _incoming(award: Award, kind: str, version: int, at: datetime) -> intake.Incoming:
    """The award as an event. Its moment is that of giving, so that a later version changes no period."""
    event = {
        "external_id": f"{award.record}:{version}",
        "kind": kind,
        "occurred_at": award.created_at.astimezone(UTC).isoformat(),
        "object": {"type": "award", "id": award.record, "version": str(version)},
        "participant": {"public_id": str(award.participant.public_id)},
        "amount": str(award.amount.decimal),
        "currency": award.currency,
        "attributes": {"program": award.code, "reason": award.reason},
    }
    return intake.prepare(event, internal=True, channel=Delivery.Channel.MANUAL, received_at=at)
