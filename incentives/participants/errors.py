"""What can be wrong with a participant, a team or a partner."""

from incentives.core.errors import DomainError


class InvalidPerson(DomainError):
    """A value does not fit; `details["field"]` names it. Nothing was changed."""

    code = "invalid_participant"

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}", field=field)
