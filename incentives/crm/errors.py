"""What can be wrong with a fact, a credential or a file, in words for whoever has to mend it."""

from incentives.core.errors import DomainError


class MalformedEvent(DomainError):
    """The event cannot be understood; nothing was stored. `details` has field, found and expected."""

    code = "malformed"
    status = 400

    def __init__(self, field: str, expected: str, found=None):
        shown = "" if found is None else f", found {str(found)[:80]!r}"
        super().__init__(f"{field}: expected {expected}{shown}.", field=field, expected=expected, found=str(found)[:80])


class Conflict(DomainError):
    """A known external_id or delivery key came with other content: never a silent overwrite."""

    code = "conflict"
    status = 422
    user_message = (
        "This external_id was received before with different content. Nothing was changed. Send a correction as a new "
        "event, for example deal.updated, under a new external_id."
    )


class OwnConnection(DomainError):
    """Laurel's own connection has no address, no secrets and no imports."""

    code = "own_connection"
    status = 409
    user_message = "This connection is Laurel's own: what was decided here comes through it, and nothing from outside."


class NotAuthentic(DomainError):
    """Authentication failed. Never says which part was wrong."""

    code = "unauthenticated"
    status = 401
    user_message = "The credentials or the signature were not accepted."


class UnknownConnection(DomainError):
    code = "not_found"
    status = 404
    user_message = "There is no such address."


class TooLarge(DomainError):
    code = "too_large"
    status = 413
    user_message = "Too large: a single event may have 256 KiB, a batch 1 MiB and 100 events."


class UnsupportedMediaType(DomainError):
    code = "unsupported_media_type"
    status = 415
    user_message = (
        "Expected Content-Type application/json, application/cloudevents+json, application/cloudevents-batch+json or "
        "application/x-www-form-urlencoded, in UTF-8."
    )


class TooMany(DomainError):
    code = "rate_limited"
    status = 429
    user_message = "Too many requests. Wait for the seconds given in Retry-After and send the same again."


class NotStored(DomainError):
    code = "not_stored"
    status = 503
    user_message = "The event could not be stored. Nothing was kept; send the same again later."


class Quarantine(DomainError):
    """A business problem a person can mend; the delivery is kept and waits on the quarantine list."""

    code = "quarantined"

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class BadMapping(DomainError):
    """The column mapping of a file does not fit; says which key and what was expected."""

    code = "bad_mapping"


class CannotRepair(DomainError):
    code = "cannot_repair"
    status = 409
