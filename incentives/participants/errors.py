"""What can be wrong with a participant, a team or a partner."""

from django.utils.translation import gettext_lazy as _

from incentives.core.errors import DomainError


class InvalidPerson(DomainError):
    """A value does not fit; `details["field"]` names it. Nothing was changed."""

    code = "invalid_participant"

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}", field=field)


class CannotAdminister(DomainError):
    """This person cannot administer a partner; the message says why. Nothing was changed."""

    code = "cannot_administer"
    status = 409
    user_message = _("This person cannot administer the partner.")
