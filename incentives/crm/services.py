"""Changes people make: connections and their secrets, identity links, repair and replay of deliveries."""

from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import available_timezones

from django.db import transaction
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed
from incentives.crm import credentials, events, signing
from incentives.crm.errors import CannotRepair, MalformedEvent, OwnConnection
from incentives.crm.models import Connection, ConnectionSecret, Delivery, IdentityLink
from incentives.crm.nudge import nudge
from incentives.participants.models import Participant
from rewards.money import MINOR_DIGITS

MAX_ACTIVE_SECRETS = 2
MOST = 10_000_000_000_000
"""What a fact of Laurel's own may be worth at most, in major units; its record has limits of its own."""
SETTINGS = (
    "name", "currency", "time_zone", "go_live_at", "type_map", "stage_map", "field_map", "key_header",
    "allowed_origins", "rate_per_minute", "max_amount", "silent_after_hours",
)  # fmt: skip
REPAIRABLE = (
    "participant", "amount", "currency", "quantity", "occurred_at", "close_date", "stage", "state", "kind", "region",
    "splits", "lines", "value",
)  # fmt: skip


@dataclass
class Issued:
    """A connection or secret just made, with the clear text that is shown this once and stored nowhere."""

    connection: Connection
    token: str = ""
    secrets: dict[str, str] = field(default_factory=dict)


def _require(actor, permission: str) -> None:
    """Raises NotAllowed. `actor` None is Laurel itself: the command line, the demo."""
    if actor is not None and not actor.can(permission):
        raise NotAllowed


def create_connection(*, name: str, currency: str, actor=None, kind=Connection.Kind.GENERIC, **more) -> Issued:
    """Make a connection with a new address token; a generic or API one gets a bearer key as well.

    The clear texts are in the answer and nowhere else. Raises DomainError for a taken name or a bad setting.
    """
    _require(actor, "connections.edit")
    if kind in Connection.OWN:
        raise OwnConnection
    connection = Connection(kind=kind, created_by=actor, token_hash="")
    _assign(connection, {"name": name, "currency": currency, **more})
    token = credentials.new_token()
    connection.token_hash = credentials.sha256(token)
    with transaction.atomic():
        _name_is_free(connection)
        connection.save(force_insert=True)
        audit.record("connection.created", connection, actor=actor, after=_shown(connection))
        issued = Issued(connection, token)
        if kind != Connection.Kind.FILE:
            issued.secrets = add_secret(connection, ConnectionSecret.Kind.BEARER, actor=actor).secrets
    return issued


def awards_connection() -> Connection:
    """Laurel's own connection, through which awards become activities; made when it is first needed."""
    return _own_connection(Connection.Kind.AWARDS, "Awards")


def claims_connection() -> Connection:
    """Laurel's own connection, through which approved claims become activities; made when it is first needed."""
    return _own_connection(Connection.Kind.CLAIMS, "Claims")


def _own_connection(kind: str, name: str) -> Connection:
    known = Connection.objects.filter(kind=kind).first()
    if known is not None:
        return known
    taken = Connection.objects.filter(name=name).exists()
    values = {
        "name": f"{name} (Laurel)" if taken else name,
        "currency": "USD",  # every award and claim names its own
        "token_hash": credentials.sha256(credentials.new_token()),
        "max_amount": MOST,
    }
    with transaction.atomic():
        connection, made = Connection.objects.get_or_create(kind=kind, defaults=values)
        if made:
            audit.record("connection.created", connection, after=_shown(connection))
    return connection


def update_connection(connection: Connection, *, actor, **changes) -> Connection:
    """Change settings. Raises DomainError naming the setting that does not fit; nothing is changed then."""
    _require(actor, "connections.edit")
    before = _shown(connection)
    with transaction.atomic():
        _assign(connection, changes)
        _name_is_free(connection)
        connection.save(update_fields=[name for name in SETTINGS if name in changes])
        audit.record("connection.changed", connection, actor=actor, before=before, after=_shown(connection))
        _forget(connection)
    return connection


def _forget(connection: Connection) -> None:
    """Drop what is cached now, and again after the commit: another thread may have read the old rows in between."""
    credentials.forget(connection)
    transaction.on_commit(lambda: credentials.forget(connection))


def _shown(connection: Connection) -> dict:
    return {name: str(getattr(connection, name)) for name in (*SETTINGS, "kind", "status")}


