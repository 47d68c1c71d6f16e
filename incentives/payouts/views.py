"""Payouts: the list, one payout, and what may be done with it."""

from functools import cached_property

from django.db.models import OuterRef, Q, Subquery
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Bulk, Column, DetailPage, Link, ListPage, Tab
from incentives.core.models import AuditEvent
from incentives.crm.models import Activity
from incentives.payouts import selectors, services, wording
from incentives.payouts.forms import ApproveForm, ChooseForm, PayoutFilters, ReasonForm
from incentives.payouts.links import activity_url, order_url, program_url
from incentives.payouts.models import Hold, Payout
from incentives.payouts.policies import PERMISSION
from incentives.payouts.selectors import S
from incentives.payouts.services import options
from rewards import channel as channels

PARENT = (_("Payouts"), "payouts:list")
DECIDE = tuple(PERMISSION.values())
ENDED = (S.REJECTED, S.EXPIRED, S.CANCELLED, S.FAILED)


def state_note(payout) -> str:
    """What the state does not say: holds, and whose turn it is."""
    if payout.status != S.SUBMITTED:
        return payout.outcome
    if payout.held:
        return gettext("on hold")
    if payout.unfunded:
        return gettext("the budget has no room")
    return wording.steps_text(payout.steps[payout.given : payout.given + 1])


