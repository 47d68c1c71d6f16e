"""Reviewing claims: the queue, one claim with its proof, what may be decided, and the one door to a proof's file."""

from decimal import Decimal

from django.contrib import messages
from django.db.models import Q
from django.http import FileResponse, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.claims import channel, forms, matching, selectors, services, storage, wording
from incentives.claims.errors import ChangedMeanwhile, NewEvidence, ProofGone
from incentives.claims.models import Claim, ClaimProof
from incentives.claims.services import states
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.crm.models import ObjectState

PARENT = (_("Claims"), "claims:list")
Status = Claim.Status


class ClaimsPage(ListPage):
    permission = "claims.view"
    title = _("Claims")
    lead = _("Sales that partners' people report, with proof. What is approved counts as an activity.")
    search = ("invoice_number", "customer", "partner__name", "participant__name", "serials__serial")
    search_hint = _("Invoice, customer, partner, serial number")
    filterset_class = forms.ClaimFilters
    export_name, export_permission = "claims", "reports.export"
    default_sort = "waiting"
    empty_icon, empty_title = "file", _("No claims yet")
    empty_text = _("They come in when partners' people send them under a channel program.")
    tabs = (
        Tab("waiting", _("Waiting"), Q(status__in=Claim.OPEN)),
        Tab("mine", _("Mine"), lambda user: Q(status=Status.IN_REVIEW, reviewer=user)),
        Tab("flagged", _("Flagged"), Q(status__in=Claim.OPEN, flagged=True)),
        Tab("returned", _("With the partner"), Q(status=Status.RETURNED)),
        Tab("decided", _("Decided"), Q(status__in=Claim.DECIDED)),
        Tab("all", _("All")),
    )
    columns = (
        Column("reference", _("Claim"), sort="pk", link=True, note="customer"),
        Column("partner", _("Partner"), "partner.name", sort="partner__name", note="participant.name"),
        Column("tier", _("Tier"), "partner.tier", sort="partner__tier", phone="hide"),
        Column("person", _("Person"), "participant.name", screen=False),
        Column("program", _("Program"), "program.name", sort="program__name"),
        Column("invoice", _("Invoice"), "invoice_number", sort="invoice_number"),
        Column("sale", _("Sale date"), "invoice_date", kind="date", sort="invoice_date", phone="hide"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("waiting", _("Waits since"), "waiting_since", kind="time", sort="waiting_since"),
        Column("flag", _("Flagged"), lambda row: gettext("yes") if row.flagged else None, template="claims/_flag.html"),
        Column("status", _("State"), kind="status", sort="status", note=lambda row: str(row.reviewer or "")),
        Column("reason", _("Reason"), screen=False),
    )

    def get_queryset(self):
        return selectors.listed(self.request.user).filter(submitted_at__isnull=False).distinct()


class ClaimPage(DetailPage):
    permission = "claims.view"
    template_name = "claims/claim.html"
    parent = PARENT

    def get_queryset(self):
        related = (
            "program",
            "partner",
            "participant__team",
            "participant__manager",
            "reviewer",
            "decided_by",
            "covered_by",
        )
        return selectors.listed(self.request.user).filter(submitted_at__isnull=False).select_related(*related)

    def get_context(self, thing) -> dict:
        objection = states.objection(self.request.user, thing)
        foreign = thing.status == Status.IN_REVIEW and thing.reviewer_id != self.request.user.pk
        found = matching.matches(thing)
        flags = thing.flags.select_related("other__partner", "other__program")
        standing = [(flag, flag.other.status in Claim.LIVE) for flag in flags]
        return {
            "claim": thing,
            "seen_query": f"?seen={thing.version}",
            "lines": list(thing.lines.prefetch_related("serials")),
            "proofs": list(thing.proofs.all()),
            "flags": standing,
            "matches": found,
            "may_decide": not objection and not foreign,
            "objection": objection if self.request.user.can("claims.review") else "",
            "foreign": foreign and not objection,
            "verdict": channel.verdict(thing),
            "remarks": remarks(thing),
            "outcome": selectors.outcome(thing),
            "events": wording.timeline_for_reviewer(selectors.events(thing)),
            **decision_forms(thing, any(live for _flag, live in standing) or any(match.strong for match in found)),
        }


def remarks(claim: Claim) -> list[str]:
    """What does not add up within the claim itself."""
    found, totals = [], [line.total for line in claim.lines.all()]
    if totals and None not in totals and claim.amount and sum(totals, Decimal(0)) != claim.amount.decimal:
        found.append(
            gettext("The products add up to %(sum)s, the invoice says %(amount)s.")
            % {"sum": format(sum(totals, Decimal(0)).normalize(), "f"), "amount": claim.amount}
        )
    if claim.submitted_at and claim.invoice_date and claim.submitted_at.date() < claim.invoice_date:
        found.append(gettext("It was sent before the day of the sale."))
    return found


def decision_forms(claim: Claim, doubtful: bool) -> dict:
    seen = {"seen": claim.version}
    names = {"return_form": forms.RefuseForm, "reject_form": forms.RefuseForm, "reverse_form": forms.ReverseForm}
    found = {name: form(initial=seen, auto_id=f"{name}_%s") for name, form in names.items()}
    approve = forms.ApproveForm(initial=seen, doubtful=doubtful, auto_id="approve_form_%s")
    return {**found, "approve_form": approve, "doubtful": doubtful}


# --- deciding ---------------------------------------------------------------------------------------------------------------
class DecisionPage(ActionPage):
    """One decision on what the reviewer saw: the version comes with the form, or with the link that led here."""

    permission = "claims.review"
    model = Claim
    parent = PARENT
    form_class = forms.RefuseForm
    doubt = False

    def get_queryset(self):
        return Claim.objects.visible_to(self.request.user).filter(submitted_at__isnull=False)

    def get_form_kwargs(self, thing) -> dict:
        seen = self.request.GET.get("seen", "")
        return {"initial": {"seen": int(seen) if seen.isascii() and seen.isdigit() else thing.version}}

    def get_context(self, thing) -> dict:
        facts = [thing.reference, thing.partner.name, thing.customer, str(thing.amount)]
        return {"text": f"{', '.join(facts)}. {self.text}"}

    def perform(self, thing, data: dict) -> str:
        seen = data.pop("seen")
        self.decide(claim_id=thing.pk, actor=self.request.user, seen_version=seen, **data)
        return self.done % {"claim": thing}

    def refuse(self, thing, form, exc):
        """What changed meanwhile is shown on the claim itself, not over an old form."""
        if isinstance(exc, (ChangedMeanwhile, NewEvidence)):
            messages.error(self.request, exc.user_message)
            return redirect(thing.get_absolute_url())
        return super().refuse(thing, form, exc)


class ApprovePage(DecisionPage):
    title, submit = _("Approve this claim?"), _("Approve")
    text = _("The sale counts as an activity, and the program rewards it.")
    form_class, decide, done = forms.ApproveForm, staticmethod(services.approve), _("%(claim)s is approved.")

    def get_form_kwargs(self, thing) -> dict:
        return {**super().get_form_kwargs(thing), "doubtful": services.doubtful(thing)}


class ReturnPage(DecisionPage):
    title, submit = _("Return this claim?"), _("Return")
    text = _("The partner reads the reason, adds what is asked and sends the claim again.")
    decide, done = staticmethod(services.send_back), _("%(claim)s is back with the partner.")


class RejectPage(DecisionPage):
    title, submit, danger = _("Reject this claim?"), _("Reject"), True
    text = _("It does not count. This is final; the sale can be claimed anew.")
    decide, done = staticmethod(services.reject), _("%(claim)s is rejected.")


class CoveredPage(RejectPage):
    title, submit = _("Reject: this sale is counted already?"), _("Reject as covered")
    text = _("The deal found counts already; the claim would pay the sale twice.")

    def get_object(self):
        self.deal = get_object_or_404(ObjectState, public_id=self.kwargs["deal"])
        return get_object_or_404(self.get_queryset(), public_id=self.kwargs["public_id"])

    def get_form_kwargs(self, thing) -> dict:
        given = super().get_form_kwargs(thing)
        given["initial"]["reason"] = gettext("This sale is counted already.")
        given["initial"]["note"] = gettext("Covered by %(deal)s.") % {"deal": self.deal}
        return given

    def perform(self, thing, data: dict) -> str:
        return super().perform(thing, {**data, "covered_by": self.deal})


class ReversePage(DecisionPage):
    title, submit, danger = _("Take the approval back?"), _("Take back"), True
    text = _("The activity is deleted and what it earned is corrected; what was paid is recovered as the program says.")
    form_class, decide, done = (
        forms.ReverseForm,
        staticmethod(services.reverse),
        _("The approval of %(claim)s is taken back."),
    )


class TakePage(DecisionPage):
    title, submit, text = _("Review this claim?"), _("Review it"), _("Colleagues see that you look at it.")
    form_class, decide, done = forms.SeenForm, staticmethod(services.take), _("%(claim)s is yours to review.")


class ReleasePage(DecisionPage):
    title, submit, text = _("Put this claim back?"), _("Put back"), _("Somebody else can review it.")
    form_class, decide, done = forms.SeenForm, staticmethod(services.release), _("%(claim)s is back in the queue.")


# --- the file of a proof -----------------------------------------------------------------------------------------------------
class ProofPage(Guarded, View):
    """The only way to a proof: for whom the claim is visible, as a download that nothing can run in."""

    permission = ("claims.view", "claims.submit")

    def get(self, request, public_id) -> HttpResponse:
        claims = Claim.objects.visible_to(request.user)
        proof = get_object_or_404(ClaimProof.objects.select_related("claim"), public_id=public_id, claim__in=claims)
        try:
            content = storage.read(proof)
        except ProofGone as exc:
            context = {
                "text": exc.user_message,
                "claim": proof.claim,
                "crumbs": crumbs(),
                "back": _back(request, proof.claim),
            }
            return render(request, "claims/proof_gone.html", context, status=exc.status)
        response = HttpResponse(content, content_type=proof.kind)
        name = FileResponse(filename=proof.name, as_attachment=True)
        name.set_headers(None)
        response["Content-Disposition"] = name["Content-Disposition"]
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cross-Origin-Resource-Policy"] = "same-origin"
        response["Cache-Control"] = "private, no-store"
        return response


def _back(request, claim: Claim) -> str:
    return (
        claim.get_absolute_url()
        if request.user.can("claims.view")
        else reverse("claims:my-claim", args=[claim.public_id])
    )
