"""Making, launching and steering programs."""

from datetime import date, datetime

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.ledger.models import Budget
from incentives.programs import review_limits
from incentives.programs.enrollment import set_enrollment, set_enrollments
from incentives.programs.errors import CannotLaunch, NeedsReview, ProgramInvalid
from incentives.programs.life import change_status, last_definition, move, runs_again_by
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.nudge import nudge_earnings
from incentives.programs.rules.parsing import canonical, digest, parse_definition
from incentives.programs.rules.periods import period_start, window
from incentives.programs.rules.schema import Definition
from incentives.programs.stops import resume_stopped
from incentives.programs.targets import TargetRow, set_targets, target_problem
from incentives.programs.versions import copy_for_lists, stacking_problem, why_not_start

S = Program.Status
__all__ = [
    "TargetRow", "change_status", "create_program", "edit_draft", "launch", "nudge_earnings", "resume_stopped",
    "set_board_display", "set_budget", "set_enrollment", "set_enrollments", "set_targets", "take_back_review", "target_problem",
    "what_is_missing", "what_keeps",
]  # fmt: skip


def create_program(*, document, actor, budget: Budget | None = None) -> Program:
    """A draft from a definition document (dict or JSON text). Raises DefinitionError naming every wrong key, NotAllowed,
    ProgramInvalid (the budget holds another currency)."""
    _require(actor, "programs.edit")
    definition = parse_definition(document)
    _check_budget(definition.currency, budget)
    with transaction.atomic():
        program = Program(created_at=timezone.now(), owner=actor, budget=budget)
        _copy(program, definition)
        program.save()
        _new_version(program, 1, definition, actor, "")
        audit.record(
            "program.created", program, actor=actor, after={"name": program.name, "digest": digest(definition)}
        )
    return program


def edit_draft(*, program: Program, document, actor, note: str = "") -> ProgramVersion:
    """Write the draft version anew, or start one beside the published version. Published versions never change.

    One that waits for a review goes back to its writer: what a reviewer reads is what is published.
    Raises as create_program; IllegalTransition for a closed program; ProgramInvalid when the currency of a program that
    has earned would change.
    """
    _require(actor, "programs.edit")
    definition = parse_definition(document)
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).get(pk=program.pk)
        if program.status in (S.CLOSED, S.ARCHIVED):
            raise IllegalTransition(program, "edited")
        _check_budget(definition.currency, program.budget)
        if program.current_version and definition.currency != program.currency:
            raise ProgramInvalid(f"The program pays {program.currency}; make a new program for {definition.currency}.")
        draft = program.versions.filter(published_at__isnull=True).first()
        before = draft.digest if draft else ""
        if draft:
            draft.definition, draft.digest, draft.note = canonical(definition), digest(definition), note
            draft.edited_by, draft.returned_reason = actor, ""
            draft.save()
            draft.writers.add(actor)
            take_back_review(program, draft, actor, "edited")
        else:
            last = program.versions.order_by("-number").first()
            draft = _new_version(program, last.number + 1, definition, actor, note)
        if program.status == S.DRAFT:
            _copy(program, definition)
            program.save()
        audit.record(
            "program.edited",
            program,
            actor=actor,
            before={"digest": before},
            after={"digest": draft.digest},
            reason=note,
        )
    return draft


def set_budget(*, program: Program, budget: Budget | None, actor) -> Program:
    """Choose what the program is paid from. What waits for a review goes back to its writer.

    Raises NotAllowed, ProgramInvalid, NeedsReview (who published the rules alone may not move them to a budget that asks
    for a second manager).
    """
    _require(actor, "programs.edit")
    _check_budget(program.currency, budget)
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).get(pk=program.pk)
        before = str(program.budget or "")
        _check_second_manager(program, budget, actor)
        program.budget = budget
        program.save(update_fields=["budget"])
        if draft := program.versions.filter(published_at__isnull=True).first():
            take_back_review(program, draft, actor, "budget")
        audit.record(
            "program.budget", program, actor=actor, before={"budget": before}, after={"budget": str(budget or "")}
        )
    return program


def launch(*, program: Program, actor, starts_at: datetime | None = None, today: date | None = None) -> Program:
    """Publish the draft version: facts in its window earn from now on, those already received as well.

    `starts_at`: the version governs what counts at that moment or later, past or future; None: from the program's first
    day on, instead of all versions before it. A program whose first day (in its own time zone) is still to come becomes
    scheduled, else active; `today` stands for the day of a caller that has no clock.
    Raises NotAllowed, CannotLaunch naming everything that is missing or what the start moment does not allow, NeedsReview,
    IllegalTransition.
    """
    _require(actor, "programs.publish")
    now = timezone.now()
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).select_related("budget").get(pk=program.pk)
        draft = program.versions.filter(published_at__isnull=True).first()
        if draft is None:
            raise CannotLaunch("There is nothing to publish: the program has no changed version.")
        if missing := what_keeps(program, draft, starts_at):
            raise CannotLaunch(" ".join(missing))
        if draft.reviewed_by_id is None and review_limits.asks(program.budget, actor):
            raise NeedsReview
        draft.published_at, draft.published_by, draft.starts_at = now, actor, starts_at
        draft.save(update_fields=["published_at", "published_by", "starts_at"])
        copy_for_lists(program)
        definition = last_definition(program)
        if program.status in (S.DRAFT, S.IN_REVIEW):
            program.launched_at = now
            ahead = program.starts_on > today if today else window(definition)[0] > now
            move(program, S.SCHEDULED if ahead else S.ACTIVE, actor)
        elif runs_again_by(program, definition, now):
            move(program, S.ACTIVE, actor)
        program.save()
        after = {"version": draft.number, "digest": draft.digest}
        if starts_at is not None:
            after["starts_at"] = starts_at
        audit.record("program.published", program, actor=actor, after=after)
        transaction.on_commit(nudge_earnings, robust=True)
    return program