def _name_is_free(connection: Connection) -> None:
    if Connection.objects.filter(name=connection.name).exclude(pk=connection.pk).exists():
        raise DomainError(f"There is already a connection named {connection.name!r}. Choose another name.")


def _assign(connection: Connection, values: dict) -> None:
    for name, value in values.items():
        if name not in SETTINGS:
            raise DomainError(f"{name} is not a setting of a connection; expected one of {', '.join(SETTINGS)}.")
        setattr(connection, name, value)
    connection.name = (connection.name or "").strip()
    if not connection.name:
        raise DomainError("name: expected a name for the connection.")
    if connection.currency not in MINOR_DIGITS:
        raise DomainError(f"currency: expected an ISO 4217 code such as USD, found {connection.currency!r}.")
    if connection.time_zone not in available_timezones():
        raise DomainError(f"time_zone: expected a zone such as America/New_York, found {connection.time_zone!r}.")
    _check_map(connection.stage_map, "stage_map", events.STATES)
    _check_map(connection.type_map, "type_map", events.KINDS)


def _check_map(found, name: str, allowed) -> None:
    if not isinstance(found, dict):
        raise DomainError(f"{name}: expected an object of names and values.")
    for label, value in found.items():
        if value not in allowed:
            raise DomainError(f"{name}: expected one of {', '.join(allowed)} for {label!r}, found {value!r}.")


def add_secret(connection: Connection, kind: str, *, actor=None, user: str = "laurel", expires_days=None) -> Issued:
    """Make a credential; its clear text is in the answer once. Two of a kind may be active at a time, for rotation.

    Raises DomainError when two are active: retire one first.
    """
    _require(actor, "connections.edit")
    kind = ConnectionSecret.Kind(kind)
    clear = credentials.new_signing_secret() if kind == ConnectionSecret.Kind.SIGNING else credentials.new_token()
    secret = ConnectionSecret(connection=connection, kind=kind, expires_at=credentials.expiry(expires_days))
    if kind == ConnectionSecret.Kind.SIGNING:
        secret.sealed = credentials.seal(clear)
    elif kind == ConnectionSecret.Kind.BASIC:
        clear = f"{user}:{clear}"
        secret.digest = credentials.sha256(clear)
    else:
        secret.digest = credentials.sha256(clear)
    return _store_secret(connection, secret, clear, actor)


def set_signing_secret(connection: Connection, clear: str, *, actor=None) -> Issued:
    """Keep a signing secret that the sender chose. Raises DomainError unless it is `whsec_` and 24 to 64 bytes."""
    _require(actor, "connections.edit")
    try:
        signing.decode_secret(clear)
    except ValueError as exc:
        raise DomainError(f"signing secret: {exc}.") from exc
    secret = ConnectionSecret(
        connection=connection, kind=ConnectionSecret.Kind.SIGNING, sealed=credentials.seal(clear.strip())
    )
    return _store_secret(connection, secret, clear.strip(), actor)


def _store_secret(connection: Connection, secret: ConnectionSecret, clear: str, actor) -> Issued:
    if connection.is_own:
        raise OwnConnection
    with transaction.atomic():
        Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        active = connection.secrets.filter(kind=secret.kind).exclude(expires_at__lte=timezone.now())
        if active.count() >= MAX_ACTIVE_SECRETS:
            raise DomainError(f"Two secrets of this kind are active ({secret.get_kind_display()}). Retire one first.")
        secret.save(force_insert=True)
        audit.record("connection.secret_added", connection, actor=actor, after={"kind": secret.kind})
        _forget(connection)
    return Issued(connection, secrets={str(secret.kind): clear})


def rotate_secret(connection: Connection, kind: str, *, actor, grace_hours: int = 24) -> Issued:
    """A new secret beside the newest active one, which stays valid for `grace_hours`; older ones end now."""
    _require(actor, "connections.edit")
    now = timezone.now()
    with transaction.atomic():
        active = list(connection.secrets.filter(kind=kind).exclude(expires_at__lte=now).order_by("-pk"))
        for secret in active[1:]:
            _expire(secret, now, actor)
        if active:
            _expire(active[0], now + timedelta(hours=grace_hours), actor)
        return add_secret(connection, kind, actor=actor)


def retire_secret(secret: ConnectionSecret, *, actor) -> None:
    """End a credential now. A repeat does nothing."""
    _require(actor, "connections.edit")
    if secret.expires_at and secret.expires_at <= timezone.now():
        return
    with transaction.atomic():
        _expire(secret, timezone.now(), actor)


