"""The OpenAPI 3.1 document: what django-ninja derives from the code, and what holds for every operation."""

from functools import cache

from django.conf import settings

from incentives.api import idempotency, problems
from incentives.api.scopes import SCOPES

EVERY = {
    400: "The request cannot be understood.",
    401: "No valid token.",
    403: "The token's scopes or its user's role do not allow this.",
    404: "Nothing there, or nothing this token may see.",
    422: "Understood, and something in it does not fit; `errors` names each field.",
    429: "Too many requests; `Retry-After` says how long to wait.",
    503: "The database is not available; repeat later.",
}
WRITING = {
    409: "The state it needs is another one, or the same `Idempotency-Key` is running.",
    413: "The body is too large.",
    415: "The body is not JSON.",
}
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; `detail` is for people.",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": [f"{problems.TYPE}not_found"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": ["not_found"]},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "row": {"type": "integer", "description": "The place in the list, from 0."},
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A new value for each new request, the same one to repeat it: the first answer comes again. Kept 7 days.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
RATE_HEADERS = {
    "RateLimit-Policy": 'The quota of the token: `"token";q=<requests>;w=<seconds>`.',
    "RateLimit": 'What is left: `"token";r=<requests>;t=<seconds until it is full again>`.',
}


def _responses() -> dict:
    return {
        f"Problem{status}": {
            "description": text,
            "content": {problems.MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, text in (EVERY | WRITING).items()
    }


def complete(document: dict, operations: dict) -> dict:
    """Add to ninja's document: the errors each operation may answer, the key's header, scopes, rate headers."""
    document["openapi"] = "3.1.0"
    document["components"]["schemas"]["Problem"] = PROBLEM
    document["components"]["responses"] = _responses()
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token: `Authorization: Bearer lrl_...`"}
    }
    document["servers"] = [{"url": settings.BASE_URL}]
    for path in document["paths"].values():
        for method, operation in path.items():
            _complete(method, operation, operations[operation["operationId"]])
    return document


def _complete(method: str, operation: dict, source) -> None:
    statuses = EVERY | (WRITING if method != "get" else {})
    kept = {str(status): answer for status, answer in operation["responses"].items() if int(status) < 400}
    for answer in kept.values():
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in RATE_HEADERS.items()
        }
    problem = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(statuses)}
    operation["responses"] = kept | problem
    scope = source.auth_callbacks[0].scope
    operation["security"] = [{"token": [scope]}]
    entry = SCOPES[scope]
    who = "people and machines" if entry.machine else "people only"
    note = f"Scope `{scope}` ({who}); role permission: {' or '.join(f'`{name}`' for name in entry.opens)}."
    operation["description"] = f"{operation.get('description', '').strip()}\n\n{note}".strip()
    operation["summary"] = operation["summary"].capitalize()
    wanted = getattr(source.view_func, "idempotent", "")
    if wanted:
        operation["parameters"] = [*operation["parameters"], KEY | {"required": wanted == "required"}]
        for answer in kept.values():
            answer["headers"][idempotency.REPLAYED] = {
                "description": "`true` where this is the kept answer.", "schema": {"type": "string"},
            }  # fmt: skip


@cache
def openapi() -> dict:
    from incentives.api.app import api

    operations = {
        api.get_openapi_operation_id(operation): operation
        for router in api._get_bound_routers()
        for view in router.path_operations.values()
        for operation in view.operations
    }
    return complete(dict(api.get_openapi_schema(path_prefix="/api/v1/")), operations)