def what_keeps(program: Program, draft: ProgramVersion, starts_at: datetime | None) -> list[str]:
    """What keeps the draft from being published to start at that moment, in sentences; empty when nothing does."""
    problem = why_not_start(program, draft, starts_at)
    return what_is_missing(program, draft) + ([problem] if problem else [])


def take_back_review(program: Program, draft: ProgramVersion, actor, reason: str) -> None:
    """End a review that was asked for; the draft is its writer's again. Without one nothing happens. Call it with the
    program locked."""
    if draft.review_requested_at is None:
        return
    draft.review_requested_at = draft.review_requested_by = None
    draft.save(update_fields=["review_requested_at", "review_requested_by"])
    if program.status == S.IN_REVIEW:
        move(program, S.DRAFT, actor, reason)
    else:
        audit.record("program.review_ended", program, actor=actor, after={"version": draft.number}, reason=reason)


def _check_second_manager(program: Program, budget: Budget | None, actor) -> None:
    version = program.newest_version
    if version is None or version.reviewed_by_id or budget is None or budget.pk == program.budget_id:
        return
    alone = {version.published_by_id, version.created_by_id, version.edited_by_id}
    if review_limits.asks(budget, actor) and (actor.pk in alone or version.writers.filter(pk=actor.pk).exists()):
        raise NeedsReview(
            f"{budget} is above the review limit and you wrote or published the rules. Ask another manager."
        )


def what_is_missing(program: Program, version: ProgramVersion) -> list[str]:
    """Sentences about what must be there before a launch; empty when ready."""
    missing = []
    if program.budget is None:
        missing.append("Choose a budget.")
    if not version.definition.get("delivery"):
        missing.append("Say how rewards are delivered (delivery).")
    definition = parse_definition(version.definition)
    if problem := stacking_problem(program, definition):
        missing.append(problem)
    return missing + _colliding_targets(program, definition)


def _colliding_targets(program: Program, definition: Definition) -> list[str]:
    """Targets that the definition's periods would put into one: the score of such a participant is not defined."""
    seen: set[tuple] = set()
    for target in program.targets.select_related("participant").order_by("pk"):
        key = (target.participant_id, period_start(definition, target.period_start))
        if key in seen:
            return [
                f"{target.participant} has two targets in the period from {key[1]}. Keep the periods of the version "
                "that runs, or make a new program."
            ]
        seen.add(key)
    return []


def _require(actor, permission: str) -> None:
    if not actor.can(permission):
        raise NotAllowed("Only a program manager may change programs.")


def _check_budget(currency: str, budget: Budget | None) -> None:
    if budget is not None and budget.currency != currency:
        raise ProgramInvalid(f"The program pays {currency}, the budget {budget} holds {budget.currency}.")


def _copy(program: Program, definition) -> None:
    program.name, program.template, program.currency = definition.name, definition.template, definition.currency
    program.starts_on, program.ends_on = definition.starts_on, definition.ends_on


def _new_version(program, number, definition, actor, note) -> ProgramVersion:
    version = ProgramVersion.objects.create(
        program=program,
        number=number,
        definition=canonical(definition),
        digest=digest(definition),
        note=note,
        created_by=actor,
        edited_by=actor,
    )
    version.writers.add(actor)
    return version


def set_board_display(*, program: Program, actor, names: str, amounts: bool) -> Program:
    """How much the program's boards show of others: on phones and on screens on the wall. A repeat writes nothing.

    Raises NotAllowed, ProgramInvalid (an unknown choice).
    """
    _require(actor, "programs.edit")
    if names not in Program.Names.values:
        raise ProgramInvalid("names: choose full, short or hidden.")
    with transaction.atomic():
        program = Program.objects.select_for_update(of=("self",)).get(pk=program.pk)
        before = {"names": program.board_names, "amounts": program.board_amounts}
        after = {"names": names, "amounts": amounts}
        if before != after:
            program.board_names, program.board_amounts = names, amounts
            program.save(update_fields=["board_names", "board_amounts"])
            audit.record("program.board_display", program, actor=actor, before=before, after=after)
    return program
