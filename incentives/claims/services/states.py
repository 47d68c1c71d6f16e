"""The only code that moves a claim from state to state, and the checks every step shares."""

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from incentives.accounts.models import Role
from incentives.claims.errors import ChangedMeanwhile, DuplicateClaim, OwnClaim, SerialPaid
from incentives.claims.models import Claim, ClaimSerial
from incentives.claims.notices import DECIDED, TOLD
from incentives.core import audit
from incentives.core.errors import IllegalTransition, NotAllowed
from incentives.core.models import AuditEvent
from incentives.notifications import notify
from incentives.participants.models import Participant

Status = Claim.Status
REASONED = (Status.RETURNED, Status.REJECTED, Status.REVERSED)
"""States whose reason the partner reads on the claim."""


def locked(claim_id: int, seen_version: int | None) -> Claim:
    """The claim, locked, as somebody saw it. Raises ChangedMeanwhile when it is another version by now."""
    related = ("program", "partner", "participant__partner", "participant__team", "reviewer")
    claim = Claim.objects.select_for_update(of=("self",), no_key=True).select_related(*related).get(pk=claim_id)
    if seen_version is not None and claim.version != seen_version:
        raise ChangedMeanwhile(what_happened(claim))
    return claim


def what_happened(claim: Claim) -> str:
    """The claim's last recorded change as a sentence."""
    event = AuditEvent.objects.filter(target_type="claims.claim", target_id=str(claim.public_id)).first()
    if event is None:
        return _("%(claim)s was changed.") % {"claim": claim}
    words = {
        "claim.taken": _("%(name)s took %(claim)s for review."),
        "claim.released": _("%(name)s put %(claim)s back into the queue."),
        "claim.approved": _("%(name)s approved %(claim)s."),
        "claim.rejected": _("%(name)s rejected %(claim)s."),
        "claim.returned": _("%(name)s returned %(claim)s for more information."),
        "claim.reversed": _("%(name)s took back the approval of %(claim)s."),
        "claim.withdrawn": _("%(name)s withdrew %(claim)s."),
        "claim.submitted": _("%(name)s sent %(claim)s."),
    }.get(event.action, _("%(name)s changed %(claim)s."))
    return words % {"name": event.actor_name, "claim": claim}


def move(
    claim: Claim, new: str, *, actor, action: str = "", reason: str = "", after: dict | None = None, **values
) -> None:
    """Change the state, set `values`, and record it. Call it inside a transaction with the claim locked.

    The conditional UPDATE is the guard where row locks are ignored. Raises: IllegalTransition, ChangedMeanwhile,
    DuplicateClaim, SerialPaid; nothing was written then.
    """
    old = claim.status
    if new not in Claim.NEXT[old]:
        raise IllegalTransition(claim, Status(new).label.lower())
    if new in REASONED:
        values["reason"] = reason[:1000]
    try:
        with transaction.atomic():
            same = Claim.objects.filter(pk=claim.pk, version=claim.version, status=old)
            if not same.update(status=new, version=F("version") + 1, **values):
                claim.refresh_from_db()
                raise ChangedMeanwhile(what_happened(claim))
            claim.serials.update(live=new in Claim.LIVE, paid=new == Status.APPROVED)
    except IntegrityError as exc:
        raise refused(claim, exc) from exc
    claim.status, claim.version = new, claim.version + 1
    for name, value in values.items():
        setattr(claim, name, value)
    audit.record(
        action or f"claim.{new}", claim, actor=actor, before={"status": old}, after={"status": new, **(after or {})},
        reason=reason,
    )  # fmt: skip
    if new in TOLD:
        _tell(claim)


def _tell(claim: Claim) -> None:
    """The claimant, and who sent it for them."""
    people = [claim.participant, *([claim.submitted_by] if claim.submitted_by else [])]
    key, data = f"{claim.public_id}:{claim.version}", {"claim": str(claim.public_id), "status": str(claim.status)}
    notify(DECIDED, to=people, key=key, data=data)


def refused(claim: Claim, exc: Exception, keys: list[str] | None = None) -> Exception:
    """The constraint that refused the claim, as an error a person can act on. `keys`: serial numbers not yet stored."""
    return invoice_taken(claim) or serial_taken(claim, keys) or serial_paid(claim) or exc


def invoice_taken(claim: Claim) -> DuplicateClaim | None:
    """The partner's other live claim of this invoice in this program."""
    if not claim.invoice_key:
        return None
    same = {"program": claim.program_id, "partner": claim.partner_id, "invoice_key": claim.invoice_key}
    other = Claim.objects.filter(status__in=Claim.LIVE, **same).exclude(pk=claim.pk).first()
    if other is None:
        return None
    text = _("%(partner)s has claimed invoice %(number)s in this program already, with %(other)s.")
    return DuplicateClaim(text % {"partner": claim.partner, "number": other.invoice_number, "other": other}, other)


def serial_taken(claim: Claim, keys: list[str] | None = None) -> DuplicateClaim | None:
    """The partner's other live claim of one of these serial numbers (by default those stored) in this program."""
    keys = [row.key for row in claim.serials.all()] if keys is None else keys
    rows = ClaimSerial.objects.filter(program=claim.program_id, partner=claim.partner_id, key__in=keys, live=True)
    row = rows.exclude(claim=claim).select_related("claim").first()
    if row is None:
        return None
    text = _("%(partner)s has claimed the serial number %(serial)s in this program already, with %(other)s.")
    return DuplicateClaim(text % {"partner": claim.partner, "serial": row.serial, "other": row.claim}, row.claim)


def serial_paid(claim: Claim) -> SerialPaid | None:
    """Whoever's claim was approved with one of these serial numbers in this program. For reviewers' eyes."""
    keys = [row.key for row in claim.serials.all()]
    rows = ClaimSerial.objects.filter(program=claim.program_id, key__in=keys, paid=True).exclude(claim=claim)
    found = list(rows.select_related("claim"))
    if not found:
        return None
    return SerialPaid([row.serial for row in found if row.claim_id == found[0].claim_id], found[0].claim)


# --- who may ------------------------------------------------------------------------------------------------------------
def administers(user, partner_id: int) -> bool:
    mine = getattr(user, "participant", None)
    return Role.PARTNER_ADMIN in user.roles and mine is not None and mine.partner_id == partner_id


def may_act(user, claim: Claim) -> bool:
    """Whether somebody may write and send the claim: its own person, or an administrator of its partner."""
    if not user.can("claims.submit"):
        return False
    return claim.participant.user_id == user.pk or administers(user, claim.partner_id)


def require_actor(user, claim: Claim) -> None:
    """Raises NotAllowed."""
    if not may_act(user, claim):
        raise NotAllowed


def objection(user, claim: Claim) -> str:
    """Why this person may not decide the claim, in words; empty when they may."""
    if not user.can("claims.review"):
        return str(NotAllowed.user_message)
    own = Participant.objects.filter(user=user, partner=claim.partner_id).exists()
    if own or user.pk in (claim.participant.user_id, claim.submitted_by_id, claim.created_by_id):
        return str(OwnClaim.user_message)
    return ""


def require_reviewer(user, claim: Claim) -> None:
    """Raises NotAllowed, OwnClaim."""
    if not user.can("claims.review"):
        raise NotAllowed
    if objection(user, claim):
        raise OwnClaim


def now():
    return timezone.now()
