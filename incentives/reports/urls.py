"""Addresses of the reports pages."""

from django.urls import path

from incentives.reports import ageing_views, approvals_views, results_views, statement_views, views

app_name = "reports"
urlpatterns = [
    path("reports/", views.ReportsPage.as_view(), name="list"),
    # statements
    path("reports/statements/", statement_views.StatementsPage.as_view(), name="statements"),
    path("reports/statements/<uuid:public_id>/", statement_views.StatementPage.as_view(), name="statement"),
    path("reports/statements/<uuid:public_id>.pdf", statement_views.StatementPdf.as_view(), name="statement-pdf"),
    # unclaimed rewards
    path("reports/ageing/", ageing_views.AgeingPage.as_view(), name="ageing"),
    path("reports/ageing/remind/", ageing_views.RemindPage.as_view(), name="remind"),
    # approvals
    path("reports/approvals/", approvals_views.ApprovalsPage.as_view(), name="approvals"),
    path("reports/approvals/waiting/", approvals_views.WaitingPage.as_view(), name="approvals-waiting"),
    # program results
    path("reports/results/", results_views.ResultsPage.as_view(), name="results"),
    path("reports/results/<uuid:public_id>/", results_views.ResultPage.as_view(), name="result"),
]
