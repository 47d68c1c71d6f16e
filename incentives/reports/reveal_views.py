"""Who was shown a claim link, when and in which request. The link itself is nowhere in this module's reach."""

import django_filters
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import Column, ListPage, Since, Tab, Until
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.programs.models import Program
from incentives.reports.journal import uuid_text
from rewards.models import CardReveal
from rewards.money import Money

REPORTS = (_("Reports"), "reports:list")
PAYOUT = "card__order__payout"
WHO = {"revealed": _("The recipient"), "failed": _("Somebody else")}


class RevealFilters(django_filters.FilterSet):
    program = django_filters.ModelChoiceFilter(
        label=_("Program"), queryset=Program.objects.order_by("name"), to_field_name="public_id", field_name=f"{PAYOUT}__program"
    )  # fmt: skip
    since = Since(field_name="at", label=_("From"))
    until = Until(field_name="at", label=_("To"))

    class Meta:
        model = CardReveal
        fields: list[str] = []


def payout_of(row):
    return getattr(row.card.order, "payout", None)


def _of_payout(path: str):
    def value(row):
        thing = payout_of(row)
        for part in path.split("."):
            thing = getattr(thing, part, None)
        return thing

    return value


def _payout_url(row) -> str:
    payout = payout_of(row)
    return payout.get_absolute_url() if payout else ""


class RevealsPage(ListPage):
    permission = "reveals.view"
    title = _("Claim links opened")
    lead = _("Each time Laurel showed a claim link: to whom and when. The links themselves are encrypted and stand on no page of this report.")  # fmt: skip
    search = ("actor_name", f"{PAYOUT}__recipient_name", f"{PAYOUT}__program__name", "card__order__po_number")
    search_hint = _("Person, program or PONumber")
    filterset_class = RevealFilters
    default_sort = "-at"
    export_name, export_permission = "claim links opened", "reports.export"
    empty_icon, empty_title = "eye", _("No claim link was opened yet")
    empty_text = _("A card given as a claim link is opened by its recipient, and each time is recorded here.")
    template_name = "reports/reveals.html"
    tabs = (
        Tab("all", _("All")),
        Tab("again", _("More than once"), Q(times__gt=1)),
        Tab("others", _("Not by the recipient"), Q(own=False)),
    )
    columns = (
        Column("at", _("When"), kind="time", sort="at", phone="title"),
        Column("actor", _("Shown to"), "actor_name", sort="actor_name"),
        Column("who", _("Who"), lambda row: "revealed" if row.own else "failed", kind="status", words=WHO, sort="own"),
        Column("recipient", _("Recipient"), _of_payout("recipient_name"), sort=f"{PAYOUT}__recipient_name", link=_payout_url),
        Column("program", _("Program"), _of_payout("program.name"), sort=f"{PAYOUT}__program__name"),
        Column("amount", _("Amount"), lambda row: Money(row.card.order.amount_minor, row.card.order.currency), kind="money",
               sort="card__order__amount_minor", phone="value"),
        Column("times", _("Times"), kind="number", sort="times"),
        Column("request", _("Request"), sort="request"),
        Column("po_number", _("PONumber"), "card.order.po_number", screen=False),
        Column("card", _("Card"), "card.public_id", screen=False),
        Column("payout", _("Payout"), _of_payout("public_id"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        """`own`: the person shown it is the recipient's account; `times`: how often this card was shown in all; `request`: the
        id under which the server's log has the request, from the trail's event of the same moment."""
        every = CardReveal.objects.filter(card=OuterRef("card")).order_by().values("card")
        event = AuditEvent.objects.filter(
            action="card.revealed", target_type="payouts.payout", target_id=OuterRef("payout_id_text"), at__gte=OuterRef("at")
        )  # fmt: skip
        account = uuid_text(f"{PAYOUT}__participant__user__public_id")
        return (
            CardReveal.objects.select_related(f"{PAYOUT}__program")
            .annotate(payout_id_text=uuid_text(f"{PAYOUT}__public_id"), account=account)
            .annotate(
                own=Case(
                    When(actor_ref=F("account"), then=Value(True)), default=Value(False), output_field=BooleanField()
                ),
                times=Coalesce(Subquery(every.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0),
                request=Subquery(event.order_by("pk").values("request_id")[:1], output_field=CharField()),
            )
        )

    def get_context(self) -> dict:
        return {"crumbs": crumbs(REPORTS)}
