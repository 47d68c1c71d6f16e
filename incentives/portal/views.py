"""The first page by role, and what a participant sees of their own."""

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.accounts.models import Role
from incentives.awards.selectors import own_awards
from incentives.core import audit
from incentives.core.listing import Column, Guarded, ListPage, Tab
from incentives.core.pages import crumbs
from incentives.disputes import selectors as disputes
from incentives.payouts import selectors as payouts
from incentives.payouts import tax_totals, wording
from incentives.payouts.models import Payout
from incentives.portal import selectors, setup
from incentives.programs import terms
from incentives.reports import statement_views
from incentives.reports.statement import statement_of
from rewards import services as rewards
from rewards.errors import RewardError
from rewards.models import DeliveryType, RewardOrder

ME = (_("My rewards"), "portal:me")
STAFF = (Role.MANAGER, Role.FINANCE, Role.ADMINISTRATOR, Role.AUDITOR)
LATEST = 10
AWARDS = 3


class HomePage(Guarded, View):
    """What needs this person, by role; a participant without another role goes to their own page."""

    def get(self, request) -> HttpResponse:
        roles = request.user.roles
        if not roles:
            return render(request, "portal/norole.html")
        if roles.isdisjoint(STAFF):
            return redirect("portal:me")
        sections = {
            "manager": selectors.manager_home(request.user) if Role.MANAGER in roles else None,
            "finance": selectors.finance_home(request.user) if Role.FINANCE in roles else None,
            "administrator": selectors.administrator_home() if Role.ADMINISTRATOR in roles else None,
            "auditor": selectors.auditor_home() if Role.AUDITOR in roles else None,
        }
        return render(request, "portal/home.html", {**sections, "setup": setup.checklist(request.user)})


# --- a participant's own ------------------------------------------------------------------------------------------------
class Mine(Guarded):
    """Pages of the participant behind the account. Somebody with the role but no participant sees what is missing."""

    permission = "me.view"

    @property
    def participant(self):
        return getattr(self.request.user, "participant", None)

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and self.allowed(request.user) and self.participant is None:
            return render(request, "portal/nobody.html")
        return super().dispatch(request, *args, **kwargs)


class MePage(Mine, View):
    def get(self, request) -> HttpResponse:
        mine = self.participant
        rewards_now = [card_of(payout) for payout in selectors.newest_payouts(mine)]
        context = {
            **selectors.me(mine),
            "participant": mine,
            "rewards": rewards_now,
            "unread_disputes": disputes.unread_of(mine),
            "to_choose": [one for one in payouts.questions_of(mine) if one.open],
            "awards": list(own_awards(mine)[:AWARDS]),
            "latest": list(selectors.own_earnings(mine)[:LATEST]),
            "tax_waits": tax_totals.waits_of(mine),
            "finance_contact": settings.FINANCE_CONTACT,
            "is_partner_admin": partner_of(request.user) is not None,
            "open_terms": [item for item in terms.of_participant(mine) if item.is_open],
        }
        return render(request, "portal/me.html", context)


def card_of(payout: Payout) -> dict:
    """What components/reward.html takes."""
    status, label, words = wording.payout_for_recipient(payout)
    return {
        "name": card_name(payout),
        "program": payout.program.name,
        "amount": payout.amount,
        "status": status,
        "label": label,
        "words": words,
        "at": payout.order.finished_at if payout.order and payout.order.finished_at else payout.created_at,
        "image_url": payout.order.product.image_url if payout.order else "",
        "choose_url": choose_url(payout) if is_open(payout) else "",
        "change_url": choose_url(payout) if is_changeable(payout) else "",
        "reveal_url": reverse("portal:reveal", args=[payout.public_id]) if revealable(payout) else "",
    }


def is_open(payout: Payout) -> bool:
    """Whether it waits for its recipient's choice."""
    choice = getattr(payout, "choice", None)
    return choice is not None and payout.status == Payout.Status.SUBMITTED and not choice.answered


def is_changeable(payout: Payout) -> bool:
    choice = getattr(payout, "choice", None)
    return choice is not None and payout.status == Payout.Status.SUBMITTED and choice.answered


def card_name(payout: Payout) -> str:
    return gettext("A card of your choice") if is_open(payout) else payout.product_name


def choose_word(payout: Payout) -> str | None:
    """The list's link to choosing; None where nothing can be chosen any more."""
    if is_open(payout):
        return gettext("Choose a card")
    return gettext("Change the card") if is_changeable(payout) else None


def choose_url(payout: Payout) -> str:
    return reverse("portal:choose", args=[payout.public_id])


