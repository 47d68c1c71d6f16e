"""A partner's own claims, for a phone first: the list, a new one, filling in, sending, answering, taking back."""

import contextlib

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.accounts.models import Role
from incentives.claims import channel, forms, selectors, services, wording
from incentives.claims.errors import DuplicateClaim, Incomplete
from incentives.claims.models import Claim
from incentives.claims.services import states
from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.participants.models import Participant
from incentives.programs.models import Program
from incentives.programs.summary import outline

MINE = (_("My claims"), "claims:mine")
Status = Claim.Status


class PartnersPerson(Guarded):
    """Pages of a partner's people; for everybody else they do not exist."""

    permission = "claims.submit"

    def allowed(self, user) -> bool:
        return super().allowed(user) and self.me is not None

    @cached_property
    def me(self) -> Participant | None:
        return (
            Participant.objects.filter(user=self.request.user, partner__isnull=False).select_related("partner").first()
        )

    @property
    def is_admin(self) -> bool:
        return Role.PARTNER_ADMIN in self.request.user.roles


def own_claims(user):
    """Own ones and, for an administrator, those of the partner's people: never what a role of staff would add."""
    mine = Q(participant__user=user)
    if Role.PARTNER_ADMIN in user.roles:
        mine |= Q(partner__in=Participant.objects.filter(user=user, partner__isnull=False).values("partner"))
    return Claim.objects.filter(mine).select_related("program", "partner", "participant__partner")


