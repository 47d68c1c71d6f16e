"""Deciding many payouts at once, and building them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.listing import Guarded
from incentives.core.pages import crumbs
from incentives.payouts import selectors, services
from incentives.payouts.forms import BuildForm, BulkForm
from incentives.payouts.models import Payout
from incentives.payouts.views import DECIDE, PARENT
from incentives.programs.models import Program

MOST = 500
"""At most so many decisions in one request."""
SHOWN = 200


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


class DecidePage(Guarded, View):
    """From the ticked rows of the list: shows what is about to be decided. Nothing happens yet."""

    permission = DECIDE

    def get(self, request) -> HttpResponse:
        return redirect("payouts:list")

    def post(self, request) -> HttpResponse:
        ids = [found for text in request.POST.getlist("ids")[:MOST] if (found := _uuid(text))]
        action = request.POST.get("action")
        payouts = list(Payout.objects.visible_to(request.user).filter(public_id__in=ids).select_related("program"))
        if not payouts or action not in {"approve", "reject"}:
            messages.error(request, gettext("Tick at least one payout, then choose Approve or Reject."))
            return redirect("payouts:list")
        return confirm(request, payouts, BulkForm(action=action), action)


def confirm(request, payouts: list[Payout], form: BulkForm, action: str, status: int = 200) -> HttpResponse:
    looks = selectors.with_remarks(payouts)
    context = {
        "looks": looks,
        "unusual": sum(1 for look in looks if look.remarks),
        "totals": selectors.totals(payouts),
        "by_program": selectors.by_program(payouts),
        "form": form,
        "approving": action == "approve",
        "crumbs": crumbs(PARENT),
    }
    return render(request, "payouts/decide.html", context, status=status)


class DecideConfirmPage(Guarded, View):
    """One decision per payout, each bound to what the confirmation page showed; says what became of every one."""

    permission = DECIDE

    def get(self, request) -> HttpResponse:
        return redirect("payouts:list")

    def post(self, request) -> HttpResponse:
        seen = self.seen()
        payouts = {p.public_id: p for p in self.payouts(seen)}
        form = BulkForm(request.POST)
        if not payouts or "action" not in request.POST or not form.is_valid():
            if payouts and form.data.get("action") in {"approve", "reject"}:
                return confirm(request, list(payouts.values()), form, form.data["action"], status=400)
            messages.error(request, gettext("Nothing was decided: the page was not complete. Tick the payouts again."))
            return redirect("payouts:list")
        outcomes = self.decide(form, [(payouts[uuid].pk, mark) for uuid, mark in seen.items() if uuid in payouts])
        return self.report(outcomes, form.cleaned_data["action"])

    def seen(self) -> dict[UUID, str]:
        pairs = [text.partition(":") for text in self.request.POST.getlist("seen")[:MOST]]
        return {found: mark for text, _, mark in pairs if (found := _uuid(text))}

    def payouts(self, seen: dict):
        return Payout.objects.visible_to(self.request.user).filter(public_id__in=seen).select_related("program")

    def decide(self, form: BulkForm, seen: list[tuple[int, str]]) -> list:
        who = {"actor": self.request.user, "ip_address": self.request.META.get("REMOTE_ADDR")}
        if form.cleaned_data["action"] == "approve":
            return services.approve_many(seen=seen, **who)
        return services.reject_many(ids=[pk for pk, _ in seen], reason=form.cleaned_data["reason"], **who)

    def report(self, outcomes: list, action: str) -> HttpResponse:
        done = [outcome.payout for outcome in outcomes if outcome.ok]
        refused = [outcome for outcome in outcomes if not outcome.ok]
        waiting = [payout for payout in done if payout.status == Payout.Status.SUBMITTED]
        context = {
            "done": len(done),
            "waiting": len(waiting),
            "totals": selectors.totals(done),
            "refused": refused,
            "approving": action == "approve",
            "crumbs": crumbs(PARENT),
        }
        return render(self.request, "payouts/decided.html", context)


# --- building -----------------------------------------------------------------------------------------------------------
class BuildPage(Guarded, View):
    """GET shows who would get what, POST builds it."""

    permission = "payouts.build"

    def get(self, request) -> HttpResponse:
        form = BuildForm(request.GET if "program" in request.GET else None)
        due = selectors.due_by_program()
        programs = Program.objects.filter(pk__in=due).order_by("name")
        chosen = form.cleaned_data["program"] if form.is_bound and form.is_valid() else None
        shown = [chosen] if chosen else list(programs.select_related("budget")[:1] if len(due) == 1 else [])
        context = {
            "form": form if form.is_bound else BuildForm(initial={"program": shown[0].public_id} if shown else None),
            "due": [(program, *due[program.pk]) for program in programs],
            "chosen": shown[0] if shown else None,
            "previews": [selectors.preview_build(program) for program in shown],
            "shown": SHOWN,
            "crumbs": crumbs(PARENT),
        }
        return render(request, "payouts/build.html", context)

    def post(self, request) -> HttpResponse:
        form = BuildForm(request.POST)
        if not form.is_valid():
            messages.error(request, gettext("Choose a program that is running or closed."))
            return redirect("payouts:build")
        chosen = form.cleaned_data["program"]
        programs = [chosen] if chosen else list(Program.objects.filter(pk__in=selectors.due_by_program()))
        for program in programs:
            self.build(program)
        return redirect(f"{reverse('payouts:list')}?tab=waiting")

    def build(self, program: Program) -> None:
        try:
            result = services.build_payouts(program=program, actor=self.request.user)
        except DomainError as exc:
            messages.error(self.request, f"{program}: {exc.user_message}")
            return
        say = messages.success if result.payouts else messages.info
        say(self.request, _result(program, result))


def _result(program: Program, result) -> str:
    count = len(result.payouts)
    text = ngettext("%(program)s: %(n)s payout built.", "%(program)s: %(n)s payouts built.", count)
    text %= {"program": program, "n": count}
    if skipped := len(result.skipped):
        words = ngettext("%(n)s person got nothing this time.", "%(n)s people got nothing this time.", skipped)
        text += " " + words % {"n": skipped}
    return text