class PayoutsPage(ListPage):
    permission = "payouts.view"
    title = _("Payouts")
    lead = _("What is due to people, from the approval to the card.")
    search = ("recipient_name", "recipient_email", "public_id")
    search_hint = _("Recipient or id")
    filterset_class = PayoutFilters
    export_name = "payouts"
    export_permission = "reports.export"
    default_sort = "-created_at"
    empty_icon, empty_title = "payouts", _("Nothing waits here")
    empty_text = _("A payout appears when something is due and somebody builds it.")
    empty_action = Link(_("Build payouts"), "payouts:build", "payouts.build")
    actions = (
        Link(_("Holds"), "payouts:holds", "payouts.view", "pause"),
        Link(_("Schedule"), "payouts:schedule", "payouts.view", "calendar"),
        Link(_("Recovery"), "payouts:recovery", "recovery.view", "refresh"),
        Link(_("Approval policies"), "payouts:policies", "payouts.view", "lock"),
        Link(_("Build payouts"), "payouts:build", "payouts.build", "plus", primary=True),
    )
    columns = (
        Column("recipient", _("Recipient"), "recipient_name", sort="recipient_name", link=True),
        Column("program", _("Program"), "program.name", sort="program__name"),
        Column("product", _("Product"), "product_name", sort="product_name"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("status", _("State"), kind="status", sort="status", note=state_note),
        Column("created_at", _("Built"), kind="time", sort="created_at"),
        Column("submitted_by", _("Submitted by"), screen=False),
        Column("public_id", _("Id"), screen=False),
    )

    @cached_property
    def tabs(self) -> tuple[Tab, ...]:
        waiting = Q(status=S.SUBMITTED)
        own = (Tab("mine", _("Waiting for me"), Q(mine=True, held=False)),) if self.bulk else ()
        return (
            *own,
            Tab("waiting", _("Waiting"), waiting),
            Tab("held", _("Held"), waiting & (Q(held=True) | Q(unfunded=True))),
            Tab("approved", _("Approved"), Q(status__in=(S.APPROVED, S.ORDERED))),
            Tab("delivered", _("Delivered"), Q(status=S.FULFILLED)),
            Tab("ended", _("Ended"), Q(status__in=ENDED)),
            Tab("all", _("All")),
        )

    @cached_property
    def bulk(self) -> Bulk | None:
        permission = next((name for name in DECIDE if self.request.user.can(name)), None)
        buttons = (("reject", _("Reject"), "danger"), ("approve", _("Approve"), "primary"))
        return permission and Bulk(
            "payouts:decide", buttons, permission, amount=lambda p: p.amount, can=lambda p: p.mine
        )

    def get_queryset(self):
        rows = Payout.objects.visible_to(self.request.user).select_related("program", "submitted_by")
        return selectors.for_decision(rows, self.request.user)


class PayoutPage(DetailPage):
    permission = "payouts.view"
    model = Payout
    parent = PARENT
    template_name = "payouts/payout.html"

    def get_queryset(self):
        related = ("program", "participant__user", "budget", "submitted_by", "order", "choice__chosen_by")
        return super().get_queryset().select_related(*related)

    def get_context(self, thing) -> dict:
        user = self.request.user
        objection = selectors.objection(thing, user) if thing.status == S.SUBMITTED else ""
        approvals = list(thing.approvals.all())
        holds = list(thing.holds.select_related("placed_by", "lifted_by"))
        decides = any(user.can(name) for name in DECIDE)
        open_holds = [hold for hold in holds if hold.lifted_at is None]
        held = any(hold.kind != Hold.Kind.FUNDING for hold in open_holds)
        return {
            "payout": thing,
            "approvals": approvals,
            "held": held,
            "open_holds": [hold_row(hold) for hold in open_holds],
            "lifted_holds": [hold for hold in holds if hold.lifted_at],
            "next_words": wording.next_in_words(thing, len(approvals), str(objection), held),
            "steps_words": wording.steps_text(thing.steps),
            "remarks": selectors.with_remarks([thing])[0].remarks if thing.status == S.SUBMITTED else [],
            "waiting": thing.status == S.SUBMITTED,
            "may_approve": decides and not objection and thing.status == S.SUBMITTED,
            "may_cancel": thing.status in (S.SUBMITTED, S.APPROVED),
            "program_url": program_url(thing.program),
            "order_words": thing.order and wording.order_in_words(thing.order, channels.current()),
            "order_url": thing.order and order_url(thing.order),
            **choice_facts(thing, user),
            "earnings": [earning_row(row) for row in allocations(thing)],
            "events": timeline(thing, approvals),
            "approve_form": ApproveForm(initial={"seen_hash": thing.content_hash}, auto_id="approve_%s"),
            "reject_form": ReasonForm(auto_id="reject_%s"),
            "hold_form": ReasonForm(auto_id="hold_%s"),
            "cancel_form": ReasonForm(auto_id="cancel_%s"),
        }


def allocations(payout: Payout):
    """What it pays, with the newest activity about each record in `activity`."""
    newest = Activity.objects.filter(object=OuterRef("earning__object")).order_by("-pk").values("public_id")[:1]
    rows = payout.allocations.select_related("earning__object", "payout").annotate(activity=Subquery(newest))
    return rows.order_by("earning_id")


def hold_row(hold: Hold) -> dict:
    return {
        "hold": hold,
        "form": ReasonForm(auto_id=f"lift_{hold.pk}_%s"),
        "funding": hold.kind == Hold.Kind.FUNDING,
        "terms": hold.kind == Hold.Kind.TERMS,
        "ends": wording.HOLD_ENDS.get(hold.kind, ""),
    }


def choice_facts(payout: Payout, user) -> dict:
    """Which card it becomes and who said so; nothing where its program sends one product."""
    choice = getattr(payout, "choice", None)
    if choice is None:
        return {"choice": None}
    theirs = choice.how in (choice.How.RECIPIENT, choice.How.PREFERENCE)
    foreign = payout.participant.user_id != user.pk
    return {
        "choice": choice,
        "choice_default": options.default_of(choice),
        "may_choose": payout.status == S.SUBMITTED and not theirs and foreign and user.can("payouts.choose"),
    }


def earning_row(row) -> dict:
    earning = row.earning
    part = row.amount_minor != earning.amount_minor
    return {
        "amount": row.amount,
        "whole": earning.amount if part else None,
        "why": earning.explanation,
        "line": earning.get_absolute_url(),
        "deal": earning.object,
        "url": activity_url(row.activity),
        "at": earning.posted_at,
    }


def timeline(payout: Payout, approvals) -> list[dict]:
    """What happened to it, oldest first: the audit trail, and the approvals that were not the last."""
    events = AuditEvent.objects.filter(target_type="payouts.payout", target_id=str(payout.public_id)).order_by("pk")
    rows = []
    for e in events[:200]:
        title, status = wording.event(e.action)
        rows.append({"title": title, "status": status, "at": e.at, "by": e.actor_name, "text": e.reason})
    rows += [
        {"title": gettext("Approval %(n)s") % {"n": a.step + 1}, "status": "approved", "at": a.at, "by": a.actor_name}
        for a in approvals
        if a.decision == a.Decision.APPROVED and len(payout.steps) > 1
    ]
    return sorted(rows, key=lambda row: row["at"])


# --- actions ------------------------------------------------------------------------------------------------------------
class PayoutAction(ActionPage):
    model = Payout
    form_class = ReasonForm

    def get_queryset(self):
        return super().get_queryset().select_related("program", "budget", "participant", "order")

    @property
    def parent(self):
        return PARENT

    def get_context(self, thing) -> dict:
        return {"text": self.words(thing)}

    def words(self, payout) -> str:
        return gettext("%(amount)s for %(who)s, from %(program)s.") % {
            "amount": payout.amount,
            "who": payout.recipient_name,
            "program": payout.program,
        }


class ApprovePage(PayoutAction):
    permission = DECIDE
    form_class = ApproveForm
    title, submit = _("Approve this payout?"), _("Approve")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"seen_hash": thing.content_hash}}

    def perform(self, thing, data: dict) -> str:
        payout = services.approve_payout(
            payout_id=thing.pk,
            actor=self.request.user,
            seen_hash=data["seen_hash"],
            ip_address=self.request.META.get("REMOTE_ADDR"),
        )
        if payout.status == S.SUBMITTED:
            return gettext("Your approval is recorded. It needs another one.")
        return gettext("Approved: %(amount)s for %(who)s will be ordered.") % {
            "amount": payout.amount,
            "who": payout.recipient_name,
        }


