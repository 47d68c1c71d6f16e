from django.contrib import admin

from incentives.core.admin import ReadOnlyAdmin
from incentives.programs.models import Program, ProgramVersion, Target


@admin.register(Program)
class ProgramAdmin(ReadOnlyAdmin):
    permission = "programs.view"
    list_display = ["name", "template", "status", "starts_on", "ends_on", "budget"]
    list_filter = ["status", "template"]
    search_fields = ["name"]
    list_select_related = ["budget"]


@admin.register(ProgramVersion)
class ProgramVersionAdmin(ReadOnlyAdmin):
    permission = "programs.view"
    list_display = ["program", "number", "created_by", "published_at", "published_by"]
    list_select_related = ["program", "created_by", "published_by"]


@admin.register(Target)
class TargetAdmin(ReadOnlyAdmin):
    permission = "programs.view"
    list_display = ["program", "participant", "period_start", "value"]
    list_select_related = ["program", "participant"]
