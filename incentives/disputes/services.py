"""Raising, answering and closing disputes. Each step locks, checks, writes and records in one transaction."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.crm.models import ObjectState
from incentives.disputes.errors import CannotReopen, NothingChanged, OwnDispute, StaleDispute, TextNeeded
from incentives.disputes.models import REOPEN_DAYS, Dispute, DisputeMessage
from incentives.disputes.notices import ANSWERED
from incentives.disputes.worth import being_counted, currency_of, worth_of
from incentives.earnings.models import Earning
from incentives.notifications import notify
from incentives.payouts.models import Payout
from incentives.programs.models import Program

S, K = Dispute.Status, DisputeMessage.Kind
TEXT = 4000


@dataclass(frozen=True, slots=True)
class Correction:
    """What was corrected: kind (activity, award, target, claim, other), the id of it, and how it reads."""

    kind: str
    ref: str = ""
    label: str = ""


# --- the participant's side -------------------------------------------------------------------------------------------------
def raise_dispute(
    *, actor: User, text: str, earning: Earning | None = None, record: ObjectState | None = None,
    payout: Payout | None = None, program: Program | None = None, missing: str = "",
) -> Dispute:  # fmt: skip
    """Question one of: a line (by any earning of it), a record, a payout, or something `missing` (in words).

    What is not the actor's own does not exist: NotAllowed. While a question about the same subject is open, the repeat adds
    a message to that one and returns it. Raises TextNeeded.
    """
    mine = getattr(actor, "participant", None) if actor.can("disputes.raise") else None
    if mine is None:
        raise NotAllowed("Only who earns can question what they earned.")
    text = _text(text)
    dispute = _about(mine, earning, record, payout, program, missing)
    with transaction.atomic():
        standing = _standing(dispute)
        if standing is not None:
            return _reply(standing, actor, text)
        try:
            with transaction.atomic():
                dispute.raised_by, dispute.participant_user = actor, actor
                worth = worth_of(dispute)
                dispute.before_minor = worth.minor if worth else None
                dispute.save(force_insert=True)
        except IntegrityError:  # the same question, asked twice in the same moment
            return _reply(_standing(dispute), actor, text)
        _write(dispute, K.QUESTION, actor, text, staff=False)
        audit.record("dispute.raised", dispute, actor=actor, after={"about": dispute.about, "subject": dispute.subject})
    return dispute


def _about(mine, earning, record, payout, program, missing: str) -> Dispute:
    A = Dispute.About  # noqa: N806
    if earning is not None:
        if earning.participation.participant_id != mine.pk:
            raise NotAllowed
        key = f"line:{earning.participation.public_id}:{earning.period_start}:{earning.line_key}"
        words = str(earning.object) if earning.object_id else earning.explanation
        found = Dispute(about=A.LINE, earning=earning, object=earning.object, program=earning.participation.program)
    elif payout is not None:
        if payout.participant_id != mine.pk:
            raise NotAllowed
        key, words = f"payout:{payout.public_id}", f"{payout.product_name}, {payout.amount}"
        found = Dispute(about=A.PAYOUT, payout=payout, program=payout.program)
    elif record is not None:
        if record.participant_id != mine.pk and not record.credits.filter(participation__participant=mine).exists():
            raise NotAllowed
        key, words = f"record:{record.public_id}", str(record)
        found = Dispute(about=A.RECORD, object=record, program=program)
    else:
        words = " ".join(missing.split())
        if not words:
            raise TextNeeded("Say what is missing, for example the name or number of the deal.")
        key, found = "", Dispute(about=A.MISSING, program=program)
    found.participant, found.subject, found.subject_key = mine, words[:200], key
    found.currency = currency_of(earning=earning, payout=payout, program=found.program)
    return found


def _standing(dispute: Dispute) -> Dispute | None:
    if not dispute.subject_key:
        return None
    rows = Dispute.objects.open().select_for_update(of=("self",), no_key=True)
    return rows.filter(participant=dispute.participant, subject_key=dispute.subject_key).first()


def reply(*, dispute: Dispute, actor: User, text: str) -> Dispute:
    """The participant writes; a question that waited for them is open again. Raises NotAllowed, TextNeeded,
    IllegalTransition (it is decided: it may be opened again instead)."""
    with transaction.atomic():
        return _reply(_own(dispute, actor), actor, _text(text))


def _reply(dispute: Dispute, actor: User, text: str) -> Dispute:
    if not dispute.is_open:
        raise IllegalTransition(dispute, "continued")
    _write(dispute, K.REPLY, actor, text, staff=False)
    _move(dispute, S.OPEN if dispute.status == S.WAITING else dispute.status, actor, "dispute.replied")
    return dispute


def withdraw(*, dispute: Dispute, actor: User, text: str = "") -> Dispute:
    """The participant needs no answer any more. A repeat changes nothing."""
    with transaction.atomic():
        dispute = _own(dispute, actor)
        if dispute.status == S.WITHDRAWN:
            return dispute
        _write(dispute, K.WITHDRAWN, actor, text.strip()[:TEXT], staff=False)
        _move(dispute, S.WITHDRAWN, actor, "dispute.withdrawn")
    return dispute


def reopen(*, dispute: Dispute, actor: User, text: str) -> Dispute:
    """The participant does not accept the decision: once, within REOPEN_DAYS. Raises CannotReopen, TextNeeded."""
    with transaction.atomic():
        dispute = _own(dispute, actor)
        if not dispute.may_reopen:
            raise CannotReopen(
                f"A decided question can be opened again once, within {REOPEN_DAYS} days. Ask a new one instead."
            )
        _write(dispute, K.REOPENED, actor, _text(text), staff=False)
        _move(dispute, S.OPEN, actor, "dispute.reopened", reopened_at=timezone.now())
    return dispute


def mark_seen(dispute: Dispute) -> None:
    """The participant opened the thread. Not a change of it: no version, no record."""
    Dispute.objects.filter(pk=dispute.pk).update(seen_at=timezone.now())


# --- staff ------------------------------------------------------------------------------------------------------------------
def explain(*, dispute: Dispute, actor: User, text: str, seen_version: int) -> Dispute:
    """Decide: it is right as it is, and why. Raises NotAllowed, OwnDispute, StaleDispute, TextNeeded."""
    with transaction.atomic():
        dispute = _for_staff(dispute, actor, seen_version)
        _write(dispute, K.EXPLAINED, actor, _text(text))
        _decide(dispute, S.ANSWERED, actor)
    return dispute


def correct(*, dispute: Dispute, actor: User, text: str, correction: Correction, seen_version: int) -> Dispute:
    """Decide: it was wrong and has been corrected, naming what was corrected. What the subject is worth is compared with
    what it was worth when it was questioned; NothingChanged while a questioned line or record is worth the same.

    Raises also NotAllowed, OwnDispute, StaleDispute, TextNeeded.
    """
    with transaction.atomic():
        dispute = _for_staff(dispute, actor, seen_version)
        if dispute.about in (Dispute.About.LINE, Dispute.About.RECORD) and dispute.before is not None:
            _require_difference(dispute)
        _write(dispute, K.CORRECTED, actor, _text(text))
        _decide(
            dispute, S.CORRECTED, actor, correction=correction.kind, correction_ref=correction.ref[:64],
            correction_label=correction.label[:200],
        )  # fmt: skip
    return dispute


def _require_difference(dispute: Dispute) -> None:
    if worth_of(dispute) != dispute.before:
        return
    if being_counted(dispute):
        raise NothingChanged("The correction is still being counted. Try again in a few seconds.")
    raise NothingChanged(
        f"It is still worth {dispute.before}, as when it was questioned. Correct it first (the record, the target, or "
        "an award), or close the question with an explanation."
    )


def ask_back(*, dispute: Dispute, actor: User, text: str, seen_version: int) -> Dispute:
    """Ask the participant something; it waits for them then. Raises as explain."""
    with transaction.atomic():
        dispute = _for_staff(dispute, actor, seen_version)
        _write(dispute, K.ASKED, actor, _text(text))
        _move(dispute, S.WAITING, actor, "dispute.asked_back", assigned_to=dispute.assigned_to or actor)
        _tell(dispute)
    return dispute


def note(*, dispute: Dispute, actor: User, text: str) -> Dispute:
    """A note that only staff reads. It changes no state and refuses nobody's answer."""
    if not actor.can("disputes.answer"):
        raise NotAllowed
    with transaction.atomic():
        dispute = Dispute.objects.select_for_update(of=("self",), no_key=True).get(pk=dispute.pk)
        if _is_about(dispute, actor):
            raise OwnDispute
        _write(dispute, K.NOTE, actor, _text(text), internal=True)
        audit.record("dispute.noted", dispute, actor=actor)
    return dispute