def _expire(secret: ConnectionSecret, at, actor) -> None:
    secret.expires_at = at
    secret.save(update_fields=["expires_at"])
    audit.record(
        "connection.secret_expires",
        secret.connection,
        actor=actor,
        after={"kind": secret.kind, "secret": secret.public_id, "at": at},
    )
    _forget(secret.connection)


def rotate_token(connection: Connection, *, actor) -> Issued:
    """A new address; the old one answers 404 at once (other processes: within seconds)."""
    _require(actor, "connections.edit")
    if connection.is_own:
        raise OwnConnection
    credentials.forget(connection)
    token = credentials.new_token()
    with transaction.atomic():
        connection.token_hash = credentials.sha256(token)
        connection.save(update_fields=["token_hash"])
        audit.record("connection.address_changed", connection, actor=actor)
    return Issued(connection, token)


def pause(connection: Connection, *, actor) -> None:
    """Deliveries are still stored, and wait. A repeat does nothing."""
    _set_status(connection, Connection.Status.PAUSED, actor)


def resume(connection: Connection, *, actor) -> None:
    """Work through what waited. A repeat does nothing."""
    _set_status(connection, Connection.Status.ACTIVE, actor)


def _set_status(connection: Connection, status: str, actor) -> None:
    _require(actor, "connections.edit")
    with transaction.atomic():
        if not Connection.objects.filter(pk=connection.pk).exclude(status=status).update(status=status):
            return
        before, connection.status = connection.status, status
        audit.record(
            f"connection.{status}", connection, actor=actor, before={"status": before}, after={"status": status}
        )
        _forget(connection)
        nudge()


# --- quarantine -------------------------------------------------------------------------------------------------------

TROUBLED = (Delivery.Status.QUARANTINED, Delivery.Status.FAILED)


def replay_delivery(delivery: Delivery, *, actor=None, reason: str = "") -> Delivery:
    """Process a delivery again from what was stored. A fact that counted already stays one fact.

    Raises CannotRepair when its content was erased.
    """
    return replay_deliveries([delivery], actor=actor, reason=reason)[0]


def replay_deliveries(deliveries, *, actor=None, reason: str = "") -> list[Delivery]:
    """Replay many, one record each. Those that wait already are left alone."""
    _require(actor, "activities.repair")
    now = timezone.now()
    with transaction.atomic():
        pks = [delivery.pk for delivery in deliveries]
        locked = list(Delivery.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=pks).order_by("pk"))
        for delivery in locked:
            if not delivery.event:
                raise CannotRepair("The content of this delivery was erased; it cannot be processed again.")
            if delivery.status != Delivery.Status.PENDING:
                audit.record(
                    "delivery.replayed", delivery, actor=actor, before={"status": delivery.status}, reason=reason
                )
                _requeue(delivery, now)
        nudge()
    return locked


def _requeue(delivery: Delivery, now) -> None:
    delivery.status, delivery.code, delivery.message = Delivery.Status.PENDING, "", ""
    delivery.attempts, delivery.next_attempt_at, delivery.lease_until = 0, now, None
    delivery.lease_gen += 1  # whoever held it writes nothing any more
    delivery.save()


def repair_delivery(delivery: Delivery, changes: dict, *, actor, reason: str) -> Delivery:
    """Mend mapped values of a quarantined delivery and replay it. `participant` may be a Participant.

    The raw content stays as received; the mended values lie over it. Raises CannotRepair (not in quarantine, no reason,
    nothing to mend), MalformedEvent (a value that does not fit); nothing is changed then.
    """
    _require(actor, "activities.repair")
    if not reason.strip():
        raise CannotRepair("reason: say why the value is changed.")
    overrides = {k: _mended(k, v) for k, v in changes.items()}
    if "state" in overrides:  # a kind such as deal.won states a state of its own
        overrides.setdefault("kind", {"won": "deal.won", "lost": "deal.lost"}.get(overrides["state"], "deal.updated"))
    if not overrides:
        raise CannotRepair("Nothing was changed.")
    with transaction.atomic():
        delivery = (
            Delivery.objects.select_for_update(of=("self",), no_key=True)
            .select_related("connection")
            .get(pk=delivery.pk)
        )
        if delivery.connection.is_own:
            raise CannotRepair("Laurel states this fact from a record of its own. Change that record instead.")
        if delivery.status not in TROUBLED:
            raise CannotRepair(f"This delivery is {delivery.get_status_display().lower()}, not in quarantine.")
        before = {k: delivery.overrides.get(k, delivery.event.get(k)) for k in overrides}
        delivery.overrides = {**delivery.overrides, **overrides}
        events.normalise({**delivery.event, **delivery.overrides}, require_time=False)
        audit.record(
            "delivery.repaired",
            delivery,
            actor=actor,
            before=_without_addresses(before),
            after=_without_addresses(overrides),
            reason=reason,
        )
        _requeue(delivery, timezone.now())
        nudge()
    return delivery


