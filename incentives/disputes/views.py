"""Disputes for staff: the queue, one with its thread beside the whole chain, and what may be done with it."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.core.listing import ActionPage, Column, DetailPage, ListPage, Tab
from incentives.core.templatetags.laurel import duration
from incentives.disputes import selectors, services
from incentives.disputes.forms import AnswerForm, AssignForm, CorrectForm, DisputeFilters, TextForm
from incentives.disputes.links import correction_url
from incentives.disputes.models import Dispute
from incentives.disputes.worth import being_counted, worth_of
from incentives.payouts.chain import whole_chain

LIST = (_("Disputes"), "disputes:list")
ANSWER = "disputes.answer"


def age(dispute: Dispute) -> timedelta:
    """How long the participant has waited, or waited until the decision."""
    return (dispute.decided_at or timezone.now()) - dispute.opened_at if not dispute.is_open else timezone.now() - dispute.opened_at  # fmt: skip


class DisputesPage(ListPage):
    permission = "disputes.view"
    title = _("Disputes")
    lead = _("Questions of participants about what they earned. Each ends with a correction or an explanation.")
    search = ("subject", "participant__name", "participant__email", "program__name", "messages__text")
    search_hint = _("Subject, person, program or message")
    filterset_class = DisputeFilters
    export_name = "disputes"
    export_permission = "reports.export"
    default_sort = "age"
    empty_icon, empty_title = "done", _("Nobody asked anything")
    empty_text = _("Participants ask from the page that explains an amount; what they ask appears here.")
    columns = (
        Column("subject", _("Subject"), sort="subject", link=True, note="get_about_display"),
        Column("participant", _("Participant"), sort="participant__name", note="participant.team.name"),
        Column("program", _("Program"), "program.name", sort="program__name"),
        Column("assigned_to", _("Looked after by"), sort="assigned_to__name"),
        Column("age", _("Open for"), lambda row: duration(age(row)), sort="opened_at"),
        Column("opened_at", _("Asked"), kind="time", sort="opened_at", screen=False),
        Column("decided_at", _("Decided"), kind="time", screen=False),
        Column("difference", _("Difference"), kind="money", sort="after_minor", phone="more"),
        Column("status", _("State"), kind="status", sort="status", phone="value"),
        Column("public_id", _("Id"), screen=False),
    )

    @property
    def tabs(self):
        open_, mine = Q(status__in=Dispute.OPEN), Q(assigned_to=self.request.user)
        return (
            Tab("open", _("Open"), open_),
            Tab("mine", _("Mine"), open_ & mine),
            Tab("closed", _("Closed"), ~open_),
            Tab("all", _("All")),
        )

    def get_queryset(self):
        return selectors.queue(self.request.user)

    def rows(self):
        return super().rows().distinct() if self.query else super().rows()  # a search in messages joins them


class DisputePage(DetailPage):
    permission = "disputes.view"
    model = Dispute
    parent = LIST
    template_name = "disputes/dispute.html"

    def get_queryset(self):
        related = ("participant__team", "program", "earning__object", "object", "payout", "assigned_to", "decided_by")
        return super().get_queryset().select_related(*related)

    def get_context(self, thing) -> dict:
        user = self.request.user
        seen = {"seen": thing.version}
        whole = whole_chain(thing.earning, money=user.can("payouts.view")) if thing.earning_id else None
        return {
            "dispute": thing,
            "messages_of": selectors.thread(thing, staff=True),
            "whole": whole,
            "chain": whole and whole.earned,
            "money": whole and whole.money,
            "worth": worth_of(thing) if thing.is_open else thing.after,
            "counting": thing.is_open and being_counted(thing),
            "may_answer": user.can(ANSWER) and thing.is_open,
            "correction_url": correction_url(thing),
            "age": age(thing),
            "explain_form": AnswerForm(initial=seen, auto_id="explain_%s"),
            "correct_form": CorrectForm(candidates=selectors.candidates(thing), initial=seen, auto_id="correct_%s"),
            "ask_form": AnswerForm(initial=seen, auto_id="ask_%s"),
            "note_form": TextForm(auto_id="note_%s"),
            "assign_form": AssignForm(
                initial={**seen, "to": thing.assigned_to and thing.assigned_to.public_id}, auto_id="assign_%s"
            ),
        }


class DisputeAction(ActionPage):
    permission = ANSWER
    model = Dispute
    form_class = AnswerForm

    @property
    def parent(self):
        return LIST

    def get_queryset(self):
        return super().get_queryset().select_related("participant", "program")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"seen": thing.version}}

    def get_context(self, thing) -> dict:
        return {"text": str(thing)}


class ExplainPage(DisputeAction):
    title, submit = _("Close with an explanation"), _("Send the explanation")

    def perform(self, thing, data: dict) -> str:
        services.explain(dispute=thing, actor=self.request.user, text=data["text"], seen_version=data["seen"])
        return gettext("Explained. The participant reads your answer.")


class CorrectPage(DisputeAction):
    form_class = CorrectForm
    title, submit = _("Close as corrected"), _("Close as corrected")

    def get_form_kwargs(self, thing) -> dict:
        return {**super().get_form_kwargs(thing), "candidates": selectors.candidates(thing)}

    def perform(self, thing, data: dict) -> str:
        services.correct(
            dispute=thing, actor=self.request.user, text=data["text"], correction=data["correction"],
            seen_version=data["seen"],
        )  # fmt: skip
        return gettext("Closed as corrected. The participant reads your answer.")


class AskPage(DisputeAction):
    title, submit = _("Ask back"), _("Send the question")

    def perform(self, thing, data: dict) -> str:
        services.ask_back(dispute=thing, actor=self.request.user, text=data["text"], seen_version=data["seen"])
        return gettext("Asked. It waits for the participant now.")


class NotePage(DisputeAction):
    form_class = TextForm
    title, submit = _("Internal note"), _("Keep the note")

    def get_form_kwargs(self, thing) -> dict:
        return {}

    def perform(self, thing, data: dict) -> str:
        services.note(dispute=thing, actor=self.request.user, text=data["text"])
        return gettext("Noted. Only staff reads it.")


class AssignPage(DisputeAction):
    form_class = AssignForm
    title, submit = _("Who looks after it?"), _("Assign")

    def perform(self, thing, data: dict) -> str:
        services.assign(dispute=thing, actor=self.request.user, to=data["to"], seen_version=data["seen"])
        return gettext("Assigned.")