def revealable(payout: Payout) -> bool:
    return (
        payout.delivery_type == DeliveryType.LINKS
        and payout.status == Payout.Status.FULFILLED
        and payout.order is not None
        and payout.order.state == RewardOrder.State.COMPLETED
    )


def _word(payout) -> str:
    return wording.payout_for_recipient(payout)[0]


def ask_url(payout: Payout) -> str:
    return f"{reverse('disputes:raise')}?payout={payout.public_id}"


class RewardsPage(Mine, ListPage):
    title = _("My rewards")
    search = ("product_name", "program__name")
    default_sort = "-created_at"
    empty_icon, empty_title = "gift", _("No rewards yet")
    empty_text = _("They appear here as soon as something you earned is on its way.")
    template_name = "portal/rewards.html"
    tabs = (
        Tab("all", _("All")),
        Tab("way", _("On its way"), Q(status__in=selectors.ON_ITS_WAY)),
        Tab("sent", _("Sent by the provider"), Q(status=Payout.Status.FULFILLED)),
    )
    columns = (
        Column("product_name", _("Card"), card_name, sort="product_name", note="program.name"),
        Column("amount", _("Amount"), kind="money", sort="amount_minor"),
        Column("state", _("State"), _word, kind="status", note=lambda p: wording.payout_for_recipient(p)[2],
               template="portal/_state.html"),
        Column("created_at", _("Since"), kind="time", sort="created_at"),
        Column("open", _("Open"), lambda p: revealable(p) or None, template="portal/_open.html"),
        Column("choose", _("Your choice"), choose_word, link=lambda p: choose_word(p) and choose_url(p)),
        Column("ask", _("Something wrong?"), lambda p: gettext("Ask about it"), link=ask_url),
    )  # fmt: skip

    def get_queryset(self):
        return selectors.own_payouts(self.participant)

    def get_context(self) -> dict:
        return {"crumbs": crumbs(ME)}


class RevealPage(Guarded, View):
    """Shows a claim link to its recipient, once per POST, and records it. For everybody else it does not exist."""

    permission = "me.reveal"
    http_method_names = ["post"]

    def post(self, request, public_id) -> HttpResponse:
        payout = get_object_or_404(
            Payout.objects.select_related("program", "order__product", "participant"),
            public_id=public_id,
            participant__user=request.user,
        )
        if not revealable(payout):
            raise Http404
        try:
            secrets = reveal(payout, request.user)
        except RewardError:
            messages.error(request, gettext("Your card cannot be shown right now. Please tell your program manager."))
            return _guarded(redirect("portal:rewards"))
        if not secrets:
            raise Http404
        context = {"payout": payout, "reward": card_of(payout), "secrets": secrets, "crumbs": crumbs(ME)}
        return _guarded(render(request, "portal/reveal.html", context))


def reveal(payout: Payout, user) -> list:
    """Every card of the payout's order, each reveal recorded in the same transaction, without the link."""
    with transaction.atomic():
        cards = list(payout.order.cards.order_by("position"))
        secrets = [rewards.reveal_card(c.pk, actor_name=str(user), actor_ref=str(user.public_id)) for c in cards]
        for card in cards:
            audit.record("card.revealed", payout, actor=user, after={"card": str(card.public_id)})
    return secrets


def _guarded(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


class StatementPage(Mine, View):
    """What was earned and sent in a period and what is left, to read and to print."""

    def get(self, request) -> HttpResponse:
        statement = statement_of(self.participant, statement_views.chosen_period(request))
        address = {"base": reverse("portal:statement"), "pdf": reverse("portal:statement-pdf")}
        context = {**statement_views.context_of(statement, **address), "own": True}
        return render(request, "reports/statement.html", {**context, "crumbs": crumbs(ME)})


class StatementPdf(Mine, View):
    def get(self, request) -> HttpResponse:
        return statement_views.pdf_response(statement_of(self.participant, statement_views.chosen_period(request)))


# --- a partner's people -------------------------------------------------------------------------------------------------
def partner_of(user):
    """The organisation this person administers, or None."""
    mine = getattr(user, "participant", None) if Role.PARTNER_ADMIN in user.roles else None
    return mine.partner if mine else None


class TeamPage(Guarded, View):
    """A partner administrator's people with what they earned; nothing of their cards."""

    permission = "me.view"

    def get(self, request) -> HttpResponse:
        partner = partner_of(request.user)
        if partner is None:
            raise Http404
        people = selectors.people_of(partner)
        context = {"partner": partner, "people": people, "crumbs": crumbs(ME)}
        return render(request, "portal/team.html", context)
