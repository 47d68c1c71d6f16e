"""What claims tell the partner: what was decided, and what has to be added."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.claims.models import Claim
from incentives.notifications import Content, Item, Reader, kind

DECIDED = "claims.decided"
S = Claim.Status
TOLD = (S.APPROVED, S.RETURNED, S.REJECTED, S.REVERSED)
SHOWN = 20


def decided(items: list[Item], reader: Reader) -> Content | None:
    """Claims that are still in the state that was told. Their reasons are written for the partner."""
    states = {item.data["claim"]: item.data["status"] for item in items}
    rows = Claim.objects.filter(public_id__in=states).select_related("program").order_by("pk")
    if reader.user is not None:
        rows = rows.visible_to(reader.user)
    claims = [claim for claim in rows if states[str(claim.public_id)] == claim.status]
    if not claims:
        return None
    here = reader.user is not None
    one = claims[0]
    if len(claims) == 1:
        words = {"claim": one.reference, "state": one.get_status_display().lower()}
        subject = gettext("Your claim %(claim)s: %(state)s") % words
    else:
        several = ngettext("%(n)s of your claims was decided", "%(n)s of your claims were decided", len(claims))
        subject = several % {"n": len(claims)}
    link = one.my_url if len(claims) == 1 else reverse("claims:mine")
    return Content(
        subject,
        {"claims": claims[:SHOWN], "more": max(0, len(claims) - SHOWN)},
        link=link if here else "",
        link_label=gettext("Look at the claim") if len(claims) == 1 else gettext("Look at my claims"),
    )


kind(
    DECIDED,
    label=_("A claim was decided"),
    about=_("Your claim was approved, rejected, taken back, or needs something more from you."),
    content=decided,
    template="claims_decided",
    permission="claims.submit",
)
