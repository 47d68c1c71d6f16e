"""Everybody's own choices, and the page behind the link in a mail."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from incentives.core.errors import DomainError
from incentives.core.pages import Guarded, crumbs
from incentives.notifications import preferences, unsubscribe
from incentives.notifications.forms import OwnForm
from incentives.notifications.models import Recipient

PROFILE = (_("Profile"), "accounts:profile")


class OwnPage(Guarded, View):
    """What one hears of, how often, and when not."""

    def form(self, *data) -> OwnForm:
        user = self.request.user
        kinds = preferences.kinds_of(user)
        own = Recipient.objects.filter(user=user).first()
        initial = {f"mode-{name}": mode for name, mode in preferences.modes_of(own, kinds).items()}
        if own:
            initial |= {"quiet_from": own.quiet_from, "quiet_until": own.quiet_until}
        return OwnForm(*data, kinds=kinds, initial=initial)

    def get(self, request) -> HttpResponse:
        return self.show(self.form())

    def post(self, request) -> HttpResponse:
        form = self.form(request.POST)
        if not form.is_valid():
            return self.show(form, status=400)
        try:
            preferences.choose(actor=request.user, modes=form.modes(), quiet=form.quiet())
        except DomainError as exc:
            form.add_error(None, exc.user_message)
            return self.show(form, status=exc.status)
        messages.success(request, gettext("Your choices are saved."))
        return redirect("notifications:mine")

    def show(self, form: OwnForm, status: int = 200) -> HttpResponse:
        context = {"form": form, "crumbs": crumbs(PROFILE), "cancel_url": reverse("accounts:profile")}
        return render(self.request, "notifications/mine.html", context, status=status)


@csrf_exempt  # RFC 8058: a mail program posts without a session; the signed token is all that this needs
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what would end and asks; only POST ends it, because scanners of mail follow every link."""
    found = unsubscribe.read(token)
    if found is None:
        raise Http404
    recipient, kinds = found
    done = request.method == "POST"
    if done:
        unsubscribe.stop(recipient, kinds)
    context = {"kinds": kinds, "done": done, "account": recipient.user_id is not None}
    response = render(request, "notifications/unsubscribe.html", context)
    response["Referrer-Policy"] = "no-referrer"
    return response
