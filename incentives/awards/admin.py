"""Awards in the Django admin, to look at."""

from django.contrib import admin

from incentives.awards.models import Award
from incentives.core.admin import ReadOnlyAdmin


@admin.register(Award)
class AwardAdmin(ReadOnlyAdmin):
    permission = "awards.view"
    list_display = ["created_at", "amount", "participant", "program", "status", "given_by"]
    list_filter = ["status", "program"]
    search_fields = ["participant__name", "reason", "public_id"]
    list_select_related = ["participant", "program", "given_by"]
