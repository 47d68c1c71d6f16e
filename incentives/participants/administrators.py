"""Who administers a partner: the role of the account behind one of its people. Each change is on record with the account."""

from django.db import transaction
from django.utils.translation import gettext

from incentives.accounts import services as accounts
from incentives.accounts.models import Role, User
from incentives.core.errors import NotAllowed
from incentives.participants import services
from incentives.participants.errors import CannotAdminister
from incentives.participants.models import Participant, Partner

STAFF = frozenset({Role.MANAGER, Role.FINANCE, Role.ADMINISTRATOR, Role.AUDITOR})


def administrators_of(partner: Partner) -> list[Participant]:
    people = partner.participants.filter(user__role_set__role=Role.PARTNER_ADMIN).select_related("user")
    return list(people.order_by("name", "pk"))


def appoint(person: Participant, *, actor: User) -> tuple[User, bool]:
    """Make somebody an administrator of their partner: (account, whether the caller has to send an invitation).

    Without an account one is made for the person's e-mail address. A repeat changes and records nothing.
    Raises: NotAllowed, CannotAdminister (no partner, inactive, no address, the account is somebody else's or of staff).
    """
    if not actor.can("users.edit"):
        raise NotAllowed
    with transaction.atomic():
        person = (
            Participant.objects.select_for_update(of=("self",), no_key=True)
            .select_related("partner", "user")
            .get(pk=person.pk)
        )
        _check(person)
        user, invited = _account(person, actor)
        if person.user_id != user.pk:
            services.update_participant(person, actor=actor, reason="partner administrator", user=user)
        if not invited:
            roles = set(user.role_set.values_list("role", flat=True))
            accounts.change_roles(user=user, roles=roles | {Role.PARTNER_ADMIN}, actor=actor)
    return user, invited


def dismiss(person: Participant, *, actor: User) -> None:
    """Take the role away; the account stays, as a participant's. A repeat changes and records nothing. Raises NotAllowed."""
    if not actor.can("users.edit"):
        raise NotAllowed
    if person.user is None:
        return
    with transaction.atomic():
        roles = set(person.user.role_set.values_list("role", flat=True))
        if Role.PARTNER_ADMIN in roles:
            accounts.change_roles(
                user=person.user, roles=(roles - {Role.PARTNER_ADMIN}) | {Role.PARTICIPANT}, actor=actor
            )


def _check(person: Participant) -> None:
    if person.partner is None or not person.active:
        raise CannotAdminister(gettext("Only an active person of a partner can administer it."))
    if person.user is None and not person.email:
        raise CannotAdminister(gettext("Give this person an e-mail address first: they sign in with it."))


def _account(person: Participant, actor: User) -> tuple[User, bool]:
    """The account behind the person: theirs, the one of their address, or a new one (invited)."""
    user = person.user or User.objects.filter(email__iexact=person.email).first()
    if user is None:
        return accounts.invite(email=person.email, name=person.name, roles={Role.PARTNER_ADMIN}, actor=actor), True
    other = Participant.objects.filter(user=user).exclude(pk=person.pk).first()
    if other is not None:
        raise CannotAdminister(gettext("The account with this e-mail address belongs to another participant."))
    if not user.is_active:
        raise CannotAdminister(gettext("The account of this person is deactivated. Reactivate it under People first."))
    if not STAFF.isdisjoint(user.role_set.values_list("role", flat=True)):
        raise CannotAdminister(gettext("Somebody with a role of your own staff cannot administer a partner."))
    return user, False
