"""Addresses of the reports pages."""

from django.urls import path

from incentives.reports import (
    accrual_views,
    ageing_views,
    approvals_views,
    comparison_views,
    export_views,
    flow_views,
    journal_views,
    results_views,
    reveal_views,
    statement_views,
    views,
)

app_name = "reports"
urlpatterns = [
    path("reports/", views.ReportsPage.as_view(), name="list"),
    # the books
    path("reports/accrual/", accrual_views.AccrualPage.as_view(), name="accrual"),
    path("reports/accrual/<uuid:public_id>/", accrual_views.AccrualPeoplePage.as_view(), name="accrual-people"),
    path("reports/journal/", journal_views.JournalPage.as_view(), name="journal"),
    path("reports/journal/accounts/", journal_views.AccountsPage.as_view(), name="journal-accounts"),
    path("reports/journal/accounts/new/", journal_views.AccountNewPage.as_view(), name="journal-account-new"),
    path("reports/journal/accounts/proposal/", journal_views.ProposalPage.as_view(), name="journal-proposal"),
    path("reports/journal/accounts/<int:pk>/", journal_views.AccountPage.as_view(), name="journal-account"),
    path(
        "reports/journal/accounts/<int:pk>/remove/",
        journal_views.AccountRemovePage.as_view(),
        name="journal-account-remove",
    ),
    path("reports/journal/final/", journal_views.FinalsPage.as_view(), name="journal-exports"),
    path("reports/journal/final/new/", journal_views.MakePage.as_view(), name="journal-make"),
    path("reports/journal/final/<uuid:public_id>/", journal_views.FinalPage.as_view(), name="journal-export"),
    path("reports/journal/final/<uuid:public_id>/<str:kind>/", journal_views.FetchPage.as_view(), name="journal-fetch"),
    # reconciliation
    path("reports/reconciliation/", flow_views.ReconciliationPage.as_view(), name="reconciliation"),
    path("reports/reconciliation/costs/", flow_views.CostsPage.as_view(), name="reconciliation-costs"),
    path("reports/reconciliation/<uuid:public_id>/<str:day>/", flow_views.DayPage.as_view(), name="reconciliation-day"),
    path("reports/comparisons/", comparison_views.ComparisonsPage.as_view(), name="comparisons"),
    path("reports/comparisons/now/", comparison_views.CompareNowPage.as_view(), name="compare-now"),
    path("reports/comparisons/<uuid:public_id>/", comparison_views.ComparisonPage.as_view(), name="comparison"),
    path("reports/differences/<uuid:public_id>/", comparison_views.DifferencePage.as_view(), name="difference"),
    path("reports/differences/<uuid:public_id>/explain/", comparison_views.ExplainPage.as_view(), name="explain"),
    path("reports/reveals/", reveal_views.RevealsPage.as_view(), name="reveals"),
    # everything
    path("reports/export/", export_views.ExportsPage.as_view(), name="export"),
    path("reports/export/new/", export_views.RequestPage.as_view(), name="export-new"),
    path("reports/export/<uuid:public_id>/", export_views.ExportPage.as_view(), name="export-one"),
    path("reports/export/<uuid:public_id>/file/", export_views.FetchPage.as_view(), name="export-fetch"),
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
