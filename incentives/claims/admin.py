"""Claims in the Django admin: to look at; they are decided under /claims/, which checks and records. Proofs have no door here."""

from django.contrib import admin

from incentives.claims.models import Claim
from incentives.core.admin import ReadOnlyAdmin


@admin.register(Claim)
class ClaimAdmin(ReadOnlyAdmin):
    permission = "claims.view"
    list_display = ("reference", "program", "partner", "participant", "status", "invoice_number", "submitted_at")
    list_select_related = ("program", "partner", "participant")
    list_filter = ("status",)
    search_fields = ("invoice_number", "customer", "partner__name")
