"""Adding and changing participants, teams and partners, each with its record in the audit trail."""

from datetime import date
from zoneinfo import available_timezones

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.participants.errors import InvalidPerson
from incentives.participants.models import CODE, Participant, Partner, Team

FIELDS = (
    "external_user_id", "employee_number", "federation_id", "email", "name", "type", "team", "partner", "manager",
    "region", "country", "phone", "language", "time_zone", "active", "started_on", "ended_on", "user",
)  # fmt: skip
UNIQUE = ("external_user_id", "employee_number", "federation_id", "email")
CONTACT = ("email", "phone")
READ_BY_RULES = ("type", "team", "partner", "manager", "region", "started_on", "ended_on")
"""A change of these credits the person's facts anew (earnings.evaluate.notice_people)."""
GROUP_FIELDS = {Team: ("code", "name", "region", "manager", "active"), Partner: (
    "code", "name", "tier", "region", "country", "active",
)}  # fmt: skip


def _require(actor, permission: str = "participants.edit") -> None:
    """Raises NotAllowed. `actor` None is Laurel itself: the command line, the demo."""
    if actor is not None and not actor.can(permission):
        raise NotAllowed


def create_participant(*, actor=None, **values) -> Participant:
    """Add somebody. Raises InvalidPerson naming the field (nothing is added then), NotAllowed."""
    _require(actor)
    person = Participant()
    _assign(person, values)
    with transaction.atomic():
        _save(person)
        audit.record("participant.created", person, actor=actor, after=shown(person))
    return person


def update_participant(person: Participant, *, actor=None, reason: str = "", **values) -> Participant:
    """Change values. A new e-mail address or phone number is noted with its moment: payouts hold on recent changes.

    Values that are the same already change nothing and leave no record. Raises InvalidPerson, NotAllowed.
    """
    _require(actor)
    with transaction.atomic():
        person = Participant.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)
        known, before = values_of(person), shown(person)
        _assign(person, values)
        now, after = values_of(person), shown(person)
        changed = [name for name in FIELDS if now[name] != known[name]]
        if not changed:
            return person
        if not set(CONTACT).isdisjoint(changed):
            person.contact_changed_at = timezone.now()
        if not set(READ_BY_RULES).isdisjoint(changed):
            person.to_credit = True
        _save(person)
        audit.record(
            "participant.changed",
            person,
            actor=actor,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            reason=reason,
        )
    return person


def values_of(person: Participant) -> dict:
    """The values themselves, to compare."""
    return {name: getattr(person, name) for name in FIELDS}


def shown(person: Participant) -> dict:
    """The values as the audit trail keeps them: addresses only as a hint that one is there."""
    found = values_of(person)
    for name in ("team", "partner"):
        found[name] = found[name].code if found[name] else ""
    found["manager"] = found["manager"].key if found["manager"] else ""
    found["user"] = str(found["user"].public_id) if found["user"] else ""
    for name in CONTACT:
        found[name] = masked(found[name])
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in found.items()}


def masked(contact: str) -> str:
    """Enough to tell two addresses apart for who knows them: a***@example.com, +1***23."""
    if "@" in contact:
        name, _, domain = contact.partition("@")
        return f"{name[:1]}***{len(name)}@{domain}"
    return f"{contact[:2]}***{contact[-2:]}" if contact else ""


def _assign(person: Participant, values: dict) -> None:
    for name, value in values.items():
        if name not in FIELDS:
            raise InvalidPerson(name, f"not a field of a participant; expected one of {', '.join(FIELDS)}.")
        setattr(person, name, value.strip() if isinstance(value, str) else value)
    person.email = person.email.lower()
    _check_name_and_kind(person)
    _check_contact(person)
    _check_dates_and_place(person)
    _check_manager(person)
    _check_unique(person)


def _check_name_and_kind(person: Participant) -> None:
    if not person.name:
        raise InvalidPerson("name", "expected a name.")
    if person.type not in Participant.Type.values:
        raise InvalidPerson("type", f"expected employee, contractor or partner, found {person.type!r}.")
    if (person.type == Participant.Type.PARTNER) != (person.partner is not None):
        raise InvalidPerson("partner", "a partner's person names their partner organisation; nobody else does.")
    for name in ("name", "external_user_id", "employee_number", "federation_id", "region"):
        limit = Participant._meta.get_field(name).max_length
        if len(getattr(person, name)) > limit or "\x00" in getattr(person, name):
            raise InvalidPerson(name, f"expected at most {limit} characters.")


def _check_contact(person: Participant) -> None:
    if person.email:
        try:
            validate_email(person.email)
        except ValidationError:
            raise InvalidPerson(
                "email", f"expected an address such as ana@example.com, found {person.email!r}."
            ) from None
    if person.phone:
        person.phone = e164(person.phone, person.country)


