"""The Django admin is a door like any other: it shows, and changes only through services."""

from django.contrib import admin

from incentives.core.models import AuditEvent, Heartbeat


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows to whoever holds `permission`; adds, edits and removes nothing. Superuser status grants nothing."""

    permission = ""

    def has_module_permission(self, request):
        return self.has_view_permission(request)

    def has_view_permission(self, request, obj=None):
        return request.user.is_active and request.user.can(self.permission)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    permission = "audit.view"
    list_display = ["at", "action", "actor_name", "target_label", "reason"]
    list_filter = ["action"]
    search_fields = ["actor_name", "target_label", "target_id"]
    list_select_related = ["actor"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    permission = "audit.view"
    list_display = ["name", "at"]
