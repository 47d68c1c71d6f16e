"""Participants in the Django admin: a door to the same services; nothing is removed here."""

from django.contrib import admin

from incentives.core.admin import ReadOnlyAdmin
from incentives.participants.models import Participant, Partner, Team


class LookOnly(ReadOnlyAdmin):
    """Changed under /participants/, which checks and records every change."""

    permission = "participants.view"


@admin.register(Team)
class TeamAdmin(LookOnly):
    list_display = ("name", "code", "region", "manager", "active")
    list_select_related = ("manager",)
    search_fields = ("name", "code")


@admin.register(Partner)
class PartnerAdmin(LookOnly):
    list_display = ("name", "code", "tier", "region", "country", "active")
    search_fields = ("name", "code")


@admin.register(Participant)
class ParticipantAdmin(LookOnly):
    list_display = ("name", "external_user_id", "type", "team", "partner", "active")
    list_select_related = ("team", "partner")
    list_filter = ("type", "active")
    search_fields = ("name", "email", "external_user_id")