class RejectPage(PayoutAction):
    permission = DECIDE
    title, submit, danger = _("Reject this payout?"), _("Reject"), True

    def words(self, payout) -> str:
        return f"{super().words(payout)} " + gettext("The money goes back to the budget and the amount is due again.")

    def perform(self, thing, data: dict) -> str:
        services.reject_payout(
            payout_id=thing.pk,
            actor=self.request.user,
            reason=data["reason"],
            ip_address=self.request.META.get("REMOTE_ADDR"),
        )
        return gettext("Rejected. The amount is due again.")


class CancelPage(PayoutAction):
    permission = "payouts.cancel"
    title, submit, danger = _("Cancel this payout?"), _("Cancel the payout"), True

    def words(self, payout) -> str:
        return f"{super().words(payout)} " + gettext(
            "It can be taken back as long as nothing was sent to the provider."
        )

    def perform(self, thing, data: dict) -> str:
        services.cancel_payout(payout_id=thing.pk, actor=self.request.user, reason=data["reason"])
        return gettext("Cancelled. The money is back in the budget.")


class ChoosePage(PayoutAction):
    """Choosing in the recipient's place; whoever does counts as a maker."""

    permission = "payouts.choose"
    form_class = ChooseForm
    title, submit = _("Choose for the recipient?"), _("Choose")

    def get_queryset(self):
        return super().get_queryset().filter(choice__isnull=False)

    def get_form_kwargs(self, thing) -> dict:
        initial = {"product": thing.choice.product_code}
        return {"options": options.options_of(thing), "initial": initial}

    def words(self, payout) -> str:
        return f"{super().words(payout)} " + gettext(
            "You cannot approve it afterwards, and the recipient may still change it."
        )

    def perform(self, thing, data: dict) -> str:
        choice = services.choose_for(
            payout_id=thing.pk, product_id=data["product"], actor=self.request.user, reason=data["reason"]
        )
        return gettext("It becomes %(card)s.") % {"card": choice.product_name}


class HoldPage(PayoutAction):
    permission = "holds.place"
    title, submit = _("Hold this payout?"), _("Hold")

    def words(self, payout) -> str:
        return f"{super().words(payout)} " + gettext("Nobody can approve it until finance lifts the hold.")

    def perform(self, thing, data: dict) -> str:
        services.place_hold(payout_id=thing.pk, actor=self.request.user, reason=data["reason"])
        return gettext("On hold.")


class LiftPage(PayoutAction):
    permission = "holds.lift"
    title, submit = _("Lift this hold?"), _("Lift the hold")

    def get_object(self):
        payout = get_object_or_404(self.get_queryset(), public_id=self.kwargs["public_id"])
        self.hold = get_object_or_404(payout.holds, pk=self.kwargs["hold"])
        return payout

    def words(self, payout) -> str:
        return f"{self.hold.get_kind_display()}: {self.hold.reason}"

    def perform(self, thing, data: dict) -> str:
        services.lift_hold(hold_id=self.hold.pk, actor=self.request.user, reason=data["reason"])
        return gettext("The hold is lifted.")
