"""Addresses of the ledger pages."""

from django.urls import path

from incentives.ledger import deposit_views, rate_views, transfer_views, views

app_name = "ledger"
urlpatterns = [
    path("budgets/", views.BudgetsPage.as_view(), name="budgets"),
    path("budgets/new/", views.NewBudgetPage.as_view(), name="new"),
    path("budgets/transfers/", transfer_views.TransfersPage.as_view(), name="transfers"),
    path("budgets/transfers/<uuid:public_id>/", transfer_views.TransferPage.as_view(), name="transfer"),
    path("budgets/transfers/<uuid:public_id>/approve/", transfer_views.ApprovePage.as_view(), name="approve-transfer"),
    path("budgets/transfers/<uuid:public_id>/decline/", transfer_views.DeclinePage.as_view(), name="decline-transfer"),
    path(
        "budgets/transfers/<uuid:public_id>/withdraw/",
        transfer_views.WithdrawTransferPage.as_view(),
        name="withdraw-transfer",
    ),
    path("budgets/funding-limits/", transfer_views.FundingLimitsPage.as_view(), name="funding-limits"),
    path("budgets/funding-limits/new/", transfer_views.ProposeLimitPage.as_view(), name="funding-limit-new"),
    path(
        "budgets/funding-limits/<int:pk>/confirm/",
        transfer_views.ConfirmLimitPage.as_view(),
        name="funding-limit-confirm",
    ),
    path(
        "budgets/funding-limits/<int:pk>/withdraw/",
        transfer_views.WithdrawLimitPage.as_view(),
        name="funding-limit-withdraw",
    ),
    path("budgets/<uuid:public_id>/thresholds/", transfer_views.ThresholdsPage.as_view(), name="thresholds"),
    path("budgets/<uuid:public_id>/transfer/", transfer_views.ProposePage.as_view(), name="propose-transfer"),
    path("budgets/<uuid:public_id>/place/", transfer_views.PlacePage.as_view(), name="place"),
    path("budgets/<uuid:public_id>/", views.BudgetPage.as_view(), name="budget"),
    path("budgets/<uuid:public_id>/fund/", views.FundPage.as_view(), name="fund"),
    path("budgets/<uuid:public_id>/withdraw/", views.WithdrawPage.as_view(), name="withdraw"),
    path("reports/deposits/", deposit_views.DepositsPage.as_view(), name="deposits"),
    path("reports/deposits/limit/", deposit_views.LowPage.as_view(), name="deposit-low"),
    path("reports/deposits/compare/", deposit_views.ComparePage.as_view(), name="deposit-compare"),
    path("reports/deposits/<uuid:public_id>/reverse/", deposit_views.ReversePage.as_view(), name="deposit-reverse"),
    path("reports/rates/", rate_views.RatesPage.as_view(), name="rates"),
    path("reports/rates/new/", rate_views.NewRatePage.as_view(), name="new-rate"),
    path("reports/rates/import/", rate_views.ImportRatesPage.as_view(), name="import-rates"),
    path("reports/rates/<int:pk>/", rate_views.EditRatePage.as_view(), name="rate"),
    path("reports/rates/<int:pk>/remove/", rate_views.RemoveRatePage.as_view(), name="remove-rate"),
]
