"""A participant reads the terms of their programs and accepts them."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core.errors import DomainError
from incentives.core.pages import crumbs
from incentives.portal.views import ME, Mine
from incentives.programs import terms
from incentives.programs.models import TermsAcceptance

LIST = (_("Terms"), "portal:terms")


class TermsPage(Mine, View):
    """What waits to be accepted, and what was accepted when."""

    def get(self, request) -> HttpResponse:
        mine = terms.of_participant(self.participant)
        accepted = TermsAcceptance.objects.filter(participant=self.participant)
        context = {
            "open": [item for item in mine if item.is_open],
            "accepted": accepted.select_related("terms__program").order_by("-pk"),
            "crumbs": crumbs(ME),
        }
        return render(request, "portal/terms.html", context)


class TermsTextPage(Mine, View):
    """One text: GET reads it, POST accepts it. Of a program somebody is not asked about it does not exist."""

    def get(self, request, public_id) -> HttpResponse:
        return self.show(*self.find(public_id))

    def post(self, request, public_id) -> HttpResponse:
        text, acceptance, _current = self.find(public_id)
        if acceptance is not None:
            return redirect("portal:terms")
        if request.POST.get("agree") != "yes":
            problem = gettext("Tick the box to accept.")
            return self.show(text, None, True, problem, status=400)
        try:
            terms.accept(
                terms=text,
                user=request.user,
                seen_digest=request.POST.get("seen", ""),
                ip_address=request.META.get("REMOTE_ADDR"),
            )
        except DomainError as exc:
            messages.error(request, exc.user_message)
            return redirect("portal:terms")
        messages.success(request, gettext("Thank you. You have accepted “%(title)s”.") % {"title": text.title})
        return redirect("portal:terms")

    def find(self, public_id):
        """(text, this person's acceptance of it, whether it can be accepted): the newest, or one accepted before."""
        for item in terms.of_participant(self.participant):
            if item.terms.public_id == public_id:
                own = TermsAcceptance.objects.filter(participant=self.participant, terms=item.terms).first()
                return item.terms, own, own is None
        old = TermsAcceptance.objects.filter(participant=self.participant, terms__public_id=public_id)
        acceptance = old.select_related("terms__program").first()
        if acceptance is None:
            raise Http404
        return acceptance.terms, acceptance, False

    def show(self, text, acceptance, may_accept, problem="", status=200) -> HttpResponse:
        context = {
            "text": text,
            "acceptance": acceptance,
            "may_accept": may_accept,
            "problem": problem,
            "crumbs": crumbs(ME, LIST),
        }
        return render(self.request, "portal/terms_text.html", context, status=status)
