"""People in the Django admin: to look at. Roles and access are changed under /people/, which records every change.

The admin has no sign-in and no password page of its own: those of everybody limit attempts and record what changes. Groups and
allauth's e-mail addresses are no part of it: nothing here is granted to groups, and whose address it is decides who signs in.
"""

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse

from incentives.accounts.models import User
from incentives.accounts.selectors import role_names
from incentives.core.admin import ReadOnlyAdmin


def sign_in(request, extra_context=None):
    """Who is signed in and still asked has no business here: 404."""
    if admin.site.has_permission(request):
        return redirect("admin:index")
    if request.user.is_authenticated:
        raise Http404
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


def change_password(request, extra_context=None):
    return redirect("account_change_password")


admin.site.login, admin.site.password_change = sign_in, change_password
admin.site.unregister([Group, EmailAddress])


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    permission = "users.edit"
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
