"""What a message says, decided at the moment it is sent."""

from collections import defaultdict
from dataclasses import dataclass

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext

from incentives.notifications import quiet, registry
from incentives.notifications.models import Delivery, Notification
from incentives.notifications.recipients import Person
from incentives.notifications.registry import Content, Item, Kind, Reader

SHOWN = 20
"""Things named one by one in a message; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Section:
    """One kind's part of a message."""

    kind: Kind | None  # none of a test
    content: Content
    text: str = ""
    html: str = ""

    @property
    def url(self) -> str:
        return absolute(self.content.link)

    @property
    def link_label(self) -> str:
        return str(self.content.link_label) or gettext("Open Laurel")


def absolute(path: str) -> str:
    return f"{settings.BASE_URL}{path}" if path else ""


def reader_of(delivery: Delivery, person: Person | None) -> Reader:
    if delivery.endpoint_id:
        return Reader(chat=True)
    return Reader(person.user, delivery.recipient.ref, person.name)


def sections(delivery: Delivery, reader: Reader, *, mail: bool) -> list[Section]:
    """What is still true of the message's notices, kind by kind. Empty: there is nothing to tell any more."""
    rows: dict[str, list[Notification]] = defaultdict(list)
    for row in delivery.notifications.order_by("pk"):
        rows[row.kind].append(row)
    found = []
    for name, part in rows.items():
        one = registry.find(name)
        if one is None or (reader.user is not None and not one.concerns(reader.user)):
            continue
        content = one.content([Item(row.key, row.data, row.created_at) for row in part], reader)
        if content is not None:
            found.append(_rendered(one, content) if mail else Section(one, content))
    return found


def _rendered(one: Kind, content: Content) -> Section:
    context = {**content.context, "base_url": settings.BASE_URL}
    texts = [render_to_string(f"emails/{one.template}.{form}", context).strip() for form in ("txt", "html")]
    return Section(one, content, *texts)


def subject_of(found: list[Section]) -> str:
    """One line: of one kind its own, of several how many there are."""
    if len(found) == 1:
        return " ".join(found[0].content.subject.split())
    return ngettext("%(n)s notice from Laurel", "%(n)s notices from Laurel", len(found)) % {"n": len(found)}


class speaking:  # noqa: N801 (reads as a function)
    """Language and time zone of who reads."""

    def __init__(self, language: str, time_zone: str = "UTC"):
        known = dict(settings.LANGUAGES)
        self._language = translation.override(language if language in known else settings.LANGUAGE_CODE)
        self._zone = timezone.override(quiet.zone(time_zone))

    def __enter__(self):
        self._language.__enter__()
        self._zone.__enter__()

    def __exit__(self, *error):
        self._zone.__exit__(*error)
        self._language.__exit__(*error)
