"""People and roles for administrators, and everybody's own profile."""

import django_filters
from django import forms
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View

from incentives.accounts import services
from incentives.accounts.forms import InviteForm, ProfileForm, ReasonForm, RolesForm
from incentives.accounts.models import Role, User
from incentives.accounts.selectors import STATES, people, role_names
from incentives.core.listing import ActionPage, Column, DetailPage, Guarded, Link, ListPage
from incentives.core.models import AuditEvent
from incentives.core.templatetags.laurel import words

PARENT = (_("People"), "accounts:people")


class PeopleFilters(django_filters.FilterSet):
    role = django_filters.ChoiceFilter(field_name="role_set__role", choices=Role.choices, label=_("Role"))
    state = django_filters.ChoiceFilter(choices=STATES, label=_("State"))

    class Meta:
        model = User
        fields: list[str] = []


def person_url(user) -> str:
    return reverse("accounts:person", args=[user.public_id])


class PeoplePage(ListPage):
    permission = services.PERMISSION
    title = _("People")
    lead = _("Who may sign in, and what they may do.")
    search = ("name", "email")
    search_hint = _("Name or e-mail address")
    filterset_class = PeopleFilters
    actions = (Link(_("Invite somebody"), "accounts:invite", services.PERMISSION, "plus", primary=True),)
    export_name = "people"
    default_sort = "name"
    columns = (
        Column("name", _("Name"), value=str, note="email", sort=("name", "email"), link=person_url),
        Column("email", _("E-mail address"), screen=False),
        Column("roles", _("Roles"), value=role_names),
        Column("state", _("State"), kind="status", sort="state", words=dict(STATES)),
        Column("last_login", _("Last signed in"), kind="time", sort="last_login"),
        Column("created_at", _("Since"), kind="time", sort="created_at"),
    )

    def get_queryset(self):
        return people()


class PersonPage(DetailPage):
    permission = services.PERMISSION
    template_name = "accounts/person.html"
    parent = PARENT

    def get_queryset(self):
        return people()

    def get_context(self, thing) -> dict:
        events = AuditEvent.objects.filter(target_type="accounts.user", target_id=str(thing.public_id))[:20]
        return {
            "person": thing,
            "own": thing.pk == self.request.user.pk,
            "state_label": dict(STATES)[thing.state],
            "events": [{"title": words(e.action), "at": e.at, "by": e.actor_name, "text": e.reason} for e in events],
        }


class InvitePage(ActionPage):
    permission = services.PERMISSION
    parent = PARENT
    form_class = InviteForm
    title = _("Invite somebody")
    submit = _("Send the invitation")

    def perform(self, thing, data: dict) -> str:
        actor = self.request.user
        user = services.invite(email=data["email"], name=data["name"], roles=set(data["roles"]), actor=actor)
        return send(self.request, user)

    def success_url(self, thing) -> str:
        return reverse("accounts:people")


def send(request, user) -> str:
    """Send the invitation; the message for success, or none after telling that the mail did not leave."""
    if services.send_invitation(user=user, actor=request.user):
        return gettext("The invitation is on its way to %(email)s.") % {"email": user.email}
    messages.warning(
        request, gettext("The account exists, but the mail server took no message. Send the invitation again later.")
    )
    return ""


class PersonAction(ActionPage):
    permission = services.PERMISSION
    model = User
    parent = PARENT

    def get_queryset(self):
        return people()

    def success_url(self, thing) -> str:
        return person_url(thing)


class InviteAgainPage(PersonAction):
    title = _("Send the invitation again?")
    text = _("Links sent before keep working until one of them is used or three days have passed.")
    submit = _("Send again")

    def perform(self, thing, data: dict) -> str:
        return send(self.request, thing)


class RolesPage(PersonAction):
    form_class = RolesForm
    title = _("Change roles")
    submit = _("Save")

    def get_form_kwargs(self, thing) -> dict:
        return {"initial": {"roles": [role.role for role in thing.role_set.all()]}}

    def perform(self, thing, data: dict) -> str:
        services.change_roles(user=thing, roles=set(data["roles"]), actor=self.request.user)
        return gettext("The roles of %(name)s are saved.") % {"name": thing}


class DeactivatePage(PersonAction):
    form_class = ReasonForm
    title = _("End access?")
    text = _("The person is signed out at once and cannot sign in. Everything they did stays as it is.")
    submit = _("End access")
    danger = True

    def perform(self, thing, data: dict) -> str:
        services.set_active(user=thing, active=False, actor=self.request.user, reason=data["reason"])
        return gettext("%(name)s can no longer sign in.") % {"name": thing}


class ReactivatePage(PersonAction):
    form_class = ReasonForm
    title = _("Restore access?")
    text = _("The person can sign in again, with the roles they had.")
    submit = _("Restore access")

    def perform(self, thing, data: dict) -> str:
        services.set_active(user=thing, active=True, actor=self.request.user, reason=data["reason"])
        return gettext("%(name)s can sign in again.") % {"name": thing}


class ProfilePage(Guarded, View):
    def get(self, request):
        user = request.user
        initial = {"name": user.name, "time_zone": user.time_zone, "language": user.language}
        return self.show(ProfileForm(initial=initial))

    def post(self, request):
        form = ProfileForm(request.POST)
        if not form.is_valid():
            return self.show(form, status=400)
        services.change_profile(user=request.user, **form.cleaned_data)
        messages.success(request, gettext("Your profile is saved."))
        return redirect("accounts:profile")

    def show(self, form: forms.Form, status: int = 200):
        return render(
            self.request, "accounts/profile.html", {"form": form, "roles": role_names(self.request.user)}, status=status
        )


class SignInAddressPage(Guarded, View):
    """Instead of allauth's page: people sign in with the address they were invited to, so that a change is recorded."""

    def get(self, request):
        messages.info(request, gettext("Your sign-in address is changed by an administrator."))
        return redirect("accounts:profile")

    post = get
