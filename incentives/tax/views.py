"""The year of everybody, one person's tax details with their history, and what finance records there."""

from functools import cached_property

from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import ActionPage, Column, Guarded, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.participants.models import Participant
from incentives.tax import selectors, services
from incentives.tax.forms import ProfileForm, ReasonForm, YearFilters
from incentives.tax.models import TaxProfile, TaxRule
from incentives.tax.services.holds import utc_today
from incentives.tax.services.profiles import FIELDS
from incentives.tax.standing import classification_of, country_of

PARENT = (_("Tax"), "tax:overview")
HISTORY_SHOWN = 100
YEARS_SHOWN = 6
LOOKS = {"not_needed": "none", "on_file": "ok", "missing": "warning", "expired": "warning", "other_form": "warning"}


class Lines(list):
    """Figures as a list page takes them: countable, sliceable, iterable in an export."""

    def count(self) -> int:
        return len(self)

    def iterator(self, chunk_size: int = 0):
        return iter(self)


def held_sums(line) -> str:
    return ", ".join(str(money) for money in line.held.sums) if line.held else ""


def unknown(line) -> str:
    if not line.missing:
        return ""
    return gettext("without a rate: %(sums)s") % {"sums": ", ".join(str(money) for money in line.missing)}


KEEP = {
    "moving": lambda line: not line.is_empty,
    "attention": lambda line: line.attention,
    "reportable": lambda line: line.reportable,
    "all": lambda line: True,
}
KEYS = {
    "name": lambda line: line.participant.name.lower(),
    "classification": lambda line: line.classification,
    "form": lambda line: line.form,
    "paid": lambda line: line.paid.minor,
    "outside": lambda line: line.outside.minor,
    "in_flight": lambda line: line.in_flight.minor,
    "threshold": lambda line: None if line.threshold is None else line.threshold.minor,
    "reached": lambda line: line.reached,
    "held": lambda line: sum(money.minor for money in line.held.sums) if line.held else None,
}


class OverviewPage(ListPage):
    permission = "tax.view"
    title = _("Tax")
    search = ("participant",)
    search_hint = _("Name, user id or employee number")
    filterset_class = YearFilters
    default_sort = "-reached"
    export_name, export_permission = "tax year", "tax.view"
    actions = (
        Link(_("Rules"), "tax:rules", "tax.view", "lock"),
        Link(_("Awards elsewhere"), "tax:awards", "tax.view", "gift"),
        Link(_("Exports"), "tax:exports", "tax.view", "download", primary=True),
    )
    empty_icon, empty_title = "reports", _("Nothing in this year")
    empty_text = _("People appear as soon as something is on its way to them, or an award made elsewhere is entered.")
    tabs = (
        Tab("moving", _("With amounts")),
        Tab("attention", _("Needs attention")),
        Tab("reportable", _("At the threshold")),
        Tab("all", _("Everybody")),
    )
    columns = (
        Column("participant", _("Participant"), "participant.name", link=True, sort="name",
               note=lambda line: line.participant.external_user_id),
        Column("external_user_id", _("External user id"), "participant.external_user_id", screen=False),
        Column("employee_number", _("Employee number"), "participant.employee_number", screen=False),
        Column("classification", _("Classification"), lambda line: selectors.classification_label(line.classification),
               sort="classification", note="country"),
        Column("country", _("Country"), screen=False),
        Column("form", _("Form"), lambda line: LOOKS[line.form], kind="status", sort="form",
               template="tax/_form.html", export=False),
        Column("form_state", _("Form"), "form_words", screen=False),
        Column("paid", _("Delivered"), kind="money", sort="paid"),
        Column("outside", _("Elsewhere"), kind="money", sort="outside"),
        Column("in_flight", _("In flight"), kind="money", sort="in_flight"),
        Column("threshold", _("Threshold"), kind="money", sort="threshold"),
        Column("reached", _("Reached"), kind="percent", sort="reached", phone="value", note=unknown),
        Column("held", _("Held"), held_sums, sort="held"),
    )  # fmt: skip

    @cached_property
    def year(self) -> int:
        data = self.filters.form.cleaned_data if self.filters.is_valid() else {}
        return int(data.get("year") or utc_today().year)

    @property
    def lead(self):
        return gettext(
            "Year %(year)s (UTC), in the currency of each person's rule. Reached counts what is delivered, awarded "
            "elsewhere and in flight."
        ) % {"year": self.year}

    @cached_property
    def base(self):
        return Participant.objects.none()

    @cached_property
    def lines(self) -> list[selectors.YearLine]:
        """The year's figures after search and filters, before the tab."""
        if not self.filters.is_valid():
            return []
        data, lines = self.filters.form.cleaned_data, selectors.year_lines(self.year)
        for word in self.query.lower().split():
            lines = [line for line in lines if word in _text(line)]
        if data.get("classification"):
            lines = [line for line in lines if line.classification in data["classification"]]
        if data.get("form"):
            lines = [line for line in lines if line.form in data["form"]]
        if data.get("country"):
            lines = [line for line in lines if line.country == data["country"].upper()]
        return lines

    def rows(self) -> Lines:
        """By the column asked for, then by name; what has no value comes last."""
        column, descending = self.sorting
        key = KEYS[column.sort]
        wanted = [line for line in self.lines if KEEP[self.tab.key](line)]
        full = [line for line in wanted if key(line) is not None]
        full.sort(key=key, reverse=descending)
        return Lines([*full, *(line for line in wanted if key(line) is None)])

    def tab_links(self) -> list[dict]:
        return [
            {
                "url": self.address(tab=tab.key if i else None),
                "label": tab.label,
                "count": sum(map(KEEP[tab.key], self.lines)),
                "current": tab is self.tab,
            }
            for i, tab in enumerate(self.tabs)
        ]


