"""What goes wrong when rewards are ordered. `code` is stable, `user_message` says what was expected."""


class RewardError(Exception):
    """Something a person can understand and act on. Nothing was written when a service raises one."""

    code = "reward_error"
    status = 400
    user_message = "That reward cannot be ordered."

    def __init__(self, message: str | None = None, **details):
        self.user_message = message or self.user_message
        self.details = details
        super().__init__(self.user_message)


class InvalidOrder(RewardError):
    """A field of the order does not fit; `details["field"]` names it."""

    code = "invalid_order"

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}", field=field)


class NotOrderable(InvalidOrder):
    """The catalogue does not allow this product, delivery or value."""

    code = "not_orderable"


class ReferenceConflict(RewardError):
    """The reference (or PONumber) already belongs to an order with other content."""

    code = "reference_conflict"
    status = 409


class IllegalMove(RewardError):
    """The order is in another state than the action needs."""

    code = "illegal_transition"
    status = 409


class EvidenceNeeded(RewardError):
    """A decision about money needs a name, a reason and, where it is final, evidence."""

    code = "evidence_needed"


class AdoptionRefused(RewardError):
    """The provider's order does not match ours, or could not be read, so it was not adopted."""

    code = "adoption_refused"
    status = 409


class NotConfigured(RewardError):
    """E2R_BASE_URL, E2R_EMAIL or E2R_ACCESS_TOKEN is missing."""

    code = "provider_not_configured"
    status = 503
    user_message = "The provider is not configured: set E2R_BASE_URL, E2R_EMAIL and E2R_ACCESS_TOKEN."


class SecondPersonNeeded(RewardError):
    """Starting again after an emergency stop needs two different people."""

    code = "second_person_needed"
    status = 409


class Unreadable(RewardError):
    """A stored secret does not open: its key is missing from FIELD_ENCRYPTION_KEYS, or the row was tampered with."""

    code = "secret_unreadable"
    status = 500
    user_message = "The stored secret cannot be opened. Check FIELD_ENCRYPTION_KEYS."
