"""Limits, allowed domains and deputies."""

from decimal import Decimal
from functools import cached_property

from django import forms
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.notifications import registry
from incentives.notifications.outbox import mode_of
from incentives.payouts import services
from incentives.payouts.errors import RuleInvalid
from incentives.payouts.forms import ShownForm, approvers
from incentives.payouts.kinds import WAITING
from incentives.payouts.models import Delegation, RiskRule
from incentives.payouts.policies import PERMISSION as STEPS
from incentives.payouts.policies import is_approver
from incentives.payouts.policy_views import HERE as POLICIES
from incentives.payouts.policy_views import change_note, changed
from incentives.payouts.services.confirmed import PERMISSION
from incentives.payouts.views import PARENT
from incentives.programs.models import Program
from rewards.money import MINOR_DIGITS, Money

DECIDE = tuple(STEPS.values())
RULES = (_("Limits and domains"), "payouts:rules")
DEPUTIES = (_("Deputies"), "payouts:delegations")


# --- limits and domains ---------------------------------------------------------------------------------------------------
def limit_words(rule) -> str:
    if rule.kind == RiskRule.Kind.DOMAIN:
        return rule.domain
    parts = [str(rule.most)] if rule.most is not None else []
    parts += [gettext("%(n)s payouts") % {"n": rule.most_count}] if rule.most_count is not None else []
    return f"{gettext(' and ').join(parts)} {rule.get_window_display()}"


class RulesPage(ListPage):
    permission = "payouts.view"
    title = _("Limits and domains")
    lead = _(
        "A payout beyond a limit, or to an address outside the allowed domains, waits for finance. Without a domain every "
        "domain is allowed. Whoever changed one approves nothing built after it until a second person confirms."
    )
    search = ("domain", "program__name")
    search_hint = _("Domain or program")
    export_name = "limits and domains"
    export_permission = "reports.export"
    default_sort = "kind"
    actions = (Link(_("New limit or domain"), "payouts:rule-new", PERMISSION, "plus", primary=True),)
    tabs = (Tab("active", _("In force"), Q(is_active=True)), Tab("all", _("All")))
    empty_icon, empty_title = "flag", _("No limits yet")
    empty_text = _("Nothing is held for its speed or its domain.")
    BASE = (
        Column("kind", _("What"), "get_kind_display", sort="kind"),
        Column("limit", _("At most"), limit_words),
        Column("program", _("Program"), lambda r: r.program.name if r.program else gettext("Every program")),
        Column("is_active", _("State"), lambda r: "active" if r.is_active else "inactive", kind="status",
               words={"active": _("In force"), "inactive": _("Not in force")}),
        Column("edited_at", _("Changed"), kind="time", sort="edited_at", note=change_note),
        Column("edited_by", _("By"), sort="edited_by__name"),
    )  # fmt: skip

    @cached_property
    def columns(self):
        if not self.request.user.can(PERMISSION):
            return self.BASE
        _first, *others = self.BASE
        link = Column("kind", _("What"), "get_kind_display", sort="kind", link=lambda r: rule_url(r))
        return (link, *others)

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT, POLICIES)}

    def get_queryset(self):
        return RiskRule.objects.select_related("program", "edited_by", "confirmed_by")


def rule_url(rule) -> str:
    return reverse("payouts:rule", args=[rule.pk])


class RuleForm(forms.Form):
    kind = forms.ChoiceField(label=_("What"), choices=RiskRule.Kind.choices)
    window = forms.ChoiceField(
        label=_("Counted"), choices=[("", "–"), *RiskRule.Window.choices], required=False,
        help_text=_("For limits. Days and months are UTC."),
    )  # fmt: skip
    most = forms.DecimalField(
        label=_("Largest amount"), required=False, min_value=0, max_value=Decimal(10**9), decimal_places=2
    )
    currency = forms.ChoiceField(label=_("Currency"), choices=lambda: [(c, c) for c in sorted(MINOR_DIGITS)])
    most_count = forms.IntegerField(label=_("Largest number"), required=False, min_value=0, max_value=10**6)
    domain = forms.CharField(
        label=_("Domain"),
        required=False,
        max_length=253,
        help_text=_("For an allowed domain, for example example.com."),
    )
    program = forms.ModelChoiceField(
        label=_("Program"), queryset=Program.objects.order_by("name"), to_field_name="public_id", required=False,
        empty_label=_("Every program"),
    )  # fmt: skip
    is_active = forms.BooleanField(label=_("In force"), required=False)

    def values(self) -> dict:
        data = dict(self.cleaned_data)
        most = data.pop("most")
        data["most_minor"] = None if most is None else Money.from_decimal(most, data["currency"]).minor
        return data

    @staticmethod
    def initial_of(rule: RiskRule | None) -> dict:
        if rule is None:
            return {"currency": "USD", "window": "day", "is_active": True}
        plain = {
            name: getattr(rule, name) for name in ("kind", "window", "currency", "most_count", "domain", "is_active")
        }
        return plain | {"most": rule.most and rule.most.decimal, "program": rule.program and rule.program.public_id}


class RuleAction(ActionPage):
    permission = PERMISSION
    parent = PARENT

    def get_queryset(self):
        return RiskRule.objects.select_related("program", "edited_by")

    def success_url(self, thing) -> str:
        return reverse("payouts:rules")