class MyClaimsPage(PartnersPerson, ListPage):
    title = _("My claims")
    search = ("invoice_number", "customer", "participant__name")
    search_hint = _("Invoice, customer or person")
    export_name = "my-claims"
    empty_icon, empty_title = "file", _("No claims yet")
    empty_text = _("Report a sale with a photo of the invoice, and what it earns appears here.")
    actions = (Link(_("New claim"), "claims:new", "claims.submit", "plus", primary=True),)
    empty_action = Link(_("New claim"), "claims:new", "claims.submit")
    tabs = (
        Tab("all", _("All"), ~Q(status=Status.WITHDRAWN)),
        Tab("todo", _("To do"), Q(status__in=Claim.EDITABLE)),
        Tab("waiting", _("Waiting"), Q(status__in=Claim.OPEN)),
        Tab("decided", _("Decided"), Q(status__in=Claim.DECIDED)),
    )
    columns = (
        Column("reference", _("Claim"), sort="pk", link=lambda row: row.my_url,
               note=lambda row: row.customer or row.program.name),
        Column("state", _("State"), "status", kind="status", sort="status", template="claims/_my_state.html"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("person", _("Person"), "participant.name", sort="participant__name"),
        Column("program", _("Program"), "program.name", sort="program__name"),
        Column("invoice", _("Invoice"), "invoice_number", sort="invoice_number"),
        Column("sale", _("Sale date"), "invoice_date", kind="date", sort="invoice_date", phone="hide"),
        Column("sent", _("Sent"), "submitted_at", kind="time", sort="submitted_at", phone="hide"),
        Column("reason", _("Reason"), screen=False),
    )  # fmt: skip

    def get_queryset(self):
        return own_claims(self.request.user)


class NewClaimPage(PartnersPerson, View):
    """Which program, and for whom: makes a draft and goes on to fill it in."""

    @cached_property
    def people(self) -> list[Participant]:
        return selectors.people_for(self.request.user)

    def get(self, request, status: int = 200) -> HttpResponse:
        found = [(offer, _pays(offer)) for offer in channel.offers(self.people)]
        context = {"offers": found, "people": self.people, "crumbs": crumbs(MINE)}
        return render(request, "claims/new.html", context, status=status)

    def post(self, request) -> HttpResponse:
        person = next((p for p in self.people if str(p.public_id) == request.POST.get("participant")), None)
        person = person or (self.people[0] if len(self.people) == 1 else None)
        program = None
        with contextlib.suppress(ValueError, TypeError, Program.DoesNotExist):
            program = Program.objects.filter(public_id=_uuid(request.POST.get("program"))).first()
        if person is None or program is None:
            messages.error(request, gettext("Choose a program and a person."))
            return self.get(request, status=400)
        try:
            claim = services.start(program=program, participant=person, actor=request.user)
        except DomainError as exc:
            messages.error(request, exc.user_message)
            return self.get(request, status=exc.status)
        return redirect("claims:my-edit", claim.public_id)


def _uuid(text):
    from uuid import UUID

    return UUID(text)


def _pays(offer) -> str:
    """What the program pays, in words."""
    document = offer.definition.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return " ".join(item.text for item in outline(document) if item.part == gettext("Rewards"))


class MyClaimPage(PartnersPerson, DetailPage):
    template_name = "claims/my_claim.html"
    parent = MINE

    def get_queryset(self):
        return own_claims(self.request.user)

    def get_context(self, thing) -> dict:
        return {
            "claim": thing,
            "state_words": wording.state_for_partner(thing),
            "next_words": wording.next_for_partner(thing),
            "lines": list(thing.lines.prefetch_related("serials")),
            "proofs": list(thing.proofs.all()),
            "may_act": states.may_act(self.request.user, thing),
            "may_withdraw": Status.WITHDRAWN in Claim.NEXT[thing.status],
            "outcome": selectors.outcome(thing),
            "events": wording.timeline_for_partner(selectors.events(thing)),
            "withdraw_form": forms.SeenForm(initial={"seen": thing.version}),
        }


class EditClaimPage(PartnersPerson, View):
    """The claim as a form. Files are kept as they come, whatever else is wrong; what was typed stays on the page."""

    def dispatch(self, request, *args, **kwargs):
        self.problems: list[str] = []
        self.duplicate = None
        return super().dispatch(request, *args, **kwargs)

    def find(self, public_id) -> Claim:
        claim = get_object_or_404(own_claims(self.request.user), public_id=public_id)
        if not states.may_act(self.request.user, claim):
            raise Http404
        return claim

    def get(self, request, public_id) -> HttpResponse:
        claim = self.find(public_id)
        if not claim.editable:
            return redirect(claim.my_url)
        more = 1 if request.GET.get("more") else 0
        form = forms.ClaimForm(initial=forms.ClaimForm.initial_of(claim), claim=claim)
        return self.show(claim, form, forms.LineForms(initial=forms.initial_lines(claim, more), prefix="lines"))

    def post(self, request, public_id) -> HttpResponse:
        claim = self.find(public_id)
        if not claim.editable:
            messages.error(request, gettext("This claim cannot be changed any more."))
            return redirect(claim.my_url)
        self.keep_files(claim)
        data = request.POST.copy()
        form, lines = forms.ClaimForm(data, claim=claim), forms.LineForms(data, prefix="lines")
        if not (form.is_valid() and lines.is_valid()):
            return self.show(claim, form, self.with_room(lines, data), status=400)
        try:
            claim = self.store(claim, form, lines)
            data["seen"] = str(claim.version)
            if request.POST.get("action") == "submit" and not self.problems:
                claim = services.submit(claim_id=claim.pk, actor=request.user, seen_version=claim.version)
                messages.success(
                    request, gettext("%(claim)s is sent. You will see here what becomes of it.") % {"claim": claim}
                )
                return redirect(claim.my_url)
        except DomainError as exc:
            self.explain(form, exc)
            return self.show(claim, form, lines, status=exc.status)
        if self.problems:
            return self.show(claim, form, lines, status=400)
        return self.go_on(claim)

    def go_on(self, claim: Claim) -> HttpResponse:
        address = reverse("claims:my-edit", args=[claim.public_id])
        if self.request.POST.get("action") == "add_line":
            return redirect(f"{address}?more=1#products")
        if self.request.POST.get("remove_proof") or self.request.FILES:
            return redirect(f"{address}#proof")
        messages.success(self.request, gettext("Saved. Send it when it is complete."))
        return redirect(claim.my_url)

    def store(self, claim: Claim, form, lines) -> Claim:
        self.remove_file(claim)
        return services.save(
            claim_id=claim.pk, values=forms.values_of(form, lines), actor=self.request.user,
            seen_version=form.cleaned_data["seen"],
        )  # fmt: skip

    def keep_files(self, claim: Claim) -> None:
        for file in [*self.request.FILES.getlist("photo"), *self.request.FILES.getlist("files")]:
            try:
                services.add_proof(claim_id=claim.pk, file=file, actor=self.request.user)
            except DomainError as exc:
                self.problems.append(f"{file.name}: {exc.user_message}")

    def remove_file(self, claim: Claim) -> None:
        wanted = self.request.POST.get("remove_proof")
        for proof in claim.proofs.all() if wanted else ():
            if str(proof.public_id) == wanted:
                services.remove_proof(proof=proof, actor=self.request.user)

    def with_room(self, lines, data):
        """The same lines with an empty one more, when that was asked for."""
        if self.request.POST.get("action") != "add_line":
            return lines
        data["lines-TOTAL_FORMS"] = str(min(lines.total_form_count() + 1, lines.max_num))
        return forms.LineForms(data, prefix="lines")

    def explain(self, form, exc: DomainError) -> None:
        fields = exc.details["fields"] if isinstance(exc, Incomplete) else {}
        if "field" in exc.details:
            fields = {exc.details["field"]: exc.user_message}
        for name, text in fields.items():
            if name in form.fields:
                form.add_error(name, text)
            else:
                self.problems.append(text)
        if isinstance(exc, Incomplete) or not fields:
            form.add_error(None, exc.user_message)
        if isinstance(exc, DuplicateClaim):
            self.duplicate = own_claims(self.request.user).filter(pk=exc.details["other"].pk).first()

    def show(self, claim: Claim, form, lines, status: int = 200) -> HttpResponse:
        context = {
            "claim": claim,
            "form": form,
            "lines": lines,
            "proof_form": forms.ProofForm(),
            "proofs": list(claim.proofs.all()),
            "problems": self.problems,
            "duplicate": self.duplicate,
            "next_words": wording.next_for_partner(claim),
            "crumbs": crumbs(MINE, (claim.reference, claim.my_url)),
        }
        return render(self.request, "claims/edit.html", context, status=status)


class WithdrawPage(PartnersPerson, ActionPage):
    parent = MINE
    form_class = forms.SeenForm
    title, submit, danger = _("Withdraw this claim?"), _("Withdraw"), True
    text = _("It does not count and cannot be sent again. The sale can be claimed anew.")

    def get_object(self):
        claim = get_object_or_404(own_claims(self.request.user), public_id=self.kwargs["public_id"])
        if not states.may_act(self.request.user, claim):
            raise Http404
        return claim

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"seen": thing.version}}

    def perform(self, thing, data: dict) -> str:
        services.withdraw(claim_id=thing.pk, actor=self.request.user, seen_version=data["seen"])
        return gettext("%(claim)s is withdrawn.") % {"claim": thing}

    def success_url(self, thing) -> str:
        return thing.my_url
