"""Who is told: people with an account, and whoever another app names (participants without one)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings

from incentives.accounts.models import User
from incentives.notifications.models import Recipient


@dataclass(frozen=True, slots=True)
class Person:
    """How to reach somebody now."""

    email: str
    name: str
    language: str = "en"
    time_zone: str = "UTC"
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A model whose rows can be told things. `account(row)`: their User or None. `find(id)`: the Person now, or None."""

    prefix: str
    ident: Callable
    account: Callable
    find: Callable[[str], Person | None]


_sources: dict[type, Source] = {}


def register(model: type, *, prefix: str, ident: Callable, account: Callable, find: Callable) -> None:
    """Let rows of `model` be told things. Called by its app when it is ready."""
    _sources[model] = Source(prefix, ident, account, find)


def person_of(recipient: Recipient) -> Person | None:
    """How to reach them now; None for who cannot or must not be written to any more."""
    if recipient.user_id:
        user = recipient.user
        if not user.is_active or user.is_service or not user.email:
            return None
        return Person(user.email, user.get_short_name(), user.language, user.time_zone, user)
    prefix, _, ident = recipient.ref.partition(":")
    source = next((one for one in _sources.values() if one.prefix == prefix), None)
    found = source.find(ident) if source else None
    return found if found and found.email else None


def zone_of(recipient: Recipient) -> str:
    person = person_of(recipient)
    return person.time_zone if person else settings.TIME_ZONE


def ref_of(user: User) -> str:
    return f"user:{user.pk}"


def recipients_for(people: Iterable) -> list[Recipient]:
    """A Recipient row for each, made where there is none, each once. Call it in a transaction. Three queries at most.

    A participant who got an account meanwhile keeps the choices made without one.
    """
    wanted: dict[str, tuple[User | None, str]] = {}
    adopted: dict[str, str] = {}
    for one in people:
        user, old = _account_of(one)
        if user is None:
            wanted[old] = (None, str(one))
        else:
            wanted[ref_of(user)] = (user, str(user))
            if old:
                adopted[old] = ref_of(user)
    _adopt(adopted, wanted)
    rows = [Recipient(ref=ref, user=user, name=name[:200]) for ref, (user, name) in sorted(wanted.items())]
    known = set(Recipient.objects.filter(ref__in=wanted).values_list("ref", flat=True))
    Recipient.objects.bulk_create([row for row in rows if row.ref not in known], batch_size=500, ignore_conflicts=True)
    return list(Recipient.objects.filter(ref__in=wanted).select_related("user").order_by("ref"))


def _account_of(one) -> tuple[User | None, str]:
    """(account, what it is called without one)"""
    if isinstance(one, User):
        return one, ""
    source = _sources[type(one)]
    return source.account(one), f"{source.prefix}:{source.ident(one)}"


def _adopt(adopted: dict[str, str], wanted: dict) -> None:
    if not adopted:
        return
    taken = set(Recipient.objects.filter(ref__in=adopted.values()).values_list("ref", flat=True))
    for row in Recipient.objects.filter(ref__in=adopted).order_by("pk"):
        ref = adopted[row.ref]
        if ref not in taken:
            taken.add(ref)
            Recipient.objects.filter(pk=row.pk, ref=row.ref).update(ref=ref, user=wanted[ref][0])


def masked(email: str) -> str:
    """`a…@example.com`: enough to recognise, not to write to."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}…@{domain}" if domain else "…"
