"""The page that explains one earning line to staff, and the same as JSON."""

from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.pages import Guarded, crumbs
from incentives.earnings.models import Earning
from incentives.payouts.chain import Whole, whole_chain
from incentives.payouts.chain_json import as_json


class LinePage(Guarded, View):
    """Everything behind one line: the address takes any earning posted under it."""

    permission = "programs.view"

    def get(self, request, public_id):
        whole = self.whole(public_id)
        return render(request, "payouts/line.html", {"whole": whole, "chain": whole.earned, "money": whole.money,
                                                     "crumbs": self.crumbs(whole)})  # fmt: skip

    def whole(self, public_id) -> Whole:
        earning = get_object_or_404(Earning, public_id=public_id)
        return whole_chain(earning, money=self.request.user.can("payouts.view"))

    def crumbs(self, whole: Whole) -> list[tuple]:
        program, person = whole.earned.program, whole.earned.participant
        return crumbs(
            (_("Programs"), "programs:list"),
            (program.name, program.get_absolute_url()),
            (person.name, reverse("earnings:participation", args=[program.public_id, person.public_id])),
        )


class LineJson(LinePage):
    def get(self, request, public_id):
        return JsonResponse(as_json(self.whole(public_id)))
