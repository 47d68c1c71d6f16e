"""What goes wrong at the API, each with a stable `code`: the last part of the problem's `type` (RFC 9457)."""

from incentives.core.errors import DomainError


class ApiError(DomainError):
    """`errors` may name fields: dicts of field, maybe row, code and message."""

    title = ""

    def __init__(self, message: str | None = None, *, errors: list[dict] | None = None, **details):
        super().__init__(message, **details)
        self.errors = errors or []


class Unauthenticated(ApiError):
    code = "unauthenticated"
    status = 401
    user_message = "Send a valid token: Authorization: Bearer lrl_..."


class InsufficientScope(ApiError):
    code = "insufficient_scope"
    status = 403

    def __init__(self, scope: str):
        super().__init__(f"This token lacks the scope {scope}.", scope=scope)


class PersonNeeded(ApiError):
    code = "person_needed"
    status = 403
    user_message = "A machine cannot do this: use the token of a person who may."


class NoConnection(ApiError):
    code = "token_without_connection"
    status = 409
    user_message = "This token names no connection that its activities belong to. Make one that does."


class NotFound(ApiError):
    code = "not_found"
    status = 404
    user_message = "There is nothing here, or nothing this token may see."


class MethodNotAllowed(ApiError):
    code = "method_not_allowed"
    status = 405
    user_message = "This address does not answer that method; Allow names those it does."


class Malformed(ApiError):
    code = "malformed"
    status = 400


class UnknownParameter(ApiError):
    code = "unknown_parameter"
    status = 400


class BadCursor(ApiError):
    code = "bad_cursor"
    status = 400
    user_message = "The cursor is not one of this list with these filters. Begin again without it."


class Invalid(ApiError):
    code = "invalid"
    status = 422
    user_message = "Something does not fit; errors names each field. Nothing was changed."


class Conflicting(ApiError):
    code = "conflict"
    status = 422


class KeyMissing(ApiError):
    code = "idempotency_key_missing"
    status = 400
    user_message = "Send an Idempotency-Key header: a new value for each new request, the same one when you repeat it."


class KeyInvalid(ApiError):
    code = "idempotency_key_invalid"
    status = 400
    user_message = "Idempotency-Key: expected 1 to 255 printable ASCII characters, in double quotes or bare."


class KeyReused(ApiError):
    code = "idempotency_key_reused"
    status = 422
    user_message = "This Idempotency-Key was used for another request. Nothing was done; use a new key."


class KeyInUse(ApiError):
    code = "idempotency_key_in_use"
    status = 409
    user_message = "The first request with this Idempotency-Key is still running. Repeat it in a moment."


class TooLarge(ApiError):
    code = "too_large"
    status = 413
    user_message = "The body is larger than 2 MiB."


class UnsupportedMediaType(ApiError):
    code = "unsupported_media_type"
    status = 415
    user_message = "Send the body as Content-Type: application/json in UTF-8."


class RateLimited(ApiError):
    code = "rate_limited"
    status = 429
    user_message = "Too many requests. Wait for the seconds of Retry-After and send the same again."


class TokenInvalid(ApiError):
    code = "token_invalid"
    status = 400


class ServerError(ApiError):
    code = "server_error"
    status = 500
    user_message = "Something went wrong here; it is in the log under the request id. Nothing was changed."


class Unavailable(ApiError):
    code = "unavailable"
    status = 503
    user_message = "The database is not available. Nothing was changed; send the same again later."
