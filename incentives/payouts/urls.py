"""Addresses of payouts and orders."""

from django.urls import path

from incentives.payouts import (
    bulk_views,
    hold_views,
    month_views,
    order_views,
    policy_views,
    recovery_views,
    rule_views,
    schedule_views,
    views,
)

app_name = "payouts"
_ONE = "payouts/<uuid:public_id>/"
_RECOVERY = "payouts/recovery/<uuid:public_id>/"
_WRITE_OFF = "payouts/write-offs/<uuid:public_id>/"
_ORDER = "orders/<uuid:public_id>/"
urlpatterns = [
    path("payouts/", views.PayoutsPage.as_view(), name="list"),
    path("payouts/build/", bulk_views.BuildPage.as_view(), name="build"),
    path("payouts/decide/", bulk_views.DecidePage.as_view(), name="decide"),
    path("payouts/decide/confirm/", bulk_views.DecideConfirmPage.as_view(), name="decide-confirm"),
    path("payouts/policies/", policy_views.PoliciesPage.as_view(), name="policies"),
    path("payouts/policies/new/", policy_views.EditPolicyPage.as_view(), name="policy-new"),
    path("payouts/policies/<int:pk>/", policy_views.EditPolicyPage.as_view(), name="policy"),
    path("payouts/policies/<int:pk>/confirm/", policy_views.ConfirmPolicyPage.as_view(), name="policy-confirm"),
    path("payouts/holds/", hold_views.HoldsPage.as_view(), name="holds"),
    path("payouts/holds/lift/", hold_views.LiftManyPage.as_view(), name="holds-lift"),
    path("payouts/holds/<int:pk>/", hold_views.EvidencePage.as_view(), name="hold-evidence"),
    path("payouts/limits/", rule_views.RulesPage.as_view(), name="rules"),
    path("payouts/limits/new/", rule_views.EditRulePage.as_view(), name="rule-new"),
    path("payouts/limits/<int:pk>/", rule_views.EditRulePage.as_view(), name="rule"),
    path("payouts/limits/<int:pk>/confirm/", rule_views.ConfirmRulePage.as_view(), name="rule-confirm"),
    path("payouts/deputies/", rule_views.DelegationsPage.as_view(), name="delegations"),
    path("payouts/deputies/new/", rule_views.DelegatePage.as_view(), name="delegate"),
    path("payouts/deputies/mails/", rule_views.MailModePage.as_view(), name="mail-mode"),
    path("payouts/deputies/<int:pk>/revoke/", rule_views.RevokePage.as_view(), name="revoke"),
    path("payouts/schedule/", schedule_views.SchedulePage.as_view(), name="schedule"),
    path("payouts/recovery/", recovery_views.RecoveryPage.as_view(), name="recovery"),
    path(_RECOVERY, recovery_views.RecoveryOnePage.as_view(), name="recovery-one"),
    path(f"{_RECOVERY}instalments/", recovery_views.InstalmentsPage.as_view(), name="instalments"),
    path(f"{_RECOVERY}write-off/", recovery_views.ProposeWriteOffPage.as_view(), name="write-off-propose"),
    path("payouts/write-offs/", recovery_views.WriteOffsPage.as_view(), name="write-offs"),
    path(_WRITE_OFF, recovery_views.WriteOffPage.as_view(), name="write-off"),
    path(f"{_WRITE_OFF}approve/", recovery_views.ApproveWriteOffPage.as_view(), name="write-off-approve"),
    path(f"{_WRITE_OFF}decline/", recovery_views.DeclineWriteOffPage.as_view(), name="write-off-decline"),
    path(f"{_WRITE_OFF}withdraw/", recovery_views.WithdrawWriteOffPage.as_view(), name="write-off-withdraw"),
    path(_ONE, views.PayoutPage.as_view(), name="detail"),
    path(f"{_ONE}approve/", views.ApprovePage.as_view(), name="approve"),
    path(f"{_ONE}reject/", views.RejectPage.as_view(), name="reject"),
    path(f"{_ONE}cancel/", views.CancelPage.as_view(), name="cancel"),
    path(f"{_ONE}hold/", views.HoldPage.as_view(), name="hold"),
    path(f"{_ONE}holds/<int:hold>/lift/", views.LiftPage.as_view(), name="lift"),
    path("reports/months/", month_views.MonthsPage.as_view(), name="months"),
    path("reports/months/<str:month>/", month_views.MonthPage.as_view(), name="month"),
    path("reports/months/<str:month>/close/", month_views.CloseMonthPage.as_view(), name="month-close"),
    path("reports/months/<str:month>/reopen/", month_views.ReopenMonthPage.as_view(), name="month-reopen"),
    path("orders/", order_views.OrdersPage.as_view(), name="orders"),
    path("orders/catalogue/", order_views.CataloguePage.as_view(), name="catalogue"),
    path("orders/catalogue/refresh/", order_views.RefreshPage.as_view(), name="catalogue-refresh"),
    path("orders/resume/", order_views.ResumePage.as_view(), name="resume"),
    path("orders/open/", order_views.OpenPage.as_view(), name="open-channel"),
    path("orders/stop/", order_views.StopPage.as_view(), name="stop"),
    path("orders/restart/", order_views.RestartPage.as_view(), name="restart"),
    path(_ORDER, order_views.OrderPage.as_view(), name="order"),
    path(f"{_ORDER}review/", order_views.AskReviewPage.as_view(), name="review"),
    path(f"{_ORDER}resolve/", order_views.ResolvePage.as_view(), name="resolve"),
    path(f"{_ORDER}confirm/", order_views.ConfirmDecisionPage.as_view(), name="confirm-decision"),
    path(f"{_ORDER}withdraw/", order_views.WithdrawDecisionPage.as_view(), name="withdraw-decision"),
]
