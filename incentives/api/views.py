"""Pages about the API: one's own tokens, those of everybody for administrators, and the documentation."""

import django_filters
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.accounts.models import User
from incentives.api import tokens
from incentives.api.app import refused_method
from incentives.api.documents import openapi
from incentives.api.forms import TokenForm
from incentives.api.models import ApiToken
from incentives.api.reading import Chapters
from incentives.api.scopes import SCOPES
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage, Tab
from incentives.core.models import AuditEvent
from incentives.core.pages import crumbs
from incentives.core.templatetags.laurel import words

OWN = (_("My API tokens"), "api:own-tokens")
ALL = (_("API tokens"), "api:tokens")
KINDS = {"person": _("Person"), "machine": _("Machine")}
LIVE = (
    Tab("active", _("Active"), lambda _user: Q(revoked_at__isnull=True, expires_at__gt=timezone.now())),
    Tab("ended", _("Ended"), lambda _user: Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now())),
)


def scopes_text(token: ApiToken) -> str:
    return ", ".join(token.scopes)


COLUMNS = (
    Column("scopes", _("May"), scopes_text),
    Column("state", _("State"), "status", kind="status", words=ApiToken.STATES),
    Column("last_used_at", _("Last used"), kind="time", sort="last_used_at"),
    Column("expires_at", _("Ends"), kind="time", sort="expires_at"),
    Column("created_at", _("Made"), kind="time", sort="created_at"),
)


# --- one's own ----------------------------------------------------------------------------------------------------------
def revoke_own(token: ApiToken) -> str:
    return reverse("api:own-token-revoke", args=[token.public_id]) if token.revoked_at is None else ""


class OwnTokensPage(ListPage):
    permission = None
    title = _("My API tokens")
    lead = _("Programs that use the API with one of them act as you, as far as its scopes allow.")
    search = ("name",)
    search_hint = _("Name")
    tabs = LIVE
    actions = (
        Link(_("Documentation"), "api:docs", icon="file"),
        Link(_("New token"), "api:own-token-new", icon="plus", primary=True),
    )
    columns = (Column("name", _("Name"), sort="name"), *COLUMNS,
               Column("revoke", "", lambda token: gettext("Revoke") if revoke_own(token) else "", link=revoke_own))  # fmt: skip
    empty_icon, empty_title = "connections", _("No token")
    empty_text = _("Make one for a script or a system that reads or prepares things for you.")

    def get_queryset(self):
        return ApiToken.objects.filter(user=self.request.user).select_related("user", "connection")

    def get_context(self) -> dict:
        return {"crumbs": crumbs((_("Profile"), "accounts:profile"))}


class TokenAction(ActionPage):
    """`made` is shown once, instead of a redirect."""

    made: tokens.Made | None = None

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        return response if self.made is None else _show_once(request, self.made, self.success_url(self.made.token))


def _show_once(request: HttpRequest, made: tokens.Made, back: str) -> HttpResponse:
    context = {
        "token": made.token,
        "secret": made.secret,
        "back": back,
        "base_url": request.build_absolute_uri("/")[:-1],
    }
    response = render(request, "api/token_made.html", context)
    response["Cache-Control"] = "no-store"
    return response


class NewOwnTokenPage(TokenAction):
    permission = None
    form_class = TokenForm
    title, submit = _("New token"), _("Make the token")
    parent = OWN

    def get_form_kwargs(self, thing) -> dict:
        return {"user": self.request.user}

    def perform(self, thing, data: dict) -> str:
        user = self.request.user
        data.setdefault("connection", None)
        self.made = tokens.create_token(actor=user, user=user, **data)
        return ""

    def success_url(self, thing) -> str:
        return reverse("api:own-tokens")


class RevokeOwnTokenPage(ActionPage):
    permission = None
    parent = OWN
    model = ApiToken
    title, submit, danger = _("Revoke this token?"), _("Revoke"), True
    text = _("Whatever uses it is refused from its next request on. This cannot be taken back.")

    def get_queryset(self):
        return ApiToken.objects.filter(user=self.request.user)

    def perform(self, thing, data: dict) -> str:
        tokens.revoke_token(token=thing, actor=self.request.user)
        return gettext("Revoked. The token opens nothing any more.")

    def success_url(self, thing) -> str:
        return reverse("api:own-tokens")


# --- all, for administrators --------------------------------------------------------------------------------------------
class TokenFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(label=_("Acts as"), choices=list(KINDS.items()), method="by_kind")
    scope = django_filters.ChoiceFilter(
        label=_("May"), choices=[(n, s.label) for n, s in SCOPES.items()], method="by_scope"
    )
    user = django_filters.ModelChoiceFilter(
        label=_("User"), queryset=lambda request: User.objects.filter(api_tokens__isnull=False).distinct().order_by("name"),
        to_field_name="public_id",
    )  # fmt: skip

    class Meta:
        model = ApiToken
        fields: list[str] = []

    def by_kind(self, rows, name, value):
        return rows.filter(user__is_service=value == "machine")

    def by_scope(self, rows, name, value):
        found = [
            pk for pk, scopes in rows.values_list("pk", "scopes") if value in scopes
        ]  # no JSON lookup does both databases
        return rows.filter(pk__in=found)