def assign(*, dispute: Dispute, actor: User, to: User | None, seen_version: int) -> Dispute:
    """Say who looks after it; None frees it. Raises NotAllowed (also when `to` may not answer), OwnDispute, StaleDispute."""
    if to is not None and not to.can("disputes.answer"):
        raise NotAllowed("Only a program manager answers questions.")
    with transaction.atomic():
        dispute = _for_staff(dispute, actor, seen_version)
        if to is not None and _is_about(dispute, to):
            raise OwnDispute
        before = str(dispute.assigned_to or "")
        _change(dispute, assigned_to=to)
        audit.record(
            "dispute.assigned", dispute, actor=actor, before={"to": before}, after={"to": str(to or "")}
        )  # fmt: skip
    return dispute


# --- steps --------------------------------------------------------------------------------------------------------------
def _text(text: str) -> str:
    found = text.strip()[:TEXT]
    if not found:
        raise TextNeeded
    return found


def _own(dispute: Dispute, actor: User) -> Dispute:
    """Locked; only the participant's own."""
    rows = Dispute.objects.raised_by_person(actor).select_for_update(of=("self",), no_key=True)
    found = rows.filter(pk=dispute.pk).first()
    if found is None:
        raise NotAllowed
    return found


def _is_about(dispute: Dispute, user: User) -> bool:
    return user.pk in {dispute.participant_user_id, dispute.participant.user_id, dispute.raised_by_id}


