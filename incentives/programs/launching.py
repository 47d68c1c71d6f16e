"""From a draft to a published version: launching it, the review of a second manager, and the limit that asks for one."""

from datetime import datetime

from django import forms
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from incentives.accounts.forms import ReasonForm
from incentives.core.errors import DomainError
from incentives.core.listing import ActionPage, Column, Link, ListPage
from incentives.core.pages import crumbs
from incentives.programs import review, review_limits, services
from incentives.programs.models import Program, ProgramVersion, ReviewLimit
from incentives.programs.pages import LIST
from incentives.programs.rules.parsing import parse_definition, warnings
from incentives.programs.rules.periods import midnight
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import draft_of
from incentives.programs.summary import differences, grouped
from incentives.programs.versions import why_not_start
from incentives.programs.views import ProgramAction
from rewards.money import MINOR_DIGITS, Money

S = Program.Status
NOW, DAY, BEGINNING = "now", "day", "beginning"


class StartForm(forms.Form):
    """When a further version begins to govern. The first version has no choice: the fields are gone then."""

    start = forms.ChoiceField(
        label=_("It governs facts"),
        choices=[
            (NOW, _("from now on: what counted before stays as it is")),
            (DAY, _("from a day on")),
            (BEGINNING, _("from the beginning: everything is counted again")),
        ],
        widget=forms.RadioSelect,
    )
    day = forms.DateField(
        label=_("That day"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args, definition: Definition | None, again: bool, **kwargs):
        super().__init__(*args, **kwargs)
        self.definition = definition
        if not again:
            del self.fields["start"], self.fields["day"]
            return
        self.fields["start"].initial = NOW
        zone = definition.time_zone if definition else "UTC"
        self.fields["day"].help_text = _("It begins at midnight by the clock of %(zone)s.") % {"zone": zone}

    def clean(self) -> dict:
        data = super().clean()
        if data.get("start") == DAY:
            first, last = self.definition.starts_on, self.definition.ends_on
            if data.get("day") is None:
                if "day" not in self.errors:
                    self.add_error("day", gettext("Choose the first day."))
            elif not first <= data["day"] <= last:
                message = gettext("Choose a day of the program, from %(first)s to %(last)s.")
                self.add_error("day", message % {"first": first, "last": last})
        return data


def start_of(data: dict, definition: Definition, now: datetime | None = None) -> datetime | None:
    """The moment a StartForm's answer means; None for the program's first day."""
    now = now or timezone.now()
    match data.get("start"):
        case "now":
            return review.effective_start(definition, now)
        case "day":
            return review.effective_start(definition, midnight(data["day"], definition.time_zone))
    return None


def shown(program: Program, draft: ProgramVersion) -> dict:
    """What a reader of a draft must see before it is published."""
    definition, published = parse_definition(draft.definition), program.newest_version
    return {
        "draft": draft,
        "published": published,
        "missing": services.what_is_missing(program, draft),
        "outline": grouped(definition),
        "changes": differences(published.definition, definition) if published else [],
        "warnings": [item for item in warnings(definition) if item.path != "delivery"],
        "definition": definition,
    }


class LaunchPage(ProgramAction):
    """Says what publishing would do; POST with `action=look` says it for the chosen start and publishes nothing."""

    template_name = "programs/launch.html"
    form_class = StartForm
    title = _("Launch %(program)s?")
    submit = _("Launch")

    def get_form_kwargs(self, thing) -> dict:
        draft = draft_of(thing)
        definition = parse_definition(draft.definition) if draft else None
        return {"definition": definition, "again": draft is not None and thing.newest_version is not None}

    def post(self, request, *args, **kwargs):
        if request.POST.get("action") != "look":
            return super().post(request, *args, **kwargs)
        form = self.make_form(self.program, request.POST)
        return self.ask(self.program, form, status=200 if form.is_valid() else 400)

    def ask(self, thing, form, status: int = 200):
        self.form = form
        return super().ask(thing, form, status)

    def get_context(self, thing) -> dict:
        draft, published = draft_of(thing), thing.newest_version
        context = {"draft": draft, "published": published, "missing": []}
        if draft:
            context |= shown(thing, draft)
            context["review"] = draft.reviewed_by_id is None and review_limits.asks(thing.budget, self.request.user)
            context["limit"] = review_limits.limit_for(thing.currency, self.request.user)
            context["starts_at"] = self.starts_at(context["definition"])
            context["start_problem"] = why_not_start(thing, draft, context["starts_at"]) if published else ""
        again = published is not None and draft is not None
        title = gettext("Publish version %(n)s of %(program)s?") if again else self.title
        submit = gettext("Publish") if published else self.submit
        if context.get("review"):
            submit = gettext("Ask for a review")
        values = {"program": thing.name, "n": draft.number if draft else ""}
        return {**super().get_context(thing), **context, "title": title % values, "submit": submit}

    def starts_at(self, definition: Definition) -> datetime | None:
        """The start that is looked at: the one chosen, before any choice from now on."""
        if "start" not in self.form.fields:
            return None
        if self.form.is_bound and self.form.is_valid():
            return start_of(self.form.cleaned_data, definition)
        return start_of({"start": NOW}, definition)

    def perform(self, thing, data: dict) -> str:
        again, draft = thing.newest_version is not None, draft_of(thing)
        start = start_of(data, parse_definition(draft.definition)) if draft else None
        if draft and draft.reviewed_by_id is None and review_limits.asks(thing.budget, self.request.user):
            now = data.get("start") == NOW
            review.request_review(
                program=thing, actor=self.request.user, starts_at=None if now else start, on_publish=now
            )
            return gettext("A second manager is asked to review it. Nothing counts before it is published.")
        program = services.launch(program=thing, actor=self.request.user, starts_at=start)
        if again and start:
            return gettext("The new version is published. What counts from its start on is counted by it.")
        if again:
            return gettext("The new version is published. Facts already received are counted again by it.")
        if program.status == S.SCHEDULED:
            return gettext("%(program)s is scheduled; it starts on its first day.") % {"program": program}
        return gettext("%(program)s is running. Facts already received for its days are being counted.") % {
            "program": program
        }

    def refuse(self, thing, form, exc):
        """The page again, which names what is missing; a redirect would hide it."""
        self.form = form
        context = {"object": thing, "form": form, "cancel_url": self.cancel_url(thing), **self.get_context(thing)}
        return render(self.request, self.template_name, context | {"refused": exc.user_message}, status=exc.status)


# --- review --------------------------------------------------------------------------------------------------------------
class ReturnForm(ReasonForm):
    """Why it goes back; publishing needs no reason."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
        self.fields["reason"].label = _("What should change")
        self.fields["reason"].help_text = _("Its writer reads this when you send it back.")


class ReviewPage(ProgramAction):
    """A second manager reads the version and publishes it or sends it back. Its writers may read it here, not decide."""

    permission = "programs.review"
    template_name = "programs/review.html"
    form_class = ReturnForm
    title = _("Review %(program)s")

    def get_context(self, thing) -> dict:
        draft = draft_of(thing)
        context = {"draft": draft, **super().get_context(thing)}
        if draft is None or not draft.in_review:
            return context | {"waits": False}
        own = review.wrote(draft, self.request.user)
        starts_at = review.start_of(draft)
        return context | shown(thing, draft) | {
            "waits": True, "own": own, "writers": list(draft.writers.order_by("name", "pk")), "starts_at": starts_at,
            "start_problem": why_not_start(thing, draft, starts_at),
            "limit": review_limits.limit_for(thing.currency),
            "allocated": review_limits.allocation(thing.budget) if thing.budget else None,
        }  # fmt: skip

    def post(self, request, *args, **kwargs):
        form = self.make_form(self.program, request.POST)
        form.is_valid()
        decide = {"publish": self.publish, "return": self.give_back}.get(request.POST.get("action"))
        if decide is None:
            return self.ask(self.program, form, status=400)
        try:
            return decide(request.POST.get("seen", ""), form.cleaned_data.get("reason", ""))
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.ask(self.program, form, status=exc.status)

    def publish(self, seen: str, _reason: str):
        review.confirm_review(program=self.program, actor=self.request.user, seen_digest=seen)
        return self.done(gettext("It is published, with you as its second manager."))

    def give_back(self, seen: str, reason: str):
        review.return_review(program=self.program, actor=self.request.user, reason=reason, seen_digest=seen)
        return self.done(gettext("It is back with its writer, with your reason."))

    def done(self, message: str):
        messages.success(self.request, message)
        return redirect(self.program)


class WithdrawReviewPage(ProgramAction):
    title = _("Take %(program)s back from review?")
    text = _("Nobody can publish it then, and you can edit it further. You may ask again at any time.")
    submit = _("Take it back")

    def perform(self, thing, data: dict) -> str:
        review.withdraw_review(program=thing, actor=self.request.user)
        return gettext("It is a draft again.")


# --- limits --------------------------------------------------------------------------------------------------------------
class LimitForm(forms.Form):
    currency = forms.ChoiceField(label=_("Currency"), choices=lambda: [(code, code) for code in sorted(MINOR_DIGITS)])
    amount = forms.DecimalField(
        label=_("Review above"), min_value=0, max_digits=15, help_text=_("What finance has put into the budget in all.")
    )

    def clean(self) -> dict:
        data = super().clean()
        if "amount" in data and "currency" in data:
            amount = Money.from_decimal(data["amount"], data["currency"])
            if amount.decimal != data["amount"]:
                message = gettext("%(currency)s has %(n)s digits after the point.")
                self.add_error("amount", message % {"currency": data["currency"], "n": MINOR_DIGITS[data["currency"]]})
            data["money"] = amount
        return data


class LimitsPage(ListPage):
    permission = "review_limits.view"
    title = _("Review limits")
    lead = _(
        "A program whose budget holds more than this is published by a second manager. Where no limit is set, 10,000 in the "
        "program's currency holds. A limit you set yourself does not loosen the rule for you."
    )
    default_sort = "currency"
    actions = (Link(_("Set a limit"), "programs:set-limit", "review_limits.edit", "plus", primary=True),)
    empty_icon, empty_title = "lock", _("No limit is set")
    empty_text = _("In every currency 10,000 holds.")
    columns = (
        Column("currency", _("Currency"), sort="currency"),
        Column("amount", _("Review above"), kind="money", sort="amount_minor"),
        Column("edited_at", _("Set"), kind="time", sort="edited_at", note="edited_by.name"),
    )

    def get_queryset(self):
        return ReviewLimit.objects.select_related("edited_by")

    def get_context(self) -> dict:
        return {"crumbs": crumbs(LIST)}


class SetLimitPage(ActionPage):
    permission = "review_limits.edit"
    form_class = LimitForm
    parent = LIST
    title = _("Set a review limit")
    text = _("It holds for what is published from now on. Programs that run already stay as they are.")
    submit = _("Save")

    def success_url(self, thing) -> str:
        return reverse("programs:limits")

    def perform(self, thing, data: dict) -> str:
        review_limits.save_limit(currency=data["currency"], amount=data["money"], actor=self.request.user)
        return gettext("The limit is set.")
