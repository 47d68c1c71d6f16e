"""Addresses of the ledger pages."""

from django.urls import path

from incentives.ledger import rate_views, views

app_name = "ledger"
urlpatterns = [
    path("budgets/", views.BudgetsPage.as_view(), name="budgets"),
    path("budgets/new/", views.NewBudgetPage.as_view(), name="new"),
    path("budgets/<uuid:public_id>/", views.BudgetPage.as_view(), name="budget"),
    path("budgets/<uuid:public_id>/fund/", views.FundPage.as_view(), name="fund"),
    path("budgets/<uuid:public_id>/withdraw/", views.WithdrawPage.as_view(), name="withdraw"),
    path("reports/rates/", rate_views.RatesPage.as_view(), name="rates"),
    path("reports/rates/new/", rate_views.NewRatePage.as_view(), name="new-rate"),
    path("reports/rates/import/", rate_views.ImportRatesPage.as_view(), name="import-rates"),
    path("reports/rates/<int:pk>/", rate_views.EditRatePage.as_view(), name="rate"),
    path("reports/rates/<int:pk>/remove/", rate_views.RemoveRatePage.as_view(), name="remove-rate"),
]
