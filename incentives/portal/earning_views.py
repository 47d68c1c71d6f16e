"""How one line was earned, for the person who earned it: in plain words, and as JSON."""

from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views import View

from incentives.awards.models import Award
from incentives.awards.selectors import own_awards
from incentives.core.pages import crumbs
from incentives.disputes.selectors import about_line
from incentives.earnings.models import Earning
from incentives.payouts.chain import Whole, whole_chain
from incentives.payouts.chain_json import as_json
from incentives.portal.views import ME, Mine


class EarningPage(Mine, View):
    """The address takes any earning of the line; somebody else's does not exist."""

    def get(self, request, public_id):
        whole = self.whole(public_id)
        context = {
            "whole": whole,
            "chain": whole.earned,
            "money": whole.money,
            "award": self.award(whole),
            "disputes": about_line(self.participant, whole.earned.earning),
            "crumbs": crumbs(ME),
        }
        return render(request, "portal/earning.html", context)

    def award(self, whole: Whole) -> Award | None:
        """The award behind the line, with who gave it."""
        record = whole.earned.record
        if record is None or record.object_type != "award":
            return None
        return own_awards(self.participant).filter(record=record.object_id).first()

    def whole(self, public_id) -> Whole:
        own = Earning.objects.filter(participation__participant=self.participant)
        return whole_chain(get_object_or_404(own, public_id=public_id), own=True)


class EarningJson(EarningPage):
    def get(self, request, public_id):
        return JsonResponse(as_json(self.whole(public_id)))
