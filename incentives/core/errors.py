"""The base of every error a user may read."""


class DomainError(Exception):
    """Something a person can understand and act on.

    `code` is stable and machine-readable; `user_message` says what happened and what to do next; `status` is the HTTP
    status a door that speaks HTTP answers with. Nothing may have been written when one is raised out of a service.
    """

    code = "error"
    status = 400
    user_message = "That did not work."

    def __init__(self, message: str | None = None, **details):
        self.user_message = message or self.user_message
        self.details = details
        super().__init__(self.user_message)


class NotAllowed(DomainError):
    """The person's role does not include this. Doors that must not reveal existence answer 404 instead."""

    code = "not_allowed"
    status = 403
    user_message = "Your role does not allow this. Ask an administrator if you need it."


class IllegalTransition(DomainError):
    """The thing is in another state than the action needs, usually because somebody else was quicker."""

    code = "illegal_transition"
    status = 409

    def __init__(self, thing, new: str):
        super().__init__(f"{thing} is {thing.get_status_display().lower()} and cannot become {new}. Reload to see it.")
