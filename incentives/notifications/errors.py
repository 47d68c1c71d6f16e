"""What goes wrong with preferences and channels."""

from incentives.core.errors import DomainError


class PreferenceInvalid(DomainError):
    code = "preference_invalid"


class ChannelInvalid(DomainError):
    code = "channel_invalid"


class ChannelAnswer(DomainError):
    """The chat did not take the test message."""

    code = "channel_answer"
    status = 502
