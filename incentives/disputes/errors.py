"""What can go wrong with a dispute."""

from incentives.core.errors import DomainError


class OwnDispute(DomainError):
    """Nobody decides about what they earn themselves."""

    code = "own_dispute"
    status = 403
    user_message = (
        "This is about your own earning, so another manager must decide. You can still write a reply as yourself."
    )


class StaleDispute(DomainError):
    code = "stale_dispute"
    status = 409
    user_message = "Somebody was quicker: the thread changed since you opened it. Nothing was sent; look at it again."


class NothingChanged(DomainError):
    code = "nothing_changed"
    status = 409


class CannotReopen(DomainError):
    code = "cannot_reopen"
    status = 409


class TextNeeded(DomainError):
    code = "text_needed"
    user_message = "Write a few words: the other side reads them."
