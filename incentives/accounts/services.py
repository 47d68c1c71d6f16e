"""Invite people, give and take roles, end access. Every change is recorded in the audit trail with it."""

import logging
import uuid

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext, override

from incentives.accounts.errors import AlreadyInvited, LastAdministrator, NoLongerInvited, OwnAccount, UnknownRole
from incentives.accounts.models import Role, User, UserRole
from incentives.core import audit
from incentives.core.errors import NotAllowed

logger = logging.getLogger(__name__)
PERMISSION = "users.edit"


def invite(*, email: str, name: str, roles: set[str], actor: User) -> User:
    """Make an account without a password. The caller sends the invitation after the commit (`send_invitation`).

    Raises: NotAllowed, UnknownRole, AlreadyInvited (any casing of the address; nothing is changed).
    """
    _require(actor)
    roles = _known(roles)
    if User.objects.filter(email__iexact=email.strip()).exists():
        raise AlreadyInvited
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, name=name.strip())
            UserRole.objects.bulk_create(UserRole(user=user, role=role, granted_by=actor) for role in sorted(roles))
            audit.record("user.invited", user, actor=actor, after={"roles": sorted(roles)})
    except IntegrityError as exc:  # somebody else invited the same address at the same moment
        raise AlreadyInvited from exc
    return user


def create_machine(*, name: str, actor: User) -> User:
    """An account that acts through API tokens alone: no password, no roles, `actor` is responsible for what it does.

    Raises: NotAllowed.
    """
    if not actor.can("tokens.edit"):
        raise NotAllowed
    with transaction.atomic():
        address = f"{uuid.uuid4().hex}@machines.invalid"  # nothing is ever mailed there
        machine = User.objects.create_user(address, name=name.strip(), is_service=True, responsible=actor)
        audit.record("machine.created", machine, actor=actor, after={"name": machine.name})
    return machine


def send_invitation(*, user: User, actor: User) -> bool:
    """E-mail the link to choose a password (works once, three days). False when the mail server refused: send it again.

    Raises: NotAllowed, NoLongerInvited.
    """
    _require(actor)
    if not user.is_active or user.has_usable_password():
        raise NoLongerInvited
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    uid, token = key.split("-", 1)
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})
    context = {
        "name": user,
        "inviter": actor,
        "email": user.email,
        "link": f"{settings.BASE_URL}{path}",
        "base_url": settings.BASE_URL,
    }
    with override(user.language):
        subject, body = gettext("Your invitation to Laurel"), render_to_string("emails/invitation.txt", context)
    try:
        send_mail(subject, body, None, [user.email])
    except OSError:  # smtplib's errors derive from it
        logger.exception("invitation of user %s could not be sent", user.public_id)
        return False
    with transaction.atomic():
        audit.record("user.invitation_sent", user, actor=actor)
    return True


def change_roles(*, user: User, roles: set[str], actor: User) -> User:
    """Give exactly these roles. Repeating it changes and records nothing.

    Raises: NotAllowed, OwnAccount, UnknownRole, LastAdministrator.
    """
    _require(actor, user)
    roles = _known(roles)
    if user.is_service:
        raise UnknownRole("A machine holds no roles: the scopes of its tokens say what it may do.")
    with transaction.atomic():
        user = _lock(user)
        before = set(user.role_set.values_list("role", flat=True))
        if before == roles:
            return user
        user.role_set.exclude(role__in=roles).delete()
        UserRole.objects.bulk_create(
            UserRole(user=user, role=role, granted_by=actor) for role in sorted(roles - before)
        )
        _keep_an_administrator()
        audit.record(
            "user.roles_changed", user, actor=actor, before={"roles": sorted(before)}, after={"roles": sorted(roles)}
        )
    return user


def set_active(*, user: User, active: bool, actor: User, reason: str = "") -> User:
    """End or restore access. Ending it works from the person's next request on. A repeat changes and records nothing.

    Raises: NotAllowed, OwnAccount, LastAdministrator.
    """
    _require(actor, user)
    with transaction.atomic():
        user = _lock(user)
        if user.is_active == active:
            return user
        user.is_active = active
        user.save(update_fields=["is_active"])
        _keep_an_administrator()
        action = "user.reactivated" if active else "user.deactivated"
        audit.record(action, user, actor=actor, before={"active": not active}, after={"active": active}, reason=reason)
    return user


def change_profile(*, user: User, name: str, time_zone: str, language: str) -> User:
    """A person's own name, zone and language. The values were checked by the form. A repeat records nothing."""
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        after = {"name": name.strip(), "time_zone": time_zone, "language": language}
        before = {key: getattr(user, key) for key in after}
        if before == after:
            return user
        for key, value in after.items():
            setattr(user, key, value)
        user.save(update_fields=list(after))
        audit.record("user.profile_changed", user, actor=user, before=before, after=after)
    return user


def record_password(user: User) -> None:
    """Store a password just set on `user`, and that it happened."""
    with transaction.atomic():
        user.save()
        audit.record("user.password_set", user, actor=user)


def _require(actor: User, user: User | None = None) -> None:
    if not actor.can(PERMISSION):
        raise NotAllowed
    if user is not None and user.pk == actor.pk:
        raise OwnAccount


def _known(roles: set[str]) -> set[str]:
    if not set(roles) <= set(Role.values):
        raise UnknownRole
    return {str(role) for role in roles}


def _lock(user: User) -> User:
    """The account, locked together with all administrators: two of them cannot take the role from each other."""
    administrators = UserRole.objects.filter(role=Role.ADMINISTRATOR).values("user_id")
    locked = User.objects.select_for_update(no_key=True).filter(pk__in=administrators) | User.objects.select_for_update(
        no_key=True
    ).filter(pk=user.pk)
    return next(found for found in locked.order_by("pk") if found.pk == user.pk)


def _keep_an_administrator() -> None:
    if not UserRole.objects.filter(role=Role.ADMINISTRATOR, user__is_active=True).exists():
        raise LastAdministrator
