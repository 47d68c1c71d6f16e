"""Addresses of the ledger pages."""

from django.urls import path

from incentives.ledger import views

app_name = "ledger"
urlpatterns = [
    path("budgets/", views.BudgetsPage.as_view(), name="budgets"),
    path("budgets/new/", views.NewBudgetPage.as_view(), name="new"),
    path("budgets/<uuid:public_id>/", views.BudgetPage.as_view(), name="budget"),
    path("budgets/<uuid:public_id>/fund/", views.FundPage.as_view(), name="fund"),
    path("budgets/<uuid:public_id>/withdraw/", views.WithdrawPage.as_view(), name="withdraw"),
]
