"""What every page shares: who may open it, one thing in detail, and an action that asks first."""

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.views import View
from django_htmx.http import HttpResponseClientRedirect

from incentives.core.errors import DomainError


class Guarded:
    """Mixin of a View: signed-out people go to the sign-in page, those without `permission` get 404.

    `permission` is one name of permissions.GRANTS or a tuple of which any suffices; None lets in everybody signed in.
    """

    permission: str | tuple[str, ...] | None = None

    def dispatch(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return _to_sign_in(request)
        if not self.allowed(request.user):
            raise Http404
        response = super().dispatch(request, *args, **kwargs)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-cache"  # a page of money is never shown from a shared cache
        patch_vary_headers(response, ["HX-Request"])
        return response

    def allowed(self, user) -> bool:
        names = (self.permission,) if isinstance(self.permission, str) else self.permission
        return names is None or any(user.can(name) for name in names)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """htmx would put the sign-in page into the part it refreshes, so it is told to leave the page instead."""
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(redirect_to_login(request.path).url)
    return redirect_to_login(request.get_full_path())


class DetailPage(Guarded, View):
    """One object out of those the person may see; everything else is 404.

    `model.objects.visible_to(user)` decides unless `get_queryset` is overridden. Found by the address's keyword arguments,
    for example `<uuid:public_id>`. The template gets `object`, `crumbs` and what `get_context` adds.
    """

    model = None
    template_name = ""
    parent: tuple | None = None
    """(label, url name) of the list this belongs to."""

    def get_queryset(self):
        return self.model.objects.visible_to(self.request.user)

    def get_object(self):
        return get_object_or_404(self.get_queryset(), **self.kwargs)

    def get_context(self, thing) -> dict:
        return {}

    def get(self, request, *args, **kwargs):
        thing = self.get_object()
        context = {"object": thing, "crumbs": crumbs(self.parent), **self.get_context(thing)}
        return render(request, self.template_name, context)


class ActionPage(DetailPage):
    """GET asks, POST does: the page behind components/confirm.html, and a dialog's form posts to it.

    `perform(thing, data)` calls a service and returns the message to show. A DomainError is shown on the form, with its
    status, and nothing was done. `form_class` may ask for a reason or more; `get_form_kwargs` feeds it.
    """

    template_name = "confirm.html"
    form_class = None
    title = text = submit = ""
    danger = False

    def get_object(self):
        return super().get_object() if self.model or self.kwargs else None

    def get_form_kwargs(self, thing) -> dict:
        return {}

    def perform(self, thing, data: dict) -> str:
        raise NotImplementedError

    def success_url(self, thing) -> str:
        return thing.get_absolute_url()

    def cancel_url(self, thing) -> str:
        return self.success_url(thing)

    def get(self, request, *args, **kwargs):
        thing = self.get_object()
        return self.ask(thing, self.make_form(thing))

    def post(self, request, *args, **kwargs):
        thing = self.get_object()
        form = self.make_form(thing, request.POST, request.FILES)
        if form is not None and not form.is_valid():
            return self.ask(thing, form, status=400)
        try:
            message = self.perform(thing, form.cleaned_data if form else {})
        except DomainError as exc:
            return self.refuse(thing, form, exc)
        if message:
            messages.success(request, message)
        return redirect(self.success_url(thing))

    def make_form(self, thing, *data):
        return self.form_class(*data, **self.get_form_kwargs(thing)) if self.form_class else None

    def refuse(self, thing, form, exc: DomainError):
        if form is not None:
            form.add_error(None, exc.user_message)
            return self.ask(thing, form, status=exc.status)
        messages.error(self.request, exc.user_message)
        return redirect(self.cancel_url(thing))

    def ask(self, thing, form, status: int = 200):
        context = {
            "object": thing,
            "form": form,
            "title": self.title,
            "text": self.text,
            "submit": self.submit or self.title,
            "danger": self.danger,
            "crumbs": crumbs(self.parent),
            "cancel_url": self.cancel_url(thing),
            **self.get_context(thing),
        }
        return render(self.request, self.template_name, context, status=status)


def crumbs(*parents) -> list[tuple]:
    """Pairs (label, address) from pairs (label, url name or address)."""
    from django.shortcuts import resolve_url

    return [(label, resolve_url(to)) for label, to in filter(None, parents)]
