"""Reading claims for pages, and for those who pay what was approved."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet, Sum

from incentives.accounts.models import Role
from incentives.claims import channel
from incentives.claims.models import Claim
from incentives.claims.services.outbox import delivery_key
from incentives.core.models import AuditEvent
from incentives.crm.models import Connection, Delivery, ObjectState
from incentives.participants.models import Participant
from rewards.money import Money

COUNTED = (Claim.Status.APPROVED, Claim.Status.REVERSED)


def listed(user) -> QuerySet[Claim]:
    """What the person may see, with what lists show."""
    return Claim.objects.visible_to(user).select_related("program", "partner", "participant", "reviewer").with_flagged()


def waiting_for(user) -> int:
    """How many claims wait for a reviewer: those nobody has taken, and those this person has."""
    mine = Q(status=Claim.Status.IN_REVIEW, reviewer=user)
    return Claim.objects.filter(Q(status=Claim.Status.SUBMITTED) | mine).count()


# --- who is behind a payout ---------------------------------------------------------------------------------------------
def approved_by(user) -> QuerySet[Claim]:
    return Claim.objects.filter(status__in=COUNTED, decided_by=user)


def approvers(*, program_id: int, participant_id: int, object_ids: list[str]) -> set[int]:
    """User ids of everybody who approved a claim of this participant in this program, or one of the facts named.

    `object_ids`: ids of object states that came from claims (`claims_among`). Source: promise 6: who approved the fact does
    not approve the money.
    """
    mine = Q(program=program_id, participant=participant_id) | Q(public_id__in=[UUID(text) for text in object_ids])
    decided = Claim.objects.filter(mine, status__in=COUNTED, decided_by__isnull=False)
    return set(decided.values_list("decided_by", flat=True))


def claims_among(path: str = "") -> Q:
    """A condition on rows that lead to an object state by `path` (`earning__object`): it came from a claim."""
    return Q(**{f"{path}__connection__kind" if path else "connection__kind": Connection.Kind.CLAIMS})


# --- a partner's people ---------------------------------------------------------------------------------------------------
def people_for(user) -> list[Participant]:
    """Whom this person may claim for: themselves, and as a partner's administrator everybody of the partner."""
    mine = Participant.objects.filter(user=user).select_related("partner", "team", "manager").first()
    if mine is None or mine.partner_id is None or not mine.active:
        return []
    if Role.PARTNER_ADMIN not in user.roles:
        return [mine]
    people = Participant.objects.filter(partner=mine.partner_id, active=True)
    others = people.exclude(pk=mine.pk).select_related("partner", "team", "manager").order_by("name", "pk")
    return [mine, *others]


def takes_part(user) -> bool:
    """Whether claims concern this person at all: there are some, or a program takes them. Few queries."""
    mine = (
        Participant.objects.filter(user=user, partner__isnull=False)
        .select_related("partner", "team", "manager")
        .first()
    )
    if mine is None:
        return False
    if Claim.objects.visible_to(user).exists():
        return True
    return bool(channel.offers(people_for(user) if Role.PARTNER_ADMIN in user.roles else [mine]))


# --- what became of it ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Outcome:
    """The activity of an approved claim: whether it is derived, what it earned per currency, or what holds it up."""

    state: ObjectState | None
    earned: list[Money]
    trouble: str = ""


def outcome(claim: Claim) -> Outcome | None:
    """None for a claim that never counted. The relation is enough: the layer below keeps the earnings."""
    if claim.status not in COUNTED:
        return None
    where = {"connection__kind": Connection.Kind.CLAIMS, "object_type": "claim", "object_id": str(claim.public_id)}
    state = ObjectState.objects.filter(**where).first()
    delivery = Delivery.objects.filter(delivery_key=delivery_key(claim)).first()
    if delivery and delivery.status in (Delivery.Status.QUARANTINED, Delivery.Status.FAILED):
        return Outcome(state, [], delivery.message)
    rows = state.earnings.order_by().values_list("currency").annotate(n=Sum("amount_minor")) if state else []
    return Outcome(state, [Money(total, currency) for currency, total in rows if total])


# --- what happened ----------------------------------------------------------------------------------------------------------
def events(claim: Claim) -> list[AuditEvent]:
    """Every recorded change, oldest first."""
    rows = AuditEvent.objects.filter(target_type="claims.claim", target_id=str(claim.public_id))
    return list(rows.order_by("pk")[:300])