def _for_staff(dispute: Dispute, actor: User, seen_version: int) -> Dispute:
    """Locked, open, and as the actor saw it; not about the actor's own earning."""
    if not actor.can("disputes.answer"):
        raise NotAllowed("Only a program manager answers questions.")
    rows = Dispute.objects.select_for_update(of=("self",), no_key=True).select_related(
        "participant", "earning__object", "object"
    )
    found = rows.get(pk=dispute.pk)
    if _is_about(found, actor):
        raise OwnDispute
    if found.version != seen_version:
        raise StaleDispute
    if not found.is_open:
        raise IllegalTransition(found, "changed")
    return found


def _write(dispute: Dispute, kind: str, actor: User, text: str, *, staff: bool = True, internal: bool = False) -> None:
    DisputeMessage.objects.create(
        dispute=dispute, kind=kind, author=actor, author_name=str(actor)[:200], by_staff=staff, internal=internal, text=text
    )  # fmt: skip


def _decide(dispute: Dispute, status: str, actor: User, **also) -> None:
    worth = worth_of(dispute)
    values = {"after_minor": worth.minor if worth else None, "decided_by": actor, "decided_at": timezone.now()}
    _move(dispute, status, actor, f"dispute.{status}", **values, **also)
    _tell(dispute)


def _tell(dispute: Dispute) -> None:
    key = f"{dispute.public_id}:{dispute.version}"
    notify(ANSWERED, to=dispute.participant, key=key, data={"dispute": str(dispute.public_id)})


def _move(dispute: Dispute, new: str, actor: User, action: str, **also) -> None:
    """The only code that assigns Dispute.status. Staying in a state (a further message) is no move but counts as one for
    who looks at it. Raises IllegalTransition."""
    old = dispute.status
    if new != old and new not in Dispute.NEXT[old]:
        raise IllegalTransition(dispute, Dispute.Status(new).label.lower())
    _change(dispute, status=new, moved_at=timezone.now(), **also)
    after = {"status": new} | ({"correction": dispute.correction_label} if new == S.CORRECTED else {})
    audit.record(action, dispute, actor=actor, before={"status": old}, after=after)


def _change(dispute: Dispute, **values) -> None:
    """Write under the version that was read: where row locks are ignored, of two writers one is refused."""
    read = dispute.version
    values["version"] = read + 1
    if not Dispute.objects.filter(pk=dispute.pk, version=read).update(**values):
        raise StaleDispute
    for name, value in values.items():
        setattr(dispute, name, value)
