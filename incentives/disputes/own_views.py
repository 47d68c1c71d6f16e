"""A participant's own questions: the list, asking, and the thread. For a phone first."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.crm.models import ObjectState
from incentives.disputes import selectors, services
from incentives.disputes.forms import MissingForm, OptionalTextForm, RaiseForm, TextForm
from incentives.disputes.models import Dispute
from incentives.earnings.models import Earning
from incentives.payouts.models import Payout

ME = (_("My rewards"), "portal:me")
MINE = (_("My questions"), "disputes:mine")
RAISE = "disputes.raise"


class Own(Guarded):
    """Pages of the participant behind the account; without one there is nothing here."""

    permission = RAISE

    @property
    def participant(self):
        return getattr(self.request.user, "participant", None)

    def allowed(self, user) -> bool:
        return super().allowed(user) and getattr(user, "participant", None) is not None


class MinePage(Own, ListPage):
    title = _("My questions")
    lead = _("What you asked about your rewards, and the answers.")
    search = ("subject", "program__name")
    default_sort = "-moved"
    empty_icon, empty_title = "question", _("You have not asked anything")
    empty_text = _("Every amount has a page that explains it. Ask from there, or say what is missing.")
    empty_action = Link(_("Something is missing"), "disputes:missing", RAISE)
    actions = (Link(_("Something is missing"), "disputes:missing", RAISE, "plus", primary=True),)
    tabs = (
        Tab("all", _("All")),
        Tab("open", _("Open"), Q(status__in=Dispute.OPEN)),
        Tab("closed", _("Closed"), ~Q(status__in=Dispute.OPEN)),
    )
    columns = (
        Column("subject", _("About"), lambda row: row.told, sort="subject", link=lambda row: row.own_url, note="program.name"),
        Column("moved", _("Last change"), "moved_at", kind="time", sort="moved_at"),
        Column("status", _("State"), "status", kind="status", words={
            "open": _("Being looked at"), "waiting_for_rep": _("We asked you something"), "answered": _("Explained"),
            "corrected": _("Corrected"), "withdrawn": _("Withdrawn"),
        }, sort="status", phone="value", note=lambda row: gettext("new") if row.unread else ""),
    )  # fmt: skip

    def get_queryset(self):
        return Dispute.objects.raised_by_person(self.request.user).select_related("program", "object")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(ME)}


class RaisePage(Own, View):
    """Ask about one amount (`earning`), reward (`payout`) or deal (`record`) of one's own; nothing else exists."""

    def subject(self) -> dict:
        try:
            if found := self.request.GET.get("earning"):
                own = Earning.objects.filter(participation__participant=self.participant)
                return {
                    "earning": get_object_or_404(
                        own.select_related("participation__program", "object"), public_id=found
                    )
                }
            if found := self.request.GET.get("payout"):
                own = Payout.objects.filter(participant=self.participant)
                return {"payout": get_object_or_404(own.select_related("program"), public_id=found)}
            if found := self.request.GET.get("record"):
                mine = Q(participant=self.participant) | Q(credits__participation__participant=self.participant)
                return {"record": get_object_or_404(ObjectState.objects.filter(mine).distinct(), public_id=found)}
        except (ValueError, ValidationError) as exc:
            raise Http404 from exc
        raise Http404

    def get(self, request):
        return self.ask(RaiseForm())

    def post(self, request):
        form = RaiseForm(request.POST)
        if not form.is_valid():
            return self.ask(form, status=400)
        dispute = services.raise_dispute(actor=request.user, text=form.cleaned_data["text"], **self.subject())
        messages.success(request, gettext("Sent. You will find the answer here."))
        return redirect(dispute.own_url)

    def ask(self, form, status: int = 200):
        context = {"form": form, **self.subject(), "crumbs": crumbs(ME, MINE)}
        return render(self.request, "disputes/raise.html", context, status=status)


class MissingPage(Own, ActionPage):
    """A deal that is not there: there is nothing to point at, so it is said in words."""

    form_class = MissingForm
    title, submit = _("Something is missing"), _("Send")
    text = _("Say which deal or reward you miss. A program manager looks for it and answers you.")

    def get_form_kwargs(self, thing) -> dict:
        return {"participant": self.participant}

    def perform(self, thing, data: dict) -> str:
        self.made = services.raise_dispute(
            actor=self.request.user, text=data["text"], missing=data["missing"], program=data["program"]
        )
        return gettext("Sent. You will find the answer here.")

    def success_url(self, thing) -> str:
        return self.made.own_url if hasattr(self, "made") else reverse("disputes:mine")

    def get_context(self, thing) -> dict:
        return {"crumbs": crumbs(ME, MINE)}


class OwnPage(Own, DetailPage):
    template_name = "disputes/own.html"

    def get_queryset(self):
        rows = Dispute.objects.raised_by_person(self.request.user)
        return rows.select_related("program", "earning", "payout", "participant", "object")

    def get_context(self, thing) -> dict:
        unread = thing.unread
        if unread:
            services.mark_seen(thing)
        return {
            "dispute": thing,
            "messages_of": selectors.thread(thing, staff=False),
            "reply_form": TextForm(),
            "withdraw_form": OptionalTextForm(auto_id="withdraw_%s"),
            "reopen_form": TextForm(auto_id="reopen_%s"),
            "crumbs": crumbs(ME, MINE),
        }


class OwnAction(Own, ActionPage):
    form_class = TextForm

    def get_queryset(self):
        return Dispute.objects.raised_by_person(self.request.user)

    def get_object(self):
        return get_object_or_404(self.get_queryset(), **self.kwargs)

    def success_url(self, thing) -> str:
        return thing.own_url

    def get_context(self, thing) -> dict:
        return {"text": thing.told, "crumbs": crumbs(ME, MINE)}

    def refuse(self, thing, form, exc: DomainError):
        messages.error(self.request, exc.user_message)
        return redirect(thing.own_url)


class ReplyPage(OwnAction):
    title, submit = _("Reply"), _("Send")

    def perform(self, thing, data: dict) -> str:
        services.reply(dispute=thing, actor=self.request.user, text=data["text"])
        return gettext("Sent.")


class WithdrawPage(OwnAction):
    form_class = OptionalTextForm
    title, submit, danger = _("Withdraw the question?"), _("Withdraw"), True

    def perform(self, thing, data: dict) -> str:
        services.withdraw(dispute=thing, actor=self.request.user, text=data["text"])
        return gettext("Withdrawn.")


class ReopenPage(OwnAction):
    title, submit = _("Open it again?"), _("Open again")

    def perform(self, thing, data: dict) -> str:
        services.reopen(dispute=thing, actor=self.request.user, text=data["text"])
        return gettext("Open again. Somebody looks at it.")
