"""What a call to the provider proves. The dispatcher decides by the class alone (docs/provider.md)."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class ProviderError(Exception):
    """`evidence` is redacted text for a person; it never holds a claim link, a token or an address."""

    message: str
    status_code: int | None = None
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.status_code})" if self.status_code else self.message


class NotSent(ProviderError):
    """Proven: the request never reached the provider (no connection was made)."""


class OutcomeUnknown(ProviderError):
    """Proven: nothing. Repeat only with the same PONumber and the same bytes."""


class Refused(ProviderError):
    """400: this request was refused."""


class Unfunded(ProviderError):
    """422: typically the deposit account is short."""


@dataclass(eq=False)
class Conflict(ProviderError):
    """409: an order under this PONumber exists. `candidates` are the ids its answer may name."""

    candidates: tuple[str, ...] = field(default=())


class TokenInvalid(ProviderError):
    """401: the bearer token or the credentials were refused."""


class AccessOff(ProviderError):
    """403: API access is switched off for these credentials."""


class NotFound(ProviderError):
    """404: on a GET not visible (yet); on a POST the base URL is wrong."""


@dataclass(eq=False)
class SlowDown(ProviderError):
    """429. `retry_after` in seconds, None when the provider named none."""

    retry_after: float | None = None
