"""What the subject of a dispute is worth: compared when it is raised and when it is decided. Reads only."""

from django.db.models import F, Sum

from incentives.disputes.models import Dispute
from incentives.earnings.models import Earning, Participation
from incentives.participants.models import Participant
from incentives.payouts.models import Payout
from rewards.money import Money


def worth_of(dispute: Dispute) -> Money | None:
    """Now, in the currency of its program; None where no single amount answers it (something missing, no program named).

    A line: its postings. A record: everything the participant earned by it in the program. A reward, or something missing
    in a program: everything the participant earned there.
    """
    rows = _earnings(dispute)
    if rows is None or not dispute.currency:
        return None
    return Money(rows.aggregate(n=Sum("amount_minor"))["n"] or 0, dispute.currency)


def _earnings(dispute: Dispute):
    own = Earning.objects.filter(participation__participant=dispute.participant_id)
    if dispute.earning_id:
        line = dispute.earning
        return own.filter(
            participation=line.participation_id, period_start=line.period_start, line_key=line.line_key
        )  # fmt: skip
    if dispute.object_id:
        own = own.filter(object=dispute.object_id)
        return own.filter(participation__program=dispute.program_id) if dispute.program_id else None
    return own.filter(participation__program=dispute.program_id) if dispute.program_id else None


def being_counted(dispute: Dispute) -> bool:
    """Whether something of the participant is still on its way through the earnings engine."""
    dirty = Participation.objects.filter(participant=dispute.participant_id, dirty_seq__gt=F("scored_seq"))
    record = dispute.object or (dispute.earning.object if dispute.earning_id else None)
    return dirty.exists() or (record is not None and record.changed_seq > record.credited_seq)


def programs_of(participant: Participant):
    """Programs the participant takes part in, to choose from."""
    return [p.program for p in participant.participations.select_related("program").order_by("program__name")]


def currency_of(*, earning: Earning | None, payout: Payout | None, program) -> str:
    if earning is not None:
        return earning.currency
    if payout is not None:
        return payout.currency
    return program.currency if program is not None else ""
