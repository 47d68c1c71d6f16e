"""Review by a second manager: asked for by who wrote it, published or sent back by somebody who did not."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.programs import services
from incentives.programs.errors import CannotLaunch, OwnReview, ProgramInvalid
from incentives.programs.life import move
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import window
from incentives.programs.rules.schema import Definition

S = Program.Status


def request_review(
    *, program: Program, actor, starts_at: datetime | None = None, on_publish: bool = False
) -> ProgramVersion:
    """Ask a second manager to publish the draft version, from `starts_at` on as `services.launch` takes it, or
    (`on_publish`) from the moment they publish it.

    A first draft becomes `in_review`; a running program keeps its state and the version itself waits. A repeat changes
    nothing but the start. Raises NotAllowed, CannotLaunch naming everything that is missing.
    """
    if not actor.can("programs.publish"):
        raise NotAllowed("Only a program manager may ask for a review.")
    with transaction.atomic():
        program, draft = _locked(program)
        if missing := services.what_keeps(program, draft, starts_at):
            raise CannotLaunch(" ".join(missing))
        if draft.in_review and (draft.starts_at, draft.starts_on_publish) == (starts_at, on_publish):
            return draft
        draft.review_requested_at, draft.review_requested_by = timezone.now(), actor
        draft.starts_at, draft.starts_on_publish, draft.returned_reason = starts_at, on_publish, ""
        draft.save()
        if program.status == S.DRAFT:
            move(program, S.IN_REVIEW, actor)
        audit.record(
            "program.review_requested",
            program,
            actor=actor,
            after={"version": draft.number, "digest": draft.digest, "starts_at": str(starts_at or "")},
        )
    return draft


def confirm_review(*, program: Program, actor, seen_digest: str) -> Program:
    """The second manager's yes: publishes the version they read. Raises NotAllowed, OwnReview, ProgramInvalid (it changed
    in between), IllegalTransition (nobody asks for a review), and what `services.launch` raises."""
    with transaction.atomic():
        program, draft = _for_reviewer(program, actor, seen_digest)
        draft.reviewed_by = actor
        draft.save(update_fields=["reviewed_by"])
        audit.record("program.reviewed", program, actor=actor, after={"version": draft.number, "digest": draft.digest})
        return services.launch(program=program, actor=actor, starts_at=start_of(draft))


def return_review(*, program: Program, actor, reason: str, seen_digest: str | None = None) -> ProgramVersion:
    """Send it back with a reason its writer reads. Raises as confirm_review, and ProgramInvalid without a reason."""
    if not reason.strip():
        raise ProgramInvalid("Say what should change; its writer reads it.")
    with transaction.atomic():
        program, draft = _for_reviewer(program, actor, seen_digest)
        draft.returned_reason = reason.strip()[:500]
        draft.save(update_fields=["returned_reason"])
        services.take_back_review(program, draft, actor, reason.strip()[:500])
    return draft


def withdraw_review(*, program: Program, actor) -> ProgramVersion:
    """Take the question back, to edit further. Without one nothing happens. Raises NotAllowed."""
    if not actor.can("programs.publish"):
        raise NotAllowed("Only a program manager may take a review back.")
    with transaction.atomic():
        program, draft = _locked(program)
        services.take_back_review(program, draft, actor, "withdrawn")
    return draft


def start_of(draft: ProgramVersion) -> datetime | None:
    """From when on a version in review would govern if it were published at this moment; None: from the first day."""
    wanted = timezone.now() if draft.starts_on_publish else draft.starts_at
    return None if wanted is None else effective_start(parse_definition(draft.definition), wanted)


def effective_start(definition: Definition, moment: datetime) -> datetime | None:
    """A start on or before the program's first moment is the same as none."""
    return None if moment <= window(definition)[0] else moment


def wrote(version: ProgramVersion, user) -> bool:
    """Whether this person wrote any of it or asked for its review, and so may not review it."""
    own = {version.created_by_id, version.edited_by_id, version.review_requested_by_id}
    machines = User.objects.filter(responsible=user)  # what a machine wrote, its person wrote
    return (
        user.pk in own
        or version.writers.filter(Q(pk=user.pk) | Q(responsible=user)).exists()
        or machines.filter(pk__in=own - {None}).exists()
    )


def waiting_for(user) -> QuerySet[ProgramVersion]:
    """Versions this person may review, the longest waiting first."""
    rows = ProgramVersion.objects.filter(review_requested_at__isnull=False, published_at__isnull=True)
    if not user.can("programs.review"):
        return rows.none()
    own = Q(created_by=user) | Q(edited_by=user) | Q(review_requested_by=user) | Q(writers=user)
    mine = ProgramVersion.objects.filter(own).values("pk")
    rows = rows.exclude(pk__in=mine).select_related("program", "review_requested_by")
    return rows.order_by("review_requested_at")


def _locked(program: Program) -> tuple[Program, ProgramVersion]:
    program = Program.objects.select_for_update(of=("self",), no_key=True).select_related("budget").get(pk=program.pk)
    draft = program.versions.filter(published_at__isnull=True).first()
    if draft is None:
        raise CannotLaunch("There is nothing to publish: the program has no changed version.")
    return program, draft


def _for_reviewer(program: Program, actor, seen_digest: str | None) -> tuple[Program, ProgramVersion]:
    if not actor.can("programs.review"):
        raise NotAllowed("Only a program manager may review a program.")
    program, draft = _locked(program)
    if not draft.in_review:
        raise IllegalTransition(program, "reviewed: nobody asks for a review any more")
    if wrote(draft, actor):
        raise OwnReview
    if seen_digest is not None and seen_digest != draft.digest:
        raise ProgramInvalid("It was changed after you opened the page. Read it again before you decide.")
    return program, draft
