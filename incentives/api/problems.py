"""Errors as `application/problem+json` (RFC 9457): type, title, status, detail, code, request_id, errors."""

import http
import json
import logging

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from ninja.errors import AuthenticationError, HttpError, ValidationError

from incentives.api import errors
from incentives.core.errors import DomainError
from incentives.core.logs import request_id
from incentives.programs.rules import DefinitionError

log = logging.getLogger(__name__)
MEDIA = "application/problem+json"
TYPE = "urn:laurel:problem:"
"""With the code behind it: the same in every installation, and nothing to fetch."""
MOST_ERRORS = 200


def content_of(exc: DomainError) -> dict:
    """The document of one error."""
    found = list(getattr(exc, "errors", ()))
    if isinstance(exc, DefinitionError):
        found = [{"field": p.path or "definition", "code": exc.code, "message": str(p)} for p in exc.problems]
    if not found and exc.details.get("field"):
        found = [{"field": str(exc.details["field"]), "code": exc.code, "message": str(exc.user_message)}]
    phrase = http.HTTPStatus(exc.status).phrase
    return {
        "type": f"{TYPE}{exc.code}",
        "title": phrase,
        "status": exc.status,
        "detail": str(exc.user_message),
        "code": exc.code,
        "request_id": request_id.get(),
        "errors": found[:MOST_ERRORS],
    }


def response(exc: DomainError) -> HttpResponse:
    answer = HttpResponse(json.dumps(content_of(exc), ensure_ascii=False), status=exc.status, content_type=MEDIA)
    if exc.status == 401:
        answer["WWW-Authenticate"] = 'Bearer realm="Laurel"'
    if isinstance(exc, errors.InsufficientScope):
        answer["WWW-Authenticate"] = (
            f'Bearer realm="Laurel", error="insufficient_scope", scope="{exc.details["scope"]}"'
        )
    if exc.status in {429, 503}:
        answer["Retry-After"] = str(max(1, int(exc.details.get("after", 1) + 0.999)))
    return answer


def as_domain(exc: Exception) -> DomainError:
    """Any exception as an error one may read. What nobody expected is logged and says nothing of itself."""
    if isinstance(exc, DomainError):
        return exc
    if isinstance(exc, ValidationError):
        return errors.Invalid(errors=[_field(entry) for entry in exc.errors])
    if isinstance(exc, Http404):
        return errors.NotFound()
    if isinstance(exc, AuthenticationError):
        return errors.Unauthenticated()
    if isinstance(exc, RequestDataTooBig):
        return errors.TooLarge()
    if isinstance(exc, HttpError):
        return errors.Malformed(str(exc))
    log.exception("the API failed", exc_info=exc)
    if isinstance(exc, (OperationalError, InterfaceError)) and isinstance(exc, DatabaseError | InterfaceError):
        return errors.Unavailable()
    return errors.ServerError()


def _field(entry: dict) -> dict:
    """One error of pydantic as {row, field, pointer, code, message}. `row` counts from 0 within the list it names."""
    place = [part for part in entry["loc"][1:] if part not in {"payload", "filters"}]
    rows = [part for part in place if isinstance(part, int)]
    found = {
        "field": ".".join(str(part) for part in place) or str(entry["loc"][0]),
        "code": entry["type"],
        "message": entry["msg"],
    }
    if rows:
        found["row"] = rows[0]
    return found
