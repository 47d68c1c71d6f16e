"""Terms of a program: its texts, writing and publishing the next, and who accepted which."""

from functools import cached_property

from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.listing import Column, Guarded, ListPage, Tab
from incentives.participants.models import Participant
from incentives.programs import terms
from incentives.programs.eligibility import people
from incentives.programs.models import Program, TermsAcceptance
from incentives.programs.pages import ProgramPart
from incentives.programs.rules.schema import Definition
from incentives.programs.views import ProgramAction


class TermsForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=150)
    body = forms.CharField(
        label=_("Text"),
        max_length=terms.MOST,
        widget=forms.Textarea(attrs={"rows": 18}),
        help_text=_(
            "Plain text. An empty line begins a paragraph, “# ” a heading and “- ” a list; **two stars** make it bold."
        ),
    )


class PublishTermsForm(forms.Form):
    seen = forms.CharField(widget=forms.HiddenInput, required=False)
    asks_again = forms.BooleanField(
        label=_("Everybody must accept this text, also who accepted an earlier one"),
        required=False,
        initial=True,
        help_text=_("Leave it out for a correction of words. The first text always asks everybody."),
    )
    holds_payouts = forms.BooleanField(
        label=_("Payouts wait until their recipient has accepted"), required=False, initial=True
    )


def asked(program: Program, definition: Definition) -> QuerySet[Participant]:
    """Whom the terms are for: active people who can earn, and everybody who has already earned or accepted. Each with
    `accepted_number`, `accepted_at` and `accepted_by` of the newest text they accepted."""
    rows = people(program, definition)
    taking_part = program.participations.filter(participant=OuterRef("pk"))
    acceptances = TermsAcceptance.objects.filter(terms__program=program, participant=OuterRef("pk"))
    newest = acceptances.order_by("-terms__number")
    return rows.filter(
        Q(can_earn=True, active=True) | Exists(taking_part) | Exists(acceptances)
    ).annotate(
        accepted_number=Subquery(newest.values("terms__number")[:1]),
        accepted_at=Subquery(newest.values("accepted_at")[:1]),
        accepted_digest=Subquery(newest.values("digest")[:1]),
        accepted_by=Subquery(newest.values("user__email")[:1]),
    ).select_related("user")  # fmt: skip


class TermsPage(ProgramPart, Guarded, View):
    """The text in force, the one being written, and the earlier ones."""

    part = "terms"

    def get(self, request, *args, **kwargs):
        texts = list(self.program.terms.select_related("published_by", "edited_by").order_by("-number"))
        wanted = terms.required(self.program)
        context = {
            "draft": next((text for text in texts if text.published_at is None), None),
            "current": wanted.current if wanted else None,
            "earlier": [t for t in texts if t.published_at and (not wanted or t.pk != wanted.current.pk)],
            "counts": self.counts(wanted) if wanted else None,
        }
        return render(request, "programs/terms.html", {**self.frame(), **context})

    def counts(self, wanted: terms.Required) -> dict[str, int]:
        rows = asked(self.program, self.definition)
        accepted = rows.filter(accepted_number__gte=wanted.since).count()
        return {"accepted": accepted, "waiting": rows.count() - accepted}


class TermsAction(ProgramAction):
    permission = "programs.edit"
    part = "terms"

    def success_url(self, thing) -> str:
        return reverse("programs:terms", args=[thing.public_id])


class EditTermsPage(TermsAction):
    form_class = TermsForm
    title = _("Terms of %(program)s")
    text = _("Nobody sees it before it is published. A published text never changes; a change makes the next one.")
    submit = _("Save as draft")

    def get_form_kwargs(self, thing) -> dict:
        found = terms.draft_of(thing) or terms.current_terms(thing)
        return {"initial": {"title": found.title, "body": found.body} if found else {}}

    def perform(self, thing, data: dict) -> str:
        terms.save_terms(program=thing, title=data["title"], body=data["body"], actor=self.request.user)
        return gettext("The text is saved. Nobody is asked before it is published.")


class PublishTermsPage(TermsAction):
    permission = "programs.publish"
    form_class = PublishTermsForm
    template_name = "programs/terms_publish.html"
    title = _("Publish the terms of %(program)s?")
    submit = _("Publish the text")

    def get_form_kwargs(self, thing) -> dict:
        draft = terms.draft_of(thing)
        return {"initial": {"seen": draft.digest if draft else "", "asks_again": True, "holds_payouts": True}}

    def get_context(self, thing) -> dict:
        return super().get_context(thing) | {"draft": terms.draft_of(thing)}

    def perform(self, thing, data: dict) -> str:
        done = terms.publish_terms(
            program=thing,
            actor=self.request.user,
            asks_again=data["asks_again"],
            holds_payouts=data["holds_payouts"],
            seen_digest=data["seen"],
        )
        return gettext("Text %(n)s is published. It never changes now.") % {"n": done.number}


# --- who accepted ----------------------------------------------------------------------------------------------------------
def _state(row) -> str:
    if row.accepted_number is not None and row.accepted_number >= row.since:
        return "accepted"
    return "waiting" if row.user_id else "no_account"


class AcceptancesPage(ProgramPart, ListPage):
    """Who accepted which text when, and who has not."""

    part = "terms"
    template_name = "programs/sublist.html"
    title = _("Who accepted the terms")
    search = ("name", "email", "external_user_id")
    search_hint = _("Name, e-mail address or id")
    default_sort = "name"
    empty_icon, empty_title = "participants", _("Nobody is asked")
    empty_text = _("People appear here as soon as they can earn and a text is published.")
    columns = (
        Column("name", _("Participant"), sort="name", note="team.name"),
        Column("key", _("External user id"), screen=False),
        Column("email", _("E-mail"), sort="email", screen=False),
        Column("state", _("State"), _state, kind="status", words={
            "accepted": _("Accepted"), "waiting": _("Not yet"), "no_account": _("Has no account"),
        }),
        Column("accepted_number", _("Text"), kind="number", sort="accepted_number"),
        Column("accepted_at", _("Accepted"), kind="time", sort="accepted_at"),
        Column("accepted_by", _("Signed in as"), screen=False),
        Column("accepted_digest", _("Digest of the text"), screen=False),
    )  # fmt: skip

    @property
    def export_name(self) -> str:
        return f"acceptances {self.program.name}"

    @cached_property
    def required(self) -> terms.Required | None:
        return terms.required(self.program)

    @cached_property
    def tabs(self):
        since = self.required.since if self.required else 0
        done = Q(accepted_number__gte=since, accepted_number__isnull=False)
        return (Tab("waiting", _("Not yet"), ~done), Tab("accepted", _("Accepted"), done), Tab("all", _("All")))

    def get_queryset(self):
        since = self.required.since if self.required else 0
        rows = asked(self.program, self.definition).annotate(since=Value(since))
        return rows if self.required else rows.none()

    def get_context(self) -> dict:
        return self.frame()
