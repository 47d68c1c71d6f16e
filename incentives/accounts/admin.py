"""People in the Django admin: to look at. Roles and access are changed under /people/, which records every change."""

from django.contrib import admin

from incentives.accounts.models import User
from incentives.accounts.selectors import role_names


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ("email", "name", "is_active", "role_list", "last_login")
    list_filter = ("is_active", "role_set__role")
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "role_list", "time_zone", "language", "last_login", "created_at")
    readonly_fields = fields

    @admin.display(description="roles")
    def role_list(self, user) -> str:
        return role_names(user)

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("role_set")

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
