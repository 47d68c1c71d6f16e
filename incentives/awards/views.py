"""Awards: the list, one award, giving one, taking one back, and a program to give out of."""

from django.contrib import messages
from django.db.models import Q
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.accounts.forms import ReasonForm
from incentives.awards import selectors, services
from incentives.awards.forms import AwardFilters, GiveForm, PotForm
from incentives.awards.models import Award
from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage, Tab
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import words
from incentives.crm.models import ObjectState

LIST = (_("Awards"), "awards:list")
GIVE = "awards.give"


class AwardsPage(ListPage):
    permission = "awards.view"
    title = _("Awards")
    lead = _(
        "What people were given beside any rule, with the reason. They pass the same approvals as everything else."
    )
    template_name = "awards/list.html"
    search = ("participant__name", "participant__email", "reason", "given_by__name", "program__name")
    search_hint = _("Recipient, reason, giver or program")
    filterset_class = AwardFilters
    export_name = "awards"
    export_permission = "reports.export"
    default_sort = "-created_at"
    empty_icon, empty_title = "gift", _("Nothing was given yet")
    empty_text = _("A manager gives one person or a list a reward with a reason, inside a budget.")
    empty_action = Link(_("Give an award"), "awards:give", GIVE)
    actions = (
        Link(_("Award program"), "awards:new-program", "programs.edit", "plus"),
        Link(_("Give by file"), "awards:file", GIVE, "upload"),
        Link(_("Give an award"), "awards:give", GIVE, "gift", primary=True),
    )
    tabs = (
        Tab("all", _("All")),
        Tab("given", _("Given"), Q(status=Award.Status.GIVEN)),
        Tab("cancelled", _("Cancelled"), Q(status=Award.Status.CANCELLED)),
    )
    columns = (
        Column("participant", _("Recipient"), sort="participant__name", link=True),
        Column("key", _("External user id"), "participant.key", screen=False),
        Column("reason", _("Reason"), sort="reason"),
        Column("note", _("Internal note"), screen=False),
        Column("program", _("Program"), "program.name", sort="program__name"),
        Column("given_by", _("Given by"), sort="given_by__name"),
        Column("created_at", _("When"), kind="time", sort="created_at"),
        Column("status", _("State"), kind="status", sort="status"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor", phone="value"),
        Column("public_id", _("Id"), screen=False),
    )

    def get_queryset(self):
        rows = Award.objects.visible_to(self.request.user)
        return rows.select_related("participant", "program", "given_by")

    def get_context(self) -> dict:
        return {"sums": selectors.totals(self.rows())}


class AwardPage(DetailPage):
    permission = "awards.view"
    model = Award
    parent = LIST
    template_name = "awards/award.html"

    def get_queryset(self):
        related = ("participant", "program", "given_by", "cancelled_by", "batch")
        return super().get_queryset().select_related(*related)

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.filter(target_type="awards.award", target_id=str(thing.public_id)).order_by("pk")
        record = ObjectState.objects.filter(object_type="award", object_id=thing.record).first()
        return {
            "award": thing,
            "why_url": reverse("earnings:why", args=[record.public_id]) if record else "",
            "may_cancel": thing.status == Award.Status.GIVEN and thing.participant.user_id != self.request.user.pk,
            "cancel_text": recovery_in_words(thing),
            "cancel_form": ReasonForm(auto_id="cancel_%s"),
            "events": [{"title": words(e.action), "at": e.at, "by": e.actor_name, "text": e.reason} for e in events],
        }


def recovery_in_words(award: Award) -> str:
    """What cancelling does to what was paid, by the program's policy."""
    rule = (award.program.current_definition.get("payout") or {}).get("recovery") or "next_payout"
    after = {
        "next_payout": gettext("After that it is taken from the person's next payout."),
        "write_off": gettext("After that it is written off when finance approves it."),
        "none": gettext("After that what was paid stays paid."),
    }[rule]
    return gettext("While its payout awaits approval, nothing is sent.") + " " + after


class GivePage(Guarded, View):
    """One award. Without scripts the search is a button that keeps what was typed; with them the list follows the typing."""

    permission = GIVE

    def get(self, request):
        known = {name: request.GET.get(name, "")[:200] for name in ("program", "participant", "q")}
        return self.show(GiveForm(initial={name: value for name, value in known.items() if value}))

    def post(self, request):
        if "search" in request.POST:
            return self.show(GiveForm(initial={key: request.POST.get(key, "") for key in GiveForm.base_fields}))
        form = GiveForm(request.POST)
        if not form.is_valid():
            return self.show(form, status=400)
        data = form.cleaned_data
        try:
            award = services.give_award(
                program=data["program"].program, participant=form.person, amount=data["money"], reason=data["reason"],
                note=data["note"], actor=request.user,
            )  # fmt: skip
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        messages.success(request, gettext("Given: %(award)s. Its payout needs the usual approvals.") % {"award": award})
        return redirect(award)

    def show(self, form: GiveForm, status: int = 200):
        chosen = form.chosen()
        context = {
            "form": form,
            "people": form.people,
            "chosen": chosen,
            "searched": form.text("q"),
            "crumbs": crumbs(LIST),
        }
        return render(self.request, "awards/give.html", context, status=status)


class PeoplePage(Guarded, View):
    """The people a search finds, as choices: what the giving page shows while somebody types."""

    permission = GIVE

    def get(self, request):
        text = request.GET.get("q", "")[:200]
        context = {"people": selectors.search_people(text), "searched": text.strip()}
        return render(request, "awards/_people.html", context)


class CancelPage(ActionPage):
    permission = GIVE
    model = Award
    parent = LIST
    form_class = ReasonForm
    title, submit, danger = _("Take this award back?"), _("Take it back"), True

    def get_queryset(self):
        return super().get_queryset().select_related("participant", "program")

    def get_context(self, thing) -> dict:
        return {"text": f"{thing}. {recovery_in_words(thing)}"}

    def perform(self, thing, data: dict) -> str:
        services.cancel_award(award=thing, actor=self.request.user, reason=data["reason"])
        return gettext("Taken back. What it earned is corrected within moments.")


class NewProgramPage(ActionPage):
    """A program to give awards out of, ready to be launched."""

    permission = "programs.edit"
    parent = LIST
    form_class = PotForm
    title, submit = _("New award program"), _("Make the draft")
    text = _(
        "Managers give awards out of it within these limits, while it runs. It is launched like any other program."
    )

    def perform(self, thing, data: dict) -> str:
        user = self.request.user
        self.made = services.make_pot(actor=user, time_zone=user.time_zone or "UTC", **data)
        return gettext("The draft is saved. Awards can be given once it is launched.")

    def success_url(self, thing) -> str:
        return self.made.get_absolute_url() if hasattr(self, "made") else reverse("awards:list")
