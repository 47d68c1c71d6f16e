"""What goes wrong in reports, in words a person can act on."""

from incentives.core.errors import DomainError


class CannotRemind(DomainError):
    code = "cannot_remind"
    status = 409
