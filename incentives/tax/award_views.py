"""Awards made elsewhere: the list, entering one, a file with a preview, cancelling."""

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.core.row_files import NEW, RowsPage
from incentives.participants.models import Participant
from incentives.tax import services
from incentives.tax.award_files import AwardsFileForm
from incentives.tax.forms import AwardFilters, AwardForm, ReasonForm
from incentives.tax.models import OutsideAward
from incentives.tax.services.awards import new_rows
from incentives.tax.views import PARENT

HERE = (_("Awards made elsewhere"), "tax:awards")
STANDS = (_("Stands already"), "quiet", "dot")


def person_url(award: OutsideAward) -> str:
    return reverse("tax:participant", args=[award.participant.public_id])


def cancel_url(award: OutsideAward) -> str:
    return "" if award.cancelled_at else reverse("tax:award-cancel", args=[award.public_id])


class AwardsPage(ListPage):
    permission = "tax.view"
    title = _("Awards made elsewhere")
    lead = _("They count towards the threshold of the year of their date, and in the 1099-MISC export.")
    search = ("participant__name", "participant__external_user_id", "source", "reference")
    search_hint = _("Name, source or reference")
    filterset_class = AwardFilters
    default_sort = "-on"
    export_name, export_permission = "awards made elsewhere", "tax.view"
    actions = (
        Link(_("Import a file"), "tax:awards-import", "tax.edit", "upload"),
        Link(_("Enter an award"), "tax:award-new", "tax.edit", "plus", primary=True),
    )
    tabs = (
        Tab("live", _("Counted"), Q(cancelled_at__isnull=True)),
        Tab("cancelled", _("Cancelled"), Q(cancelled_at__isnull=False)),
    )
    empty_icon, empty_title = "gift", _("None entered")
    empty_text = _("Enter what people were given outside Laurel, so that their yearly totals are whole.")
    columns = (
        Column("participant", _("Participant"), "participant.name", link=person_url, sort="participant__name",
               note="participant.external_user_id"),
        Column("external_user_id", _("External user id"), "participant.external_user_id", screen=False),
        Column("on", _("Date"), kind="date", sort="on"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("source", _("Source"), sort="source", note="reference"),
        Column("reference", _("Reference"), screen=False),
        Column("entered_at", _("Entered"), kind="time", sort="entered_at", note="entered_by.name"),
        Column("cancel", _("Cancel"), lambda award: award.cancel_reason or gettext("Cancel"), link=cancel_url,
               export=False),
        Column("cancel_reason", _("Cancelled because"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return OutsideAward.objects.select_related("participant", "entered_by")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT)}


class AwardAction(ActionPage):
    permission = "tax.edit"

    def get_queryset(self):
        return OutsideAward.objects.select_related("participant")

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, HERE)}

    def success_url(self, thing) -> str:
        return reverse("tax:awards")


class NewAwardPage(AwardAction):
    form_class = AwardForm
    title, submit = _("Enter an award made elsewhere"), _("Enter")
    text = _("Payouts that bring the year to the threshold with it are held at once.")

    def get_form_kwargs(self, thing) -> dict:
        wanted = self.request.GET.get("participant", "")[:128]
        found = Participant.objects.filter(external_user_id=wanted).first() if wanted else None
        return {"initial": {"participant": found}}

    def perform(self, thing, data: dict) -> str:
        return told(services.add_awards(rows=[data["row"]], actor=self.request.user))


class CancelAwardPage(AwardAction):
    form_class = ReasonForm
    title, submit, danger = _("Cancel this award?"), _("Cancel the award"), True

    def get_context(self, thing) -> dict:
        text = gettext("%(award)s counts no longer. Payouts that are held stay held until somebody lets them go.")
        return {**super().get_context(thing), "text": text % {"award": thing}}

    def perform(self, thing, data: dict) -> str:
        services.cancel_award(award=thing, actor=self.request.user, reason=data["reason"])
        return gettext("Cancelled.")


class ImportAwardsPage(RowsPage):
    permission = "tax.edit"
    form_class = AwardsFileForm
    template_name = "tax/awards_import.html"

    def frame(self) -> dict:
        return {"crumbs": crumbs(PARENT, HERE)}

    def apply(self, form: AwardsFileForm) -> str:
        return told(services.add_awards(rows=form.good_rows, actor=self.request.user))

    def done_url(self) -> str:
        return reverse("tax:awards")

    def lines(self, form: AwardsFileForm, rows: list) -> list[dict]:
        fresh = set()
        try:
            fresh = {id(row) for row in new_rows(form.good_rows)}
        except DomainError as exc:
            if not form.non_field_errors():
                form.add_error(None, exc.user_message)
        return [{"item": item, "result": NEW if id(item.row) in fresh else STANDS} for item in rows]


def told(done: dict) -> str:
    parts = []
    if n := done["added"]:
        parts.append(ngettext("%(n)s award is entered.", "%(n)s awards are entered.", n) % {"n": n})
    if n := done["unchanged"]:
        parts.append(ngettext("%(n)s stood already.", "%(n)s stood already.", n) % {"n": n})
    return " ".join(parts)
