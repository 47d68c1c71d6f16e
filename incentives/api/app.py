"""The application behind /api/v1/: one router per resource, strict JSON, every error a problem document."""

from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.parser import Parser

from incentives.api import errors, problems
from incentives.api.v1 import activities, money, people, programs


class StrictParser(Parser):
    """The body as auth.Needs parsed it: once, with decimals, no key twice."""

    def parse_body(self, request: HttpRequest):
        return request.document


class Api(NinjaAPI):
    def get_openapi_operation_id(self, operation) -> str:
        return operation.view_func.__name__


api = Api(
    title="Laurel",
    version="1",
    description="Programs, facts, earnings and payouts for everything you automate. See docs/api.md for a quick start.",
    urls_namespace="api-v1",
    docs_url=None,
    openapi_url=None,
    parser=StrictParser(),
)
for tag, router in {
    "activities": activities.router,
    "people": people.router,
    "programs": programs.router,
    "money": money.router,
}.items():
    api.add_router("", router, tags=[tag])


def refuse(request: HttpRequest, exc: Exception) -> HttpResponse:
    domain = problems.as_domain(exc)
    if isinstance(domain, errors.RateLimited) and "limit" in domain.details:
        request.rate_refused = domain.details
    return problems.response(domain)


for kind in (
    Exception,
    AuthenticationError,
    Http404,
    HttpError,
    ValidationError,
):  # ninja has answers of its own to four
    api.add_exception_handler(kind, refuse)


def finished(view):
    """Around every operation: its method, the rate fields, and that no cache keeps any of it."""

    @wraps(view)
    def answer(request: HttpRequest, *args, **kwargs) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Exception as exc:
            response = refuse(request, exc)
        if response.status_code == 405:
            response = refused_method(response.get("Allow", ""))
        return _with_fields(request, response)

    return answer


def refused_method(allowed: str) -> HttpResponse:
    response = problems.response(errors.MethodNotAllowed())
    response["Allow"], response["Cache-Control"] = allowed, "no-store"
    return response


def _with_fields(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """RateLimit and RateLimit-Policy by draft-ietf-httpapi-ratelimit-headers-10."""
    rate, refused = getattr(request, "rate", None), getattr(request, "rate_refused", None)
    if rate or refused:
        limit, left, reset = (
            (rate.limit, rate.remaining, rate.reset) if rate else (refused["limit"], 0, refused["reset"])
        )
        response["RateLimit-Policy"] = f'"token";q={limit};w=60'
        response["RateLimit"] = f'"token";r={left};t={reset}'
    response["Cache-Control"] = "no-store"
    response["Vary"] = "Authorization"
    return response


def addresses() -> list:
    """The routes below /api/v1/, each finished."""
    patterns = [pattern for pattern in api.urls[0] if pattern.name != "api-root"]
    for pattern in patterns:
        pattern.callback = finished(pattern.callback)
    return patterns


def unknown(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Every other address below /api/v1/."""
    return _with_fields(request, problems.response(errors.NotFound()))


unknown.csrf_exempt = True
