"""What reports tell finance: a difference between our orders and the provider's list that was not there before."""

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.notifications import Content, Item, Reader, kind
from incentives.reports.comparison_models import ProviderDifference
from incentives.reports.comparisons import DIFFERS

SHOWN = 20


def differs(items: list[Item], reader: Reader) -> Content | None:
    """The differences by their numbers and words; what they say stays true, whatever was found out since."""
    rows = ProviderDifference.objects.filter(public_id__in=[item.data["difference"] for item in items]).order_by("pk")
    count = rows.count()
    if not count:
        return None
    shown = list(rows[:SHOWN])
    subject = ngettext(
        "The provider's list differs from ours: %(n)s difference", "The provider's list differs from ours: %(n)s differences", count
    )  # fmt: skip
    return Content(
        subject % {"n": count},
        {"rows": shown, "more": max(0, count - SHOWN)},
        summary="\n".join(f"{row.reference}: {row.message}" for row in shown),
        link=reverse("reports:comparisons"),
        link_label=gettext("Look at the comparisons"),
    )


kind(
    DIFFERS,
    label=_("The provider's list differs from ours"),
    about=_("The daily comparison found a difference that was not there before."),
    content=differs,
    template="provider_differs",
    duty=True,
    chat=True,
    permission="reconciliation.edit",
)
