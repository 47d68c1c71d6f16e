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
