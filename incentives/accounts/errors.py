"""What goes wrong with people and roles, in words they can act on."""

from django.utils.translation import gettext_lazy as _

from incentives.core.errors import DomainError


class OwnAccount(DomainError):
    code = "own_account"
    status = 403
    user_message = _("Nobody changes their own roles or access. Ask another administrator.")


class LastAdministrator(DomainError):
    code = "last_administrator"
    status = 409
    user_message = _("This is the last active administrator. Make somebody else administrator first.")


class AlreadyInvited(DomainError):
    code = "already_invited"
    status = 409
    user_message = _(
        "Somebody with this e-mail address is here already. Look under People, also among the deactivated."
    )


class UnknownRole(DomainError):
    code = "unknown_role"
    user_message = _("One of the roles does not exist. Reload the page and choose again.")


class NoLongerInvited(DomainError):
    code = "not_invited"
    status = 409
    user_message = _("This person has chosen a password already, or was deactivated. No invitation was sent.")