def e164(text: str, country: str = "") -> str:
    """A phone number as +14155550123. Raises InvalidPerson."""
    try:
        number = phonenumbers.parse(text, country.upper() or None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise InvalidPerson("phone", f"expected an international number such as +14155550123, found {text!r}.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _check_dates_and_place(person: Participant) -> None:
    person.country = person.country.upper()
    if person.country and not (len(person.country) == 2 and person.country.isascii() and person.country.isalpha()):
        raise InvalidPerson("country", f"expected two letters such as PT, found {person.country!r}.")
    if person.time_zone not in available_timezones():
        raise InvalidPerson("time_zone", f"expected a zone such as Europe/Lisbon, found {person.time_zone!r}.")
    if person.started_on and person.ended_on and person.ended_on < person.started_on:
        raise InvalidPerson("ended_on", "expected a day not before started_on.")


def _check_manager(person: Participant) -> None:
    """Nobody manages themselves, directly or round about."""
    above, steps = person.manager_id, 0
    while above is not None and steps < 50:
        if above == person.pk:
            raise InvalidPerson("manager", f"{person.name} would be their own manager.")
        above = Participant.objects.filter(pk=above).values_list("manager_id", flat=True).first()
        steps += 1


def _check_unique(person: Participant) -> None:
    for name in UNIQUE:
        value = getattr(person, name)
        same = Participant.objects.filter(**{name: value}).exclude(pk=person.pk)
        if value and same.exists():
            raise InvalidPerson(name, f"somebody else has {value!r}.")


def _save(person: Participant) -> None:
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError as exc:  # somebody was quicker than the check
        raise InvalidPerson("participant", "an id or e-mail address was given to somebody else just now.") from exc


# --- teams and partners -------------------------------------------------------------------------------------------------


def create_team(*, actor=None, **values) -> Team:
    """Raises InvalidPerson for a taken or unfit code, NotAllowed."""
    return _write_group(Team(), values, actor)


def update_team(team: Team, *, actor=None, **values) -> Team:
    """Raises as create_team. Values that are the same already change nothing."""
    return _write_group(team, values, actor)


def create_partner(*, actor=None, **values) -> Partner:
    """Raises InvalidPerson for a taken or unfit code, NotAllowed."""
    return _write_group(Partner(), values, actor)


def update_partner(partner: Partner, *, actor=None, reason: str = "", **values) -> Partner:
    """Raises as create_partner. Values that are the same already change nothing. The facts of its people are credited
    anew, because rules read the code, the tier and the region through them."""
    return _write_group(partner, values, actor, reason)


def _write_group(group: Team | Partner, values: dict, actor, reason: str = "") -> Team | Partner:
    _require(actor)
    kind, new = type(group), group.pk is None
    with transaction.atomic():
        if not new:
            group = kind.objects.select_for_update(no_key=True).get(pk=group.pk)
        before = _group_shown(group)
        for name, value in values.items():
            if name not in GROUP_FIELDS[kind]:
                raise InvalidPerson(name, f"expected one of {', '.join(GROUP_FIELDS[kind])}.")
            setattr(group, name, value.strip() if isinstance(value, str) else value)
        _check_group(group)
        after = _group_shown(group)
        if new or after != before:
            _save_group(group)
            if not new:  # its code, tier and region are read by rules through its people
                group.participants.update(to_credit=True)
            action = f"{kind.__name__.lower()}.{'created' if new else 'changed'}"
            audit.record(action, group, actor=actor, before={} if new else before, after=after, reason=reason)
    return group


def _save_group(group: Team | Partner) -> None:
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError as exc:  # somebody was quicker than the check
        raise InvalidPerson("code", f"the code {group.code!r} was given to another one just now.") from exc


def _group_shown(group) -> dict:
    return {name: str(getattr(group, name) or "") for name in GROUP_FIELDS[type(group)]}


def _check_group(group) -> None:
    kind = type(group)
    try:
        CODE(group.code)
    except ValidationError:
        raise InvalidPerson(
            "code", f"expected letters, digits, dots, hyphens or underscores, found {group.code!r}."
        ) from None
    if len(group.code) > 64 or not group.name or len(group.name) > 150:
        raise InvalidPerson("name", "expected a code of at most 64 and a name of at most 150 characters.")
    if kind is Partner:
        _check_partner(group)
    if kind.objects.filter(code=group.code).exclude(pk=group.pk).exists():
        raise InvalidPerson("code", f"there is already a {kind.__name__.lower()} with the code {group.code!r}.")


def _check_partner(partner: Partner) -> None:
    partner.country = partner.country.upper()
    if partner.country and not (len(partner.country) == 2 and partner.country.isascii() and partner.country.isalpha()):
        raise InvalidPerson("country", f"expected two letters such as PT, found {partner.country!r}.")
    for name in ("tier", "region"):
        limit = Partner._meta.get_field(name).max_length
        if len(getattr(partner, name)) > limit or "\x00" in getattr(partner, name):
            raise InvalidPerson(name, f"expected at most {limit} characters.")