def _text(line) -> str:
    one = line.participant
    return f"{one.name} {one.external_user_id} {one.employee_number} {one.email}".lower()


# --- one person ---------------------------------------------------------------------------------------------------------
class ParticipantPage(Guarded, View):
    permission = "tax.view"

    def get(self, request, public_id):
        person = get_object_or_404(Participant.objects.select_related("partner"), public_id=public_id)
        years = selectors.years()
        wanted = request.GET.get("year", "")
        year = int(wanted) if wanted in {str(y) for y in years} else years[0]
        profile = TaxProfile.objects.filter(participant=person).select_related("seen_by").first()
        (line,) = selectors.year_lines(year, [person.pk])
        context = {
            "person": person,
            "profile": profile,
            "line": line,
            "form_look": LOOKS[line.form],
            "classification": selectors.classification_label(line.classification),
            "years": [{"url": f"?year={y}", "label": str(y), "current": y == year} for y in years[:YEARS_SHOWN]],
            "awards": list(person.outside_awards.filter(on__year=year)),
            "events": [_told(change) for change in profile.changes.all()[:HISTORY_SHOWN]] if profile else [],
            "may_release": reviewed(line),
            "own": person.user_id == request.user.pk,
            "crumbs": crumbs(PARENT),
        }
        return render(request, "tax/participant.html", context)


def reviewed(line) -> bool:
    """Whether payouts wait for a review, which a person ends; one that waits for a form ends with the form."""
    always = line.rule is not None and line.rule.hold_action == TaxRule.Action.REVIEW
    return line.held is not None and (always or bool(line.missing))


def _told(change) -> dict:
    parts = [
        f"{TaxProfile._meta.get_field(name).verbose_name}: {change.before.get(name) or '–'} → {change.after.get(name) or '–'}"
        for name in FIELDS
        if change.before.get(name) != change.after.get(name)
    ]
    return {"title": gettext("Recorded"), "at": change.at, "by": change.actor_name, "text": "; ".join(parts)}


class PersonAction(ActionPage):
    permission = "tax.edit"
    parent = PARENT

    def get_queryset(self):
        return Participant.objects.select_related("partner", "user")

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, (str(thing), self.success_url(thing)))}

    def success_url(self, thing) -> str:
        return reverse("tax:participant", args=[thing.public_id])


class EditProfilePage(PersonAction):
    form_class = ProfileForm
    template_name = "tax/profile.html"
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        profile = TaxProfile.objects.filter(participant=thing).first()
        return {
            "initial": {name: getattr(profile, name) for name in FIELDS} if profile else {},
            "default_classification": classification_of(thing.type, None),
            "default_country": country_of(thing.country, thing.partner.country if thing.partner else "", None),
        }

    def get_context(self, thing) -> dict:
        return {**super().get_context(thing), "title": gettext("Tax details of %(name)s") % {"name": thing}}

    def perform(self, thing, data: dict) -> str:
        _profile, placed, lifted = services.save_profile(participant=thing, actor=self.request.user, **data)
        words = [gettext("Saved.")]
        if lifted:
            words.append(ngettext("%(n)s payout goes on.", "%(n)s payouts go on.", lifted) % {"n": lifted})
        if placed:
            words.append(ngettext("%(n)s payout is held now.", "%(n)s payouts are held now.", placed) % {"n": placed})
        return " ".join(words)


class ReleasePage(PersonAction):
    form_class = ReasonForm
    title, submit = _("Let the reviewed payouts go?"), _("Let them go")
    text = _(
        "Every payout of this person that waits for a tax review goes on, but those you made yourself. The next ones are "
        "held again."
    )

    def perform(self, thing, data: dict) -> str:
        count = services.release(participant=thing, actor=self.request.user, reason=data["reason"])
        if not count:
            return gettext("Nothing waited for a review.")
        return ngettext("%(n)s payout goes on.", "%(n)s payouts go on.", count) % {"n": count}
