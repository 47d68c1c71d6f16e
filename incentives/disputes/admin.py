"""Disputes in the Django admin, to look at."""

from django.contrib import admin

from incentives.core.admin import ReadOnlyAdmin
from incentives.disputes.models import Dispute


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    permission = "disputes.view"
    list_display = ["opened_at", "subject", "participant", "status", "assigned_to"]
    list_filter = ["status", "about"]
    search_fields = ["subject", "participant__name", "public_id"]
    list_select_related = ["participant", "assigned_to"]
