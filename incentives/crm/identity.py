"""Whose fact is it? The matching order of crm-connectors 1.5; a name never matches.

Explicit link, then the installation's own external user id, employee number, federation id, e-mail.
"""

from collections.abc import Iterable

from django.db.models import Q

from incentives.crm.errors import Quarantine
from incentives.crm.models import Connection, IdentityLink
from incentives.participants.models import Participant

COLUMNS = ("external_user_id", "employee_number", "federation_id", "email")


def described(identity: dict) -> str:
    """The identity in words, for a person who has to link it."""
    names = {"external_user_id": "id", "employee_number": "employee number", "federation_id": "federation id"}
    return ", ".join(f"{names.get(key, key)} {value}" for key, value in sorted(identity.items())) or "nobody"


class Resolver:
    """Finds participants for the identities of one batch with three queries, however many there are."""

    def __init__(self, connection: Connection, identities: Iterable[dict]):
        self.connection = connection
        stated = [identity for identity in identities if identity]
        self._links = self._load_links(stated)
        self._people = self._load_people(stated)
        self.new_links: dict[str, IdentityLink] = {}

    def _load_links(self, stated: list[dict]) -> dict[str, IdentityLink]:
        ids = {identity["external_user_id"] for identity in stated if "external_user_id" in identity}
        links = IdentityLink.objects.filter(connection=self.connection, external_user_id__in=ids)
        return {link.external_user_id: link for link in links.select_related("participant")} if ids else {}

    def _load_people(self, stated: list[dict]) -> dict[tuple[str, str], list[Participant]]:
        wanted = Q(pk__in=[])
        for column in (*COLUMNS, "public_id"):
            values = {identity[column] for identity in stated if column in identity}
            if values:
                wanted |= Q(**{f"{column}__in": values})
        found: dict[tuple[str, str], list[Participant]] = {}
        for person in Participant.objects.filter(wanted):
            for column in (*COLUMNS, "public_id"):
                found.setdefault((column, str(getattr(person, column)).lower()), []).append(person)
        return found

    def find(self, identity: dict) -> Participant:
        """The one participant meant. Raises Quarantine when there is none, or when two are meant."""
        if "public_id" in identity:  # only a person's repair sets it
            return self._by("public_id", identity) or self._unknown(identity)
        stated_id = identity.get("external_user_id", "")
        link = self._links.get(stated_id) or self.new_links.get(stated_id)
        if link is not None:
            return self._linked(link, identity)
        for column in COLUMNS:
            person = self._by(column, identity)
            if person is not None:
                self._remember(stated_id, person, column)
                return person
        return self._unknown(identity)

    def _by(self, column: str, identity: dict) -> Participant | None:
        if not identity.get(column):
            return None
        people = self._people.get((column, str(identity[column]).lower()), [])
        if column not in {"email", "public_id"}:  # ids are compared as written
            people = [person for person in people if getattr(person, column) == identity[column]]
        if len(people) > 1:
            raise Quarantine("ambiguous_participant", f"More than one participant matches {described(identity)}.")
        return people[0] if people else None

    def _linked(self, link: IdentityLink, identity: dict) -> Participant:
        """A link made by a person stands; one made by an earlier match must not contradict what is stated now."""
        if link.source == IdentityLink.Source.MATCHED:
            for column in COLUMNS[1:]:
                other = self._by(column, identity)
                if other is not None and other.pk != link.participant_id:
                    raise Quarantine(
                        "ambiguous_participant",
                        f"{described(identity)}: the id was seen as {link.participant}, the rest means {other}. "
                        "Link the id to the right participant and replay.",
                    )
        return link.participant

    def _remember(self, stated_id: str, person: Participant, column: str) -> None:
        if stated_id and column != "external_user_id":
            self.new_links[stated_id] = IdentityLink(
                connection=self.connection,
                external_user_id=stated_id,
                participant=person,
                source=IdentityLink.Source.MATCHED,
            )

    def _unknown(self, identity: dict) -> Participant:
        raise Quarantine(
            "unknown_participant",
            f"No participant matches {described(identity)}. Link it to a participant, or add the participant, and replay.",
        )

    def save_links(self) -> None:
        IdentityLink.objects.bulk_create(self.new_links.values(), ignore_conflicts=True)
