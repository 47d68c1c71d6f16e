"""The kinds of notices: named by the apps they come from, in one place, so that pages and documents can list them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

CHATS = "chats"
"""`notify(..., to=CHATS)`: whatever Slack and Teams channels take this kind."""


class Mode:
    """How often somebody hears of a kind."""

    AT_ONCE, HOURLY, DAILY, NEVER = "at_once", "hourly", "daily", "never"
    CHOICES = (
        (AT_ONCE, _("At once")),
        (HOURLY, _("At most once an hour")),
        (DAILY, _("Once a day")),
        (NEVER, _("Never")),
    )


@dataclass(frozen=True, slots=True)
class Item:
    """One notice, as rendering gets it."""

    key: str
    data: dict
    at: datetime


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: `user` is None for a participant without an account, and for a chat channel."""

    user: Any = None
    ref: str = ""
    name: str = ""
    chat: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """What is said. `context` goes to the kind's templates; `link` is a path of this installation.

    `summary`: the one or two plain sentences of a chat message.
    """

    subject: str
    context: dict = field(default_factory=dict)
    summary: str = ""
    link: str = ""
    link_label: Any = ""


Render = Callable[[list[Item], Reader], Content | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of notice.

    `content` renders at the time of sending from all notices of one message, and answers None when nothing of it is true any
    more. `template`: `templates/emails/<template>.txt` and `.html`. `duty`: belongs to somebody's work; its mails have no link
    to unsubscribe and the kind cannot be turned off, unless `never` allows it on the person's own page. `chat`: may go to
    channels, where many read it. `permission`: who hears of it as a user (of several, any); asked again when it is sent. `apart`: at least so
    long between two messages of it to one person. `expires`: not sent any more when it could not be for so long.
    """

    name: str
    label: Any
    content: Render
    template: str
    about: Any = ""
    duty: bool = False
    never: bool = False
    chat: bool = False
    permission: str | tuple[str, ...] | None = None
    default: str = Mode.AT_ONCE
    apart: timedelta = timedelta(minutes=2)
    expires: timedelta = timedelta(days=7)

    @property
    def may_stop(self) -> bool:
        return self.never or not self.duty

    @property
    def modes(self) -> list[tuple[str, Any]]:
        return [choice for choice in Mode.CHOICES if choice[0] != Mode.NEVER or self.may_stop]

    def concerns(self, user) -> bool:
        names = (self.permission,) if isinstance(self.permission, str) else self.permission
        return names is None or any(user.can(name) for name in names)


_kinds: dict[str, Kind] = {}


def kind(name: str, *, label, content: Render, template: str = "", **more) -> Kind:
    """Name a kind; called in a `notices` module. A repeat (a module loaded twice) replaces it."""
    found = Kind(name, label, content, template or name.replace(".", "_"), **more)
    _kinds[name] = found
    return found


def get(name: str) -> Kind:
    """KeyError for a kind nobody named: a typo must not pass."""
    return _kinds[name]


def find(name: str) -> Kind | None:
    return _kinds.get(name)


def every() -> list[Kind]:
    return sorted(_kinds.values(), key=lambda one: one.name)
