"""Addresses of the claims pages: the reviewers' under /claims/, the partners' under /me/claims/."""

from django.urls import path

from incentives.claims import my_views, views

app_name = "claims"
_ONE, _MINE = "claims/<uuid:public_id>/", "me/claims/<uuid:public_id>/"
urlpatterns = [
    path("claims/", views.ClaimsPage.as_view(), name="list"),
    path("claims/proofs/<uuid:public_id>/", views.ProofPage.as_view(), name="proof"),
    path(_ONE, views.ClaimPage.as_view(), name="detail"),
    path(f"{_ONE}take/", views.TakePage.as_view(), name="take"),
    path(f"{_ONE}release/", views.ReleasePage.as_view(), name="release"),
    path(f"{_ONE}approve/", views.ApprovePage.as_view(), name="approve"),
    path(f"{_ONE}return/", views.ReturnPage.as_view(), name="return"),
    path(f"{_ONE}reject/", views.RejectPage.as_view(), name="reject"),
    path(f"{_ONE}covered/<uuid:deal>/", views.CoveredPage.as_view(), name="covered"),
    path(f"{_ONE}reverse/", views.ReversePage.as_view(), name="reverse"),
    path("me/claims/", my_views.MyClaimsPage.as_view(), name="mine"),
    path("me/claims/new/", my_views.NewClaimPage.as_view(), name="new"),
    path(_MINE, my_views.MyClaimPage.as_view(), name="my-claim"),
    path(f"{_MINE}edit/", my_views.EditClaimPage.as_view(), name="my-edit"),
    path(f"{_MINE}withdraw/", my_views.WithdrawPage.as_view(), name="my-withdraw"),
]
