from django.contrib import admin

from incentives.core.admin import ReadOnlyAdmin
from incentives.earnings.models import Earning, Participation, Scorecard


@admin.register(Participation)
class ParticipationAdmin(ReadOnlyAdmin):
    permission = "programs.view"
    list_display = ["program", "participant", "earned", "scored_at"]
    list_select_related = ["program", "participant"]
    search_fields = ["participant__name"]


@admin.register(Scorecard)
class ScorecardAdmin(ReadOnlyAdmin):
    permission = "programs.view"
    list_display = ["participation", "period_start", "measure", "target", "amount_minor"]
    list_select_related = ["participation__program", "participation__participant"]


@admin.register(Earning)
class EarningAdmin(ReadOnlyAdmin):
    permission = "programs.view"
    list_display = ["posted_at", "participation", "amount", "explanation"]
    list_select_related = ["participation__program", "participation__participant"]
    search_fields = ["participation__participant__name", "explanation"]
