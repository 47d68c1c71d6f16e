"""Payouts that wait until their recipient has accepted the program's terms.

Placed when a payout is built, lifted by the acceptance itself, both ways corrected when a new text is published. Approving
asks once more, so that a text published in the same moment as a build is not missed.
"""

from django.dispatch import receiver
from django.utils import timezone

from incentives.core import audit
from incentives.payouts.models import Hold, Payout
from incentives.payouts.services.automatic import approve_by_policy
from incentives.programs import terms
from incentives.programs.signals import terms_changed

REASON = "The recipient has not accepted the program's terms."


@receiver(terms_changed)
def follow_terms(sender, program, participant, **_more) -> None:
    """Hold and release what awaits approval in this program, in the transaction that published or accepted."""
    rows = Payout.objects.filter(program=program, status=Payout.Status.SUBMITTED)
    rows = rows if participant is None else rows.filter(participant=participant)
    wanted = terms.required(program)
    known: dict[int, bool] = {}
    locked = (
        rows.select_for_update(of=("self",), no_key=True)
        .select_related("participant", "program", "budget")
        .order_by("pk")
    )
    for payout in locked:
        person = payout.participant
        if person.pk not in known:
            known[person.pk] = bool(wanted and wanted.holds_payouts and not wanted.accepted_by(person))
        if known[person.pk]:
            _place(payout)
        else:
            _lift(payout)


def _place(payout: Payout) -> None:
    hold, created = Hold.objects.get_or_create(
        payout=payout, kind=Hold.Kind.TERMS, lifted_at=None, defaults={"reason": REASON}
    )
    if created:
        audit.record("hold.placed", payout, after={"kind": hold.kind}, reason=REASON)


def _lift(payout: Payout) -> None:
    open_ones = payout.holds.filter(kind=Hold.Kind.TERMS, lifted_at__isnull=True)
    reason = "The recipient has accepted the terms, or they are no longer asked for."
    if not open_ones.update(lifted_at=timezone.now(), lifted_reason=reason):
        return
    audit.record("hold.lifted", payout, after={"kind": Hold.Kind.TERMS}, reason=reason)
    approve_by_policy(payout)