class TokensPage(ListPage):
    permission = "tokens.edit"
    title = _("API tokens")
    lead = _("Everything that may use the API, people's and machines'.")
    search = ("name", "user__name", "user__email")
    search_hint = _("Name or user")
    filterset_class = TokenFilters
    tabs = (*LIVE, Tab("all", _("All")))
    export_name = "api tokens"
    actions = (
        Link(_("Documentation"), "api:docs", icon="file"),
        Link(_("New machine"), "api:token-new", "tokens.edit", "plus", primary=True),
    )
    columns = (
        Column("name", _("Name"), sort="name", link=True),
        Column("kind", _("Acts as"), lambda token: KINDS[token.kind], note=lambda token: str(token.user)),
        Column("user", _("User"), screen=False),
        *COLUMNS,
        Column("connection", _("Connection"), "connection.name", screen=False),
        Column("created_by", _("Made by"), sort="created_by__name"),
    )
    empty_icon, empty_title = "connections", _("No token")
    empty_text = _("Make one for a machine here; people make their own under their profile.")

    def get_queryset(self):
        return ApiToken.objects.select_related("user", "connection", "created_by")


class TokenPage(DetailPage):
    permission = "tokens.edit"
    template_name = "api/token.html"
    parent = ALL

    def get_queryset(self):
        return ApiToken.objects.select_related("user", "connection", "created_by", "revoked_by")

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.filter(target_type="api.apitoken", target_id=str(thing.public_id)).order_by("-pk")[
            :20
        ]
        return {
            "state_label": ApiToken.STATES[thing.status],
            "kind_label": KINDS[thing.kind],
            "scopes": [(name, SCOPES[name].label) for name in thing.scopes if name in SCOPES],
            "events": [{"title": words(e.action), "at": e.at, "by": e.actor_name} for e in events],
        }


class NewMachinePage(TokenAction):
    permission = "tokens.edit"
    form_class = TokenForm
    title, submit = _("New machine"), _("Make the machine and its token")
    text = _("A machine reads and prepares. It never publishes or approves, and you answer for what it makes: you cannot approve that either.")  # fmt: skip
    parent = ALL

    def get_form_kwargs(self, thing) -> dict:
        return {"user": User(is_service=True)}

    def perform(self, thing, data: dict) -> str:
        self.made = tokens.create_machine_token(actor=self.request.user, **data)
        return ""

    def success_url(self, thing) -> str:
        return thing.get_absolute_url() if thing else reverse("api:tokens")


class RevokeTokenPage(RevokeOwnTokenPage):
    permission = "tokens.edit"
    parent = ALL

    def get_queryset(self):
        return ApiToken.objects.all()

    def success_url(self, thing) -> str:
        return thing.get_absolute_url()


class RenewTokenPage(TokenAction):
    """A second token for the same machine, so that it can be changed over before the first one is revoked."""

    permission = "tokens.edit"
    parent = ALL
    model = ApiToken
    form_class = TokenForm
    title, submit = _("Another token for this machine"), _("Make the token")
    text = _("The present one keeps working until it ends or you revoke it.")

    def get_queryset(self):
        return ApiToken.objects.filter(user__is_service=True).select_related("user", "connection")

    def get_form_kwargs(self, thing) -> dict:
        initial = {
            "name": thing.name,
            "scopes": thing.scopes,
            "connection": thing.connection and thing.connection.public_id,
        }
        return {"user": thing.user, "initial": initial}

    def perform(self, thing, data: dict) -> str:
        self.made = tokens.create_token(actor=self.request.user, user=thing.user, **data)
        return ""

    def success_url(self, thing) -> str:
        return thing.get_absolute_url()


# --- documentation ------------------------------------------------------------------------------------------------------
def openapi_document(request: HttpRequest) -> HttpResponse:
    """`/api/v1/openapi.json`: the same for everybody; says nothing of the data."""
    if request.method not in {"GET", "HEAD"}:
        return refused_method("GET, HEAD")
    response = JsonResponse(openapi())
    response["Cache-Control"] = "public, max-age=300"
    return response


class DocsPage(Guarded, View):
    """The document as a page, rendered here: no script, nothing from elsewhere."""

    permission = None

    def get(self, request: HttpRequest) -> HttpResponse:
        context = {"chapters": Chapters(openapi()), "scopes": list(SCOPES.items())}
        return render(request, "api/docs.html", context)
