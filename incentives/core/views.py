"""The audit trail, the first page until a role has its own, and the style guide."""

import django_filters
from django.conf import settings
from django.http import Http404
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.core import styleguide
from incentives.core.listing import Column, DetailPage, ListPage, Since, Until
from incentives.core.models import AuditEvent
from incentives.core.templatetags.laurel import EMPTY


def actions() -> list[tuple[str, str]]:
    names = AuditEvent.objects.order_by("action").values_list("action", flat=True).distinct()
    return [(name, name) for name in names]


class AuditFilters(django_filters.FilterSet):
    action = django_filters.MultipleChoiceFilter(label=_("Action"), choices=actions)
    actor = django_filters.CharFilter(field_name="actor_name", lookup_expr="icontains", label=_("Who"))
    target = django_filters.CharFilter(field_name="target_label", lookup_expr="icontains", label=_("What"))
    target_id = django_filters.CharFilter(label=_("Id of what"))
    since = Since(field_name="at", label=_("From"))
    until = Until(field_name="at", label=_("To"))

    class Meta:
        model = AuditEvent
        fields: list[str] = []


def event_url(event) -> str:
    return reverse("core:audit-event", args=[event.pk])


def seal(event) -> str:
    return "sealed" if event.seq else "pending"


class AuditPage(ListPage):
    permission = "audit.view"
    title = _("Audit trail")
    lead = _(
        "Every change, who made it and when. Rows are only ever added; sealed rows are chained, so that an edit shows."
    )
    search = ("action", "actor_name", "target_label", "reason")
    search_hint = _("Action, who, what or reason")
    filterset_class = AuditFilters
    export_name = "audit"
    empty_icon, empty_title = "audit", _("Nothing was recorded yet")
    columns = (
        Column("action", _("Action"), link=event_url, sort="action"),
        Column("what", _("What"), "target_label", sort="target_label"),
        Column("type", _("Kind"), "target_type", screen=False),
        Column("id", _("Id"), "target_id", screen=False),
        Column("actor", _("Who"), "actor_name", sort="actor_name"),
        Column("at", _("When"), kind="time", sort="at", phone="value"),
        Column("reason", _("Reason")),
        Column("seq", _("Number"), kind="number", sort="seq"),
        Column("request", _("Request"), "request_id", screen=False),
    )

    def get_queryset(self):
        return AuditEvent.objects.all()


class AuditEventPage(DetailPage):
    permission = "audit.view"
    template_name = "core/audit_event.html"
    parent = (_("Audit trail"), "core:audit")

    def get_queryset(self):
        return AuditEvent.objects.all()

    def get_context(self, thing) -> dict:
        about = f"{reverse('core:audit')}?target_id={thing.target_id}"
        return {"event": thing, "changes": changes(thing.before, thing.after), "about_url": about}


def changes(before: dict, after: dict) -> list[dict]:
    """One row per key: what it was and what it became."""
    rows = [{"name": name, "before": _word(before, name), "after": _word(after, name)} for name in {**before, **after}]
    return [row | {"changed": row["before"] != row["after"]} for row in rows]


def _word(values: dict, name: str) -> str:
    value = values.get(name)
    if value is None or value == "":
        return EMPTY
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


class StyleGuidePage(View):
    """All components in all states, for who builds pages: with DEBUG, and for administrators."""

    def dispatch(self, request, *args, **kwargs):
        allowed = settings.DEBUG or (request.user.is_authenticated and request.user.can("users.edit"))
        if not allowed:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get(self, request):
        return render(request, "core/styleguide.html", styleguide.samples())

    def post(self, request):
        return render(request, "core/styleguide.html", styleguide.samples(request.POST), status=400)
