"""What goes wrong in reports, in words a person can act on."""

from incentives.core.errors import DomainError


class CannotRemind(DomainError):
    code = "cannot_remind"
    status = 409


class NothingSaid(DomainError):
    code = "nothing_said"
    user_message = "Say what was found out about the difference."
