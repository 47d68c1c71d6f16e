"""Where what corrected a dispute can be looked at."""

from django.urls import reverse

from incentives.disputes.models import Dispute


def correction_url(dispute: Dispute) -> str:
    """For staff; empty for what has no page of its own."""
    if dispute.correction == "activity":
        return reverse("crm:activity", args=[dispute.correction_ref])
    if dispute.correction == "award":
        return reverse("awards:award", args=[dispute.correction_ref])
    if dispute.correction == "target" and dispute.program_id:
        return reverse("programs:targets", args=[dispute.program.public_id])
    return ""