def _mended(name: str, value):
    if name not in REPAIRABLE:
        raise MalformedEvent(name, "one of " + ", ".join(REPAIRABLE))
    return {"public_id": str(value.public_id)} if isinstance(value, Participant) else value


def _without_addresses(values: dict) -> dict:
    """The audit trail keeps no e-mail addresses."""
    person = values.get("participant")
    if not isinstance(person, dict):
        return values
    return {**values, "participant": {k: v for k, v in person.items() if k != "email"}}


def dismiss_delivery(delivery: Delivery, *, actor, reason: str) -> None:
    """Take a delivery off the quarantine list for good; it counts for nothing. It can still be replayed."""
    _require(actor, "activities.repair")
    if not reason.strip():
        raise CannotRepair("reason: say why this delivery does not count.")
    with transaction.atomic():
        changed = Delivery.objects.filter(pk=delivery.pk, status__in=TROUBLED).update(
            status=Delivery.Status.IGNORED, code="dismissed", message=reason[:500]
        )
        if not changed:
            raise CannotRepair("This delivery is not in quarantine. Reload to see it.")
        audit.record("delivery.dismissed", delivery, actor=actor, before={"code": delivery.code}, reason=reason)


def link_identity(
    connection: Connection, external_user_id: str, participant: Participant, *, actor, reason: str = "", replay=True
) -> IdentityLink:
    """Say whom a connection means by an id, and replay what waited for that. A repeat changes nothing."""
    _require(actor, "activities.repair")
    if not external_user_id:
        raise CannotRepair("external_user_id: expected the id as the source states it.")
    with transaction.atomic():
        before = IdentityLink.objects.filter(connection=connection, external_user_id=external_user_id).first()
        link, _ = IdentityLink.objects.update_or_create(
            connection=connection,
            external_user_id=external_user_id,
            defaults={"participant": participant, "source": IdentityLink.Source.PERSON},
        )
        audit.record(
            "connection.identity_linked",
            connection,
            actor=actor,
            before={"participant": before.participant.key} if before else {},
            after={"external_user_id": external_user_id, "participant": participant.key},
            reason=reason,
        )
        if replay:
            _replay_waiting_for(connection, external_user_id, actor)
    return link


def _replay_waiting_for(connection: Connection, external_user_id: str, actor) -> None:
    waiting = Delivery.objects.filter(
        connection=connection,
        status=Delivery.Status.QUARANTINED,
        code__in=["unknown_participant", "ambiguous_participant"],
    )
    meant = [d for d in waiting.only("pk", "event", "overrides") if external_user_id in _stated_ids(d)]
    replay_deliveries(meant, actor=actor, reason="identity linked")


def _stated_ids(delivery: Delivery) -> set[str]:
    event = {**delivery.event, **delivery.overrides}
    people = [event.get("participant", {}), *(split.get("participant", {}) for split in event.get("splits", []))]
    return {person.get("external_user_id", "") for person in people if isinstance(person, dict)}


def erase_raw(before, *, limit: int = 5000) -> int:
    """Blank the content of deliveries received before `before` (retention); keys and hashes stay. Returns how many."""
    with transaction.atomic():
        old = Delivery.objects.filter(received_at__lt=before).exclude(raw="", event={})
        pks = list(old.exclude(status=Delivery.Status.PENDING).values_list("pk", flat=True)[:limit])
        count = Delivery.objects.filter(pk__in=pks).update(raw="", event={}, overrides={}, headers={})
    return count


def erase_person(participant: Participant, *, actor=None) -> int:
    """Blank the raw content of every delivery a participant's facts came from. Facts stay, named by key. Returns how many."""
    _require(actor, "participants.edit")
    with transaction.atomic():
        rows = Delivery.objects.filter(activities__participant=participant).exclude(raw="", event={})
        count = Delivery.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
            raw="", event={}, overrides={}, headers={}
        )
        audit.record("participant.deliveries_erased", participant, actor=actor, after={"deliveries": count})
    return count
