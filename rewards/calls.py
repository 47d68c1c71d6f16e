"""One step with the provider, outside any transaction: ask, and say what the answer proves. Writes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rewards.failpoints import hit
from rewards.matching import differences, is_proof
from rewards.models import RewardOrder
from rewards.provider.client import Deadline, ProviderClient
from rewards.provider.errors import Conflict, NotFound, OutcomeUnknown, ProviderError, TokenInvalid
from rewards.provider.types import ProviderOrder


@dataclass(frozen=True, slots=True)
class Found:
    """The provider has exactly our order."""

    order: ProviderOrder
    how: str  # "created", "conflict", "listed", "polled", "adopted"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The provider has another order where ours should be: an invariant trips."""

    problems: tuple[str, ...]
    provider_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Looked for and not seen, which proves nothing. `conflict`: the provider said that it exists."""

    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """The call's error; its class says what it proves. `posted`: it is the answer to the POST itself."""

    error: ProviderError
    posted: bool = field(default=True)


Finding = Found | Mismatch | Missing | Problem


def send(order: RewardOrder, client: ProviderClient, token: str, deadline: Deadline) -> Finding:
    """POST the stored bytes; a 409 is followed to the first order."""
    try:
        placed = client.place_order(bytes(order.body), token=token, deadline=deadline)
    except Conflict as conflict:
        hit("CP10")
        return _follow(order, conflict, client, token, deadline)
    except ProviderError as error:
        hit("CP10")
        return Problem(error)
    hit("CP10")
    problems = differences(order, placed)
    return Mismatch(tuple(problems), (placed.id,)) if problems else Found(placed, "created")


def poll(order: RewardOrder, client: ProviderClient, token: str, deadline: Deadline) -> Finding:
    """GET the order by the id we stored."""
    try:
        found = client.get_order(order.provider_order_id, token=token, deadline=deadline)
    except ProviderError as error:
        return Problem(error, posted=False)
    hit("CP14")
    problems = differences(order, found)
    return Mismatch(tuple(problems), (found.id,)) if problems else Found(found, "polled")


def look_up(order: RewardOrder, client: ProviderClient, token: str, deadline: Deadline) -> Finding:
    """Search the provider's list for our number, without sending anything."""
    try:
        return _choose(order, _listed(order, client, token, deadline), client, token, deadline, "listed")
    except ProviderError as error:
        return Problem(error, posted=False)


def _follow(order, conflict: Conflict, client: ProviderClient, token: str, deadline: Deadline) -> Finding:
    """409 is success at one remove: find the first order and compare. A failure on the way leaves all unknown."""
    try:
        finding = _choose(order, conflict.candidates, client, token, deadline, "conflict")
        if isinstance(finding, Missing) and not conflict.candidates:
            finding = _choose(order, _listed(order, client, token, deadline), client, token, deadline, "listed")
    except TokenInvalid as error:
        return Problem(error, posted=False)
    except ProviderError as error:
        return Problem(OutcomeUnknown(f"409, then: {error}", 409, conflict.evidence), posted=False)
    return Missing(conflict=True) if isinstance(finding, Missing) else finding


def _listed(order, client: ProviderClient, token: str, deadline: Deadline) -> list[str]:
    number = order.po_number.lower()
    entries = client.list_orders(token=token, deadline=deadline)
    return [entry.id for entry in entries if entry.po_number.lower() == number]


def _choose(order, ids: Iterable[str], client, token: str, deadline: Deadline, how: str) -> Finding:
    """GET each candidate; exactly one that matches is ours. None visible: missing. Seen but none or several: mismatch."""
    ids, matching, problems, hidden = tuple(ids), [], [], False
    for candidate in ids:
        try:
            found = client.get_order(candidate, token=token, deadline=deadline)
        except NotFound:
            hidden = True
            continue
        against = differences(order, found)
        if not against and not is_proof(found):
            hidden = True
            continue
        matching += [] if against else [found]
        problems += against
    if len(matching) == 1:
        return Found(matching[0], how)
    if len(matching) > 1:
        return Mismatch(("several provider orders match",), tuple(found.id for found in matching))
    return Mismatch(tuple(problems), ids) if problems and not hidden else Missing()
