"""What can go wrong with a program."""

from incentives.core.errors import DomainError


class ProgramInvalid(DomainError):
    code = "program_invalid"


class CannotLaunch(DomainError):
    """What is missing before facts may earn."""

    code = "cannot_launch"
    status = 409


class TargetInvalid(DomainError):
    code = "target_invalid"


class NeedsReview(DomainError):
    """The budget is above the review limit."""

    code = "needs_review"
    status = 409
    user_message = "Its budget is above the review limit. Ask a second manager to review and publish it."


class OwnReview(DomainError):
    code = "own_review"
    status = 403
    user_message = "You wrote some of it or asked for the review, so another program manager must decide."


class TermsInvalid(DomainError):
    code = "terms_invalid"


class StaleTerms(DomainError):
    """A newer text was published, or it is not theirs to accept."""

    code = "stale_terms"
    status = 409
    user_message = "A newer text has been published. Read that one and accept it instead."
