"""What finance's books refuse."""

from incentives.core.errors import DomainError


class AccountInvalid(DomainError):
    """An account of the mapping cannot be kept like this."""

    code = "journal_account_invalid"


class JournalRefused(DomainError):
    """No final journal can be made now."""

    code = "journal_refused"
    status = 409
