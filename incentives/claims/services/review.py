"""What reviewers do: take, release, approve, return, reject, and take an approval back. Each names the version it saw."""

from django.db import transaction
from django.utils.translation import gettext as _

from incentives.claims import flags, matching
from incentives.claims.errors import NewEvidence, ReasonNeeded, TakenByOther
from incentives.claims.models import Claim
from incentives.claims.services import outbox, states
from incentives.core.errors import IllegalTransition
from incentives.crm.models import ObjectState

Status = Claim.Status
INTERNAL = "note"
"""Key of the audit trail under which a remark for colleagues stands; the partner reads only the reason."""


def take(*, claim_id: int, actor, seen_version: int) -> Claim:
    """Say that one reviews the claim; also takes it over from a colleague. A repeat changes nothing.

    Raises NotAllowed, OwnClaim, ChangedMeanwhile, IllegalTransition.
    """
    with transaction.atomic():
        claim = _for_review(claim_id, seen_version, actor, taking=True)
        if claim.status == Status.IN_REVIEW:
            if claim.reviewer_id == actor.pk:
                return claim
            states.move(claim, Status.SUBMITTED, actor=actor, action="claim.released", reviewer=None)
        states.move(claim, Status.IN_REVIEW, actor=actor, action="claim.taken", reviewer=actor)
    return claim


def release(*, claim_id: int, actor, seen_version: int) -> Claim:
    """Put a claim one has taken back into the queue. Raises as take, and TakenByOther."""
    with transaction.atomic():
        claim = _for_review(claim_id, seen_version, actor)
        if claim.status != Status.IN_REVIEW:
            raise IllegalTransition(claim, _("released"))
        states.move(claim, Status.SUBMITTED, actor=actor, action="claim.released", reviewer=None)
    return claim


def approve(*, claim_id: int, actor, seen_version: int, note: str = "") -> Claim:
    """Approve: the sale becomes an activity, in the same transaction (a Delivery, from which a worker derives the rest).

    `note` is for colleagues, and needed when another claim or a known deal speaks against it. Raises: NotAllowed, OwnClaim,
    ChangedMeanwhile, TakenByOther, IllegalTransition, NewEvidence, ReasonNeeded, SerialPaid. Nothing was decided then.
    """
    if flags.refresh(Claim.objects.get(pk=claim_id)):  # kept although the decision is refused: the page shows them now
        raise NewEvidence
    with transaction.atomic():
        claim = _for_review(claim_id, seen_version, actor)
        if not note.strip() and doubtful(claim):
            raise ReasonNeeded(
                _("Another claim or a known deal speaks against this one: say why it is approved anyway.")
            )
        if error := states.serial_paid(claim):
            raise error
        after = {INTERNAL: note.strip()} if note.strip() else {}
        states.move(
            claim, Status.APPROVED, actor=actor, after=after, decided_by=actor, decided_at=states.now(), reviewer=None,
        )  # fmt: skip
        outbox.post_approval(claim)
    return claim


def doubtful(claim: Claim) -> bool:
    """Whether approving it needs a reason."""
    standing = claim.flags.filter(other__status__in=Claim.LIVE).exists()
    return standing or any(match.strong for match in matching.matches(claim))


def send_back(*, claim_id: int, actor, seen_version: int, reason: str, note: str = "") -> Claim:
    """Return the claim for more information; the partner reads `reason` and may send it again. Raises as reject."""
    _require_reason(reason)
    with transaction.atomic():
        claim = _for_review(claim_id, seen_version, actor)
        states.move(
            claim, Status.RETURNED, actor=actor, reason=reason.strip(), after=_noted(note), reviewer=None,
            returned_at=states.now(),
        )  # fmt: skip
    return claim


def reject(
    *, claim_id: int, actor, seen_version: int, reason: str, note: str = "", covered_by: ObjectState | None = None
) -> Claim:
    """Reject for good; the partner reads `reason`. `covered_by`: the known deal that this sale is.

    Raises: ReasonNeeded, NotAllowed, OwnClaim, ChangedMeanwhile, TakenByOther, IllegalTransition.
    """
    _require_reason(reason)
    after = _noted(note) | ({"covered_by": str(covered_by)} if covered_by else {})
    with transaction.atomic():
        claim = _for_review(claim_id, seen_version, actor)
        states.move(
            claim, Status.REJECTED, actor=actor, reason=reason.strip(), after=after, decided_by=actor,
            decided_at=states.now(), covered_by=covered_by, reviewer=None,
        )  # fmt: skip
    return claim


def reverse(*, claim_id: int, actor, seen_version: int, reason: str) -> Claim:
    """Take an approval back: the activity is deleted, and what it earned is corrected. Raises as reject."""
    _require_reason(reason)
    with transaction.atomic():
        claim = _for_review(claim_id, seen_version, actor)
        states.move(claim, Status.REVERSED, actor=actor, reason=reason.strip())
        outbox.post_reversal(claim)
    return claim


def _for_review(claim_id: int, seen_version: int, actor, *, taking: bool = False) -> Claim:
    """The claim, locked, as the reviewer saw it, and theirs to decide."""
    claim = states.locked(claim_id, seen_version)
    states.require_reviewer(actor, claim)
    if not taking and claim.status == Status.IN_REVIEW and claim.reviewer_id != actor.pk:
        raise TakenByOther(claim.reviewer)
    return claim


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ReasonNeeded


def _noted(note: str) -> dict:
    return {INTERNAL: note.strip()} if note.strip() else {}
