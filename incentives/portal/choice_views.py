"""A participant chooses which card a reward becomes, and what they always want."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.pages import crumbs
from incentives.payouts import selectors as payouts
from incentives.payouts import services
from incentives.payouts.models import Payout, RewardPreference
from incentives.portal import selectors
from incentives.portal.views import ME, Mine, is_changeable, is_open

LIST = (_("Choose rewards"), "portal:choices")
MANY = 12
"""From more products than this on the page has a search."""


class ChoicesPage(Mine, View):
    """What waits for a choice, what may still be changed, and standing preferences."""

    def get(self, request) -> HttpResponse:
        questions = payouts.questions_of(self.participant)
        context = {
            "open": [one for one in questions if one.open],
            "chosen": [one for one in questions if not one.open],
            "preferences": RewardPreference.objects.filter(participant=self.participant),
            "crumbs": crumbs(ME),
        }
        return render(request, "portal/choices.html", context)


class ChoosePage(Mine, View):
    """One reward: GET shows what it may become, POST chooses. For everybody but its recipient it does not exist."""

    permission = "me.choose"

    def get(self, request, public_id) -> HttpResponse:
        return self.show(self.find(public_id))

    def post(self, request, public_id) -> HttpResponse:
        payout = self.find(public_id)
        product = request.POST.get("product", "")
        if not product:
            return self.show(payout, gettext("Choose one of the cards."), status=400)
        try:
            choice = services.choose_reward(
                payout_id=payout.pk, product_id=product, actor=request.user, always=request.POST.get("always") == "yes"
            )
        except DomainError as exc:
            return self.show(self.find(public_id), exc.user_message, status=exc.status)
        messages.success(request, gettext("You get %(card)s.") % {"card": choice.product_name})
        return redirect("portal:choices")

    def find(self, public_id) -> Payout:
        """A payout that asks, or asked: once it is on its way the page says what was chosen."""
        payout = get_object_or_404(selectors.own_payouts(self.participant), public_id=public_id)
        if getattr(payout, "choice", None) is None:
            raise Http404
        return payout

    def show(self, payout: Payout, problem: str = "", status: int = 200) -> HttpResponse:
        may_choose = is_open(payout) or is_changeable(payout)
        one = next((q for q in payouts.questions_of(self.participant) if q.payout.pk == payout.pk), None)
        options = one.options if one else []
        wanted = self.request.GET.get("q", "").strip()[:100]
        shown = [p for p in options if wanted.lower() in p.name.lower() or p.product_id == payout.choice.product_code]
        context = {
            "payout": payout,
            "choice": payout.choice,
            "may_choose": may_choose and one is not None,
            "options": shown,
            "default": one.default if one else None,
            "picked": self.request.POST.get("product") or payout.choice.product_code,
            "searches": len(options) > MANY,
            "q": wanted,
            "problem": problem,
            "crumbs": crumbs(ME, LIST),
        }
        return render(self.request, "portal/choose.html", context, status=status)


class ForgetPage(Mine, View):
    """Takes a standing preference back: new rewards ask again."""

    permission = "me.choose"
    http_method_names = ["post"]

    def post(self, request) -> HttpResponse:
        if services.forget_preference(actor=request.user, currency=request.POST.get("currency", "")[:3]):
            messages.success(request, gettext("New rewards ask you again."))
        return redirect("portal:choices")
