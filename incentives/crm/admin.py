"""Facts in the Django admin: to look at. Connections are changed under /connections/, facts never."""

from django.contrib import admin

from incentives.core.admin import ReadOnlyAdmin
from incentives.crm.models import Activity, Connection, Delivery, ObjectState


class LookOnly(ReadOnlyAdmin):
    permission = "activities.view"
    show_full_result_count = False


@admin.register(Connection)
class ConnectionAdmin(LookOnly):
    permission = "connections.view"
    list_display = ("name", "kind", "status", "last_received_at", "refused_count")
    exclude = ("token_hash",)


@admin.register(Delivery)
class DeliveryAdmin(LookOnly):
    list_display = ("public_id", "connection", "object_id", "status", "code", "received_at")
    list_filter = ("status", "channel")
    list_select_related = ("connection",)
    search_fields = ("external_id", "object_id")


@admin.register(ObjectState)
class ObjectStateAdmin(LookOnly):
    list_display = ("object_type", "object_id", "kind", "participant", "amount", "currency", "occurred_at")
    list_filter = ("kind",)
    list_select_related = ("participant",)
    search_fields = ("object_id",)


@admin.register(Activity)
class ActivityAdmin(LookOnly):
    list_display = ("external_id", "kind", "participant", "occurred_at", "connection")
    list_filter = ("kind",)
    list_select_related = ("participant", "connection")
    search_fields = ("external_id",)
