"""People, roles and profile."""

from django.urls import path

from incentives.accounts import views

app_name = "accounts"
urlpatterns = [
    path("profile/", views.ProfilePage.as_view(), name="profile"),
    path("people/", views.PeoplePage.as_view(), name="people"),
    path("people/invite/", views.InvitePage.as_view(), name="invite"),
    path("people/<uuid:public_id>/", views.PersonPage.as_view(), name="person"),
    path("people/<uuid:public_id>/roles/", views.RolesPage.as_view(), name="roles"),
    path("people/<uuid:public_id>/invite-again/", views.InviteAgainPage.as_view(), name="invite-again"),
    path("people/<uuid:public_id>/deactivate/", views.DeactivatePage.as_view(), name="deactivate"),
    path("people/<uuid:public_id>/reactivate/", views.ReactivatePage.as_view(), name="reactivate"),
    path("accounts/email/", views.SignInAddressPage.as_view()),  # in front of allauth's own
]
