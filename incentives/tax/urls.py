"""Addresses of the tax pages."""

from django.urls import path

from incentives.tax import award_views, export_views, rule_views, views

app_name = "tax"
urlpatterns = [
    path("reports/tax/", views.OverviewPage.as_view(), name="overview"),
    path("reports/tax/rules/", rule_views.RulesPage.as_view(), name="rules"),
    path("reports/tax/rules/new/", rule_views.EditRulePage.as_view(), name="rule-new"),
    path("reports/tax/rules/<int:pk>/", rule_views.EditRulePage.as_view(), name="rule"),
    path("reports/tax/rules/<int:pk>/remove/", rule_views.RemoveRulePage.as_view(), name="rule-remove"),
    path("reports/tax/awards/", award_views.AwardsPage.as_view(), name="awards"),
    path("reports/tax/awards/new/", award_views.NewAwardPage.as_view(), name="award-new"),
    path("reports/tax/awards/import/", award_views.ImportAwardsPage.as_view(), name="awards-import"),
    path("reports/tax/awards/<uuid:public_id>/cancel/", award_views.CancelAwardPage.as_view(), name="award-cancel"),
    path("reports/tax/exports/", export_views.ExportsPage.as_view(), name="exports"),
    path("reports/tax/exports/1099/", export_views.Make1099Page.as_view(), name="export-1099"),
    path("reports/tax/exports/w2/", export_views.MakeW2Page.as_view(), name="export-w2"),
    path("reports/tax/exports/<uuid:public_id>/", export_views.ExportPage.as_view(), name="export"),
    path("reports/tax/exports/<uuid:public_id>/<slug:kind>/", export_views.FetchPage.as_view(), name="export-fetch"),
    path("reports/tax/<uuid:public_id>/", views.ParticipantPage.as_view(), name="participant"),
    path("reports/tax/<uuid:public_id>/details/", views.EditProfilePage.as_view(), name="profile"),
    path("reports/tax/<uuid:public_id>/release/", views.ReleasePage.as_view(), name="release"),
]
