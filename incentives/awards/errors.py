"""What can be wrong with an award."""

from incentives.core.errors import DomainError


class CannotGive(DomainError):
    """The program, the person or the money does not allow it; the message says what is missing. Nothing was given."""

    code = "cannot_give"
    status = 409


class OwnAward(DomainError):
    """Promise 6: nobody gives themselves anything."""

    code = "own_award"
    status = 403
    user_message = "Nobody gives an award to themselves. Ask another manager."


class FileGiven(DomainError):
    code = "file_given"
    status = 409

    def __init__(self, when: str = ""):
        super().__init__(f"The awards of this very file were given{when}. Nothing was given again.")


class RowsWrong(DomainError):
    """Rows of a file do not fit; `details["problems"]` has (line, message) pairs. Nothing was given."""

    code = "rows_wrong"

    def __init__(self, problems):
        first = "; ".join(f"line {line}: {message}" for line, message in problems[:3])
        super().__init__(f"Nothing was given: {first}", problems=problems)
