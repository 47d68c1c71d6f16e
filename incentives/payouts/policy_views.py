"""Approval policies: who must approve what."""

from functools import cached_property

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, Link, ListPage
from incentives.core.pages import crumbs
from incentives.payouts import services, wording
from incentives.payouts.errors import PolicyInvalid
from incentives.payouts.forms import PolicyForm, ShownForm
from incentives.payouts.models import ApprovalPolicy
from incentives.payouts.services.confirmed import PERMISSION
from incentives.payouts.views import PARENT
from rewards.money import Money

HERE = (_("Approval policies"), "payouts:policies")


def policy_url(policy) -> str:
    return reverse("payouts:policy", args=[policy.pk])


def changed(policy) -> str:
    return policy.edited_at.isoformat() if policy.edited_at else ""


def change_note(policy) -> str:
    if policy.edited_by is None:
        return ""
    if policy.confirmed_by:
        return gettext("confirmed by %(who)s") % {"who": policy.confirmed_by}
    return gettext("not confirmed by a second person")


def policy_note(policy) -> str:
    """`only: The first card for this person; after 24 hours also Finance`"""
    parts = []
    if policy.risk:
        labels = [str(ApprovalPolicy.Risk(risk).label) for risk in policy.risk]
        parts.append(gettext("only: %(risks)s") % {"risks": gettext(" or ").join(labels)})
    if policy.batch_lines:
        parts.append(gettext("sent together, up to %(n)s in one order") % {"n": policy.batch_lines})
    if policy.escalate_after_hours:
        parts.append(
            gettext("after %(n)s hours also %(who)s")
            % {"n": policy.escalate_after_hours, "who": wording.step_text(policy.escalate_to)}
        )
    return "; ".join(parts)


def policy_in_words(policy) -> str:
    """`Finance, up to 500.00 USD, in force`"""
    limit = None if policy.up_to_minor is None else Money(policy.up_to_minor, policy.currency)
    parts = [wording.steps_text(policy.steps)]
    parts.append(gettext("up to %(amount)s") % {"amount": limit} if limit else gettext("any amount"))
    parts.append(policy.program.name if policy.program else gettext("every program"))
    parts += [policy_note(policy)] if policy_note(policy) else []
    parts.append(gettext("in force") if policy.is_active else gettext("not in force"))
    return ", ".join(parts)


class PoliciesPage(ListPage):
    permission = "payouts.view"
    title = _("Approval policies")
    lead = _(
        "The first policy in force that fits decides who must approve; without any, one person of finance. Whoever "
        "changed a policy approves nothing built after it until a second person confirmed the change."
    )
    actions = (
        Link(_("Limits and domains"), "payouts:rules", "payouts.view", "flag"),
        Link(_("Deputies"), "payouts:delegations", "payouts.view", "people"),
        Link(_("New policy"), "payouts:policy-new", PERMISSION, "plus", primary=True),
    )
    default_sort = "position"
    empty_icon, empty_title = "lock", _("No policies yet")
    empty_text = _("Every payout needs one person of finance.")
    BASE = (
        Column("position", _("Position"), kind="number", sort="position", phone="value"),
        Column("name", _("Name"), sort="name", phone="title"),
        Column("steps", _("Who approves"), lambda p: wording.steps_text(p.steps), note=policy_note),
        Column("up_to", _("Up to"), lambda p: p.up_to_minor and Money(p.up_to_minor, p.currency), kind="money"),
        Column("program", _("Program"), lambda p: p.program.name if p.program else gettext("Every program")),
        Column("is_active", _("State"), lambda p: "active" if p.is_active else "inactive", kind="status",
               words={"active": _("In force"), "inactive": _("Not in force")}),
        Column("edited_at", _("Changed"), kind="time", note=change_note),
    )  # fmt: skip

    @cached_property
    def columns(self):
        if not self.request.user.can(PERMISSION):
            return self.BASE
        return tuple(
            Column("name", _("Name"), sort="name", phone="title", link=policy_url) if column.key == "name" else column
            for column in self.BASE
        )

    def get_queryset(self):
        return ApprovalPolicy.objects.select_related("program", "edited_by", "confirmed_by")


class PolicyAction(ActionPage):
    permission = PERMISSION
    parent = PARENT

    def get_queryset(self):
        return ApprovalPolicy.objects.select_related("program", "edited_by")

    def success_url(self, thing) -> str:
        return reverse("payouts:policies")


class EditPolicyPage(PolicyAction):
    template_name = "payouts/policy.html"
    form_class = PolicyForm
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": PolicyForm.initial_of(thing)}

    def get_context(self, thing) -> dict:
        may_confirm = thing and thing.edited_by and not thing.confirmed_by and thing.edited_by != self.request.user
        title = thing.name if thing else gettext("New policy")
        return {"title": title, "policy": thing, "may_confirm": may_confirm, "crumbs": crumbs(PARENT, HERE)}

    def perform(self, thing, data: dict) -> str:
        form = self.make_form(thing, self.request.POST)
        form.is_valid()
        services.save_policy(actor=self.request.user, policy=thing, **form.values())
        return gettext("Saved. Ask another person of finance to confirm it; until then you approve no new payouts.")


class ConfirmPolicyPage(PolicyAction):
    form_class = ShownForm
    title, submit = _("Confirm this policy?"), _("Confirm")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"shown": changed(thing)}}

    def get_context(self, thing) -> dict:
        text = gettext("“%(name)s” as changed by %(who)s: %(steps)s.") % {
            "name": thing.name,
            "who": thing.edited_by or "–",
            "steps": policy_in_words(thing),
        }
        return {"text": text, "crumbs": crumbs(PARENT, HERE)}

    def perform(self, thing, data: dict) -> str:
        if data["shown"] != changed(thing):
            raise PolicyInvalid(gettext("The policy was changed in between. Look at it again before confirming."))
        services.confirm_policy(policy=thing, actor=self.request.user)
        return gettext("Confirmed.")