class EditRulePage(RuleAction):
    template_name = "payouts/rule.html"
    form_class = RuleForm
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": RuleForm.initial_of(thing)}

    def get_context(self, thing) -> dict:
        may_confirm = thing and thing.edited_by and not thing.confirmed_by and thing.edited_by != self.request.user
        title = limit_words(thing) if thing else gettext("New limit or domain")
        return {"title": title, "rule": thing, "may_confirm": may_confirm, "crumbs": crumbs(PARENT, POLICIES, RULES)}

    def perform(self, thing, data: dict) -> str:
        form = self.make_form(thing, self.request.POST)
        form.is_valid()
        services.save_rule(actor=self.request.user, rule=thing, **form.values())
        return gettext("Saved. Ask another person of finance to confirm it; until then you approve no new payouts.")


class ConfirmRulePage(RuleAction):
    form_class = ShownForm
    title, submit = _("Confirm this?"), _("Confirm")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"shown": changed(thing)}}

    def get_context(self, thing) -> dict:
        text = gettext("%(kind)s: %(limit)s, as changed by %(who)s.") % {
            "kind": thing.get_kind_display(),
            "limit": limit_words(thing),
            "who": thing.edited_by or "–",
        }
        return {"text": text, "crumbs": crumbs(PARENT, POLICIES, RULES)}

    def perform(self, thing, data: dict) -> str:
        if data["shown"] != changed(thing):
            raise RuleInvalid(gettext("It was changed in between. Look at it again before confirming."))
        services.confirm_rule(rule=thing, actor=self.request.user)
        return gettext("Confirmed.")


# --- deputies -------------------------------------------------------------------------------------------------------------
def delegation_state(row) -> str:
    today = timezone.now().date()
    if row.revoked_at:
        return "revoked"
    return "ended" if row.ends_on < today else "active" if row.starts_on <= today else "upcoming"


class DelegationsPage(ListPage):
    permission = "payouts.view"
    title = _("Deputies")
    lead = _("Who decides for whom, and when. A deputy approves nothing that either of the two made or receives.")
    template_name = "payouts/delegations.html"
    search = ("delegator__name", "deputy__name", "reason")
    search_hint = _("Name or reason")
    export_name = "deputies"
    export_permission = "reports.export"
    default_sort = "-starts_on"
    empty_icon, empty_title = "people", _("No deputies")
    empty_text = _("Whoever approves names a deputy for the days away.")
    actions = (
        Link(_("My e-mails"), "payouts:mail-mode", None, "message"),
        Link(_("Name a deputy"), "payouts:delegate", None, "plus", primary=True),
    )
    tabs = (Tab("current", _("Now and later"), lambda _user: current()), Tab("all", _("All")))
    columns = (
        Column("delegator", _("Approver"), "delegator", sort="delegator__name"),
        Column("deputy", _("Deputy"), "deputy", sort="deputy__name"),
        Column("starts_on", _("From"), kind="date", sort="starts_on"),
        Column("ends_on", _("To"), kind="date", sort="ends_on"),
        Column("state", _("State"), delegation_state, kind="status",
               words={"revoked": _("Taken back"), "ended": _("Ended"), "active": _("Now"), "upcoming": _("Later")}),
        Column("reason", _("Reason")),
        Column("revoke", "", template="payouts/_revoke.html", value=lambda row: row.pk, export=False),
    )  # fmt: skip

    def get_context(self) -> dict:
        return {"crumbs": crumbs(PARENT, POLICIES)}

    def context(self) -> dict:
        context = super().context()
        if not is_approver(self.request.user):
            context["page_actions"] = []
        return context

    def get_queryset(self):
        return Delegation.objects.select_related("delegator", "deputy")


def current() -> Q:
    return Q(revoked_at__isnull=True, ends_on__gte=timezone.now().date())


class DelegateForm(forms.Form):
    deputy = forms.ModelChoiceField(label=_("Deputy"), queryset=approvers())
    starts_on = forms.DateField(label=_("From"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))
    ends_on = forms.DateField(
        label=_("To"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("Both days included, in UTC; at most 92 days."),
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason"), max_length=300, required=False)

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["deputy"].queryset = approvers().exclude(pk=user.pk)


class DeputyAction(ActionPage):
    permission = DECIDE

    def success_url(self, thing) -> str:
        return reverse("payouts:delegations")

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(PARENT, POLICIES, DEPUTIES)}


class DelegatePage(DeputyAction):
    form_class = DelegateForm
    title, submit = _("Name a deputy"), _("Save")
    text = _(
        "Your deputy decides steps that name you, with their own role, and it is recorded that they did it for you. They "
        "may not approve what either of you made or receives."
    )

    def get_form_kwargs(self, thing) -> dict:
        return {"user": self.request.user, "initial": {"starts_on": timezone.now().date()}}

    def perform(self, thing, data: dict) -> str:
        row = services.delegate(actor=self.request.user, **data)
        return gettext("%(who)s decides for you in these days.") % {"who": row.deputy}


class RevokePage(DeputyAction):
    title, submit = _("Take this back?"), _("Take it back")

    def get_queryset(self):
        return Delegation.objects.select_related("delegator", "deputy")

    def perform(self, thing, data: dict) -> str:
        services.revoke_delegation(delegation=thing, actor=self.request.user)
        return gettext("Taken back.")


class MailForm(forms.Form):
    mode = forms.ChoiceField(
        label=_("E-mail about payouts that wait for me"),
        choices=lambda: registry.get(WAITING).modes,
        widget=forms.RadioSelect,
    )


class MailModePage(DeputyAction):
    form_class = MailForm
    title, submit = _("My e-mails"), _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"mode": mode_of(self.request.user, WAITING)}}

    def perform(self, thing, data: dict) -> str:
        services.set_mail_mode(actor=self.request.user, mode=data["mode"])
        return gettext("Saved.")
