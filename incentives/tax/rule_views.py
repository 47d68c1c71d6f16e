"""The rules by country, classification and year."""

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.tax import services
from incentives.tax.forms import ReasonForm, RuleFilters, RuleForm
from incentives.tax.models import TaxRule
from incentives.tax.views import PARENT

HERE = (_("Tax rules"), "tax:rules")
HISTORY_SHOWN = 50


def years(rule: TaxRule) -> str:
    if rule.year_to is None:
        return gettext("%(year)s and later") % {"year": rule.year_from}
    return str(rule.year_from) if rule.year_from == rule.year_to else f"{rule.year_from}–{rule.year_to}"


class RulesPage(ListPage):
    permission = "tax.view"
    title = _("Tax rules")
    lead = _(
        "What is asked, held and reported. A country without a row of its own takes the row for every country. Laurel gives "
        "no tax advice: check the figures of each year."
    )
    search = ("country", "form_needed", "report_kind", "source")
    search_hint = _("Country, form, report or source")
    filterset_class = RuleFilters
    default_sort = "-country"
    export_name, export_permission = "tax rules", "tax.view"
    actions = (Link(_("Add a rule"), "tax:rule-new", "tax.edit", "plus", primary=True),)
    columns = (
        Column("country", _("Country"), lambda rule: rule.country or gettext("Every other"), link=True,
               sort=("country", "classification", "year_from")),
        Column("classification", _("Classification"), lambda rule: rule.get_classification_display(),
               sort=("classification", "country", "year_from")),
        Column("years", _("Years"), years, sort=("year_from", "country", "classification")),
        Column("form_needed", _("Form"), sort="form_needed"),
        Column("threshold", _("Threshold"), kind="money", sort="threshold_minor", phone="value"),
        Column("report", _("Report"), lambda rule: rule.get_report_kind_display(), sort="report_kind"),
        Column("hold", _("Hold"), lambda rule: rule.get_hold_action_display(), sort="hold_action", note="source"),
        Column("source", _("Source"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return TaxRule.objects.all()

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT)}


class RuleAction(ActionPage):
    permission = "tax.edit"

    def get_queryset(self):
        return TaxRule.objects.all()

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, HERE)}

    def success_url(self, thing) -> str:
        return reverse("tax:rules")


class EditRulePage(RuleAction):
    form_class = RuleForm
    template_name = "tax/rule.html"
    text = _(
        "A row without a last year ends by itself when a later row of the same kind begins. Holds that stand are not lifted."
    )
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": RuleForm.initial_of(thing)}

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.none()
        if thing:
            events = AuditEvent.objects.filter(target_type="tax.taxrule", target_id=str(thing.pk))[:HISTORY_SHOWN]
        title = str(thing) if thing else gettext("Add a rule")
        return {**super().get_context(thing), "title": title, "events": [_told(event) for event in events]}

    def perform(self, thing, data: dict) -> str:
        form = self.make_form(thing, self.request.POST)
        form.is_valid()
        services.save_rule(actor=self.request.user, rule=thing, **form.values())
        return gettext("The rule is saved.")


class RemoveRulePage(RuleAction):
    form_class = ReasonForm
    title, submit, danger = _("Remove this rule?"), _("Remove"), True
    text = _("People it covers fall under the row for every country, or under none: then nothing is held or reported.")

    def perform(self, thing, data: dict) -> str:
        services.remove_rule(rule=thing, actor=self.request.user, reason=data["reason"])
        return gettext("The rule is removed.")


def _told(event: AuditEvent) -> dict:
    changed = [
        f"{name.removesuffix('_minor')}: {_value(event.before.get(name))} → {_value(value)}"
        for name, value in event.after.items()
        if event.before and event.before.get(name) != value
    ]
    title = gettext("Changed") if event.before else gettext("Added")
    return {"title": title, "at": event.at, "by": event.actor_name, "text": "; ".join(changed)}


def _value(value) -> str:
    return "–" if value in (None, "") else str(value)
