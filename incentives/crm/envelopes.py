"""What a generic event may come wrapped in: CloudEvents 1.0 (structured, batch, binary) and the Standard Webhooks body.

Source: crm-connectors 3.3 and 3.4.
"""

from urllib.parse import parse_qsl, unquote

from incentives.crm import events
from incentives.crm.errors import MalformedEvent, UnsupportedMediaType
from incentives.crm.jsonio import check_text, loads

MAX_BATCH = 100
_CLOUD = {
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
}


def media_type(header: str) -> str:
    """The media type in lower case. Raises UnsupportedMediaType for what we do not read, or another charset."""
    name, *parameters = (part.strip().lower() for part in (header or "application/json").split(";"))
    charset = next((p.split("=", 1)[1].strip("\"' ") for p in parameters if p.startswith("charset=")), "utf-8")
    json_like = name == "application/json" or (name.startswith("application/") and name.endswith("+json"))
    if charset not in {"utf-8", "utf8", "us-ascii"} or not (json_like or name == "application/x-www-form-urlencoded"):
        raise UnsupportedMediaType
    return name


def parse(media: str, headers, body: bytes) -> tuple[list, bool]:
    """The events of a request as `(events, is_batch)`, unwrapped but not normalised.

    Each is a dict of the generic format; those from a CloudEvent carry `_key`, its delivery key.
    """
    if media == "application/x-www-form-urlencoded":
        return [_form(body)], False
    if headers.get("ce-specversion") is not None:
        return [_cloud(_binary(headers, body))], False
    value = loads(body)
    if media == "application/cloudevents-batch+json":
        if not isinstance(value, list):
            raise MalformedEvent("body", "a JSON array of CloudEvents", type(value).__name__)
        return [_cloud(item) for item in value], True
    if media == "application/cloudevents+json":
        return [_cloud(value)], False
    if isinstance(value, list):
        return [_unwrap(item) for item in value], True
    return [_unwrap(value)], False


def _unwrap(value):
    if not isinstance(value, dict):
        return value
    if "specversion" in value:
        return _cloud(value)
    if isinstance(value.get("data"), dict) and isinstance(value.get("type"), str) and "external_id" not in value:
        return _standard_webhook(value)
    return value


def _standard_webhook(value: dict) -> dict:
    """`{"type", "timestamp", "data"}`: the type gives the kind and the timestamp the moment unless data says so."""
    event = dict(value["data"])
    _set_kind(event, value["type"])
    if not event.get("occurred_at") and value.get("timestamp"):
        event["occurred_at"] = value["timestamp"]
    return event


def _set_kind(event: dict, kind: str) -> None:
    if event.get("kind"):
        return
    if kind in events.KINDS:
        event["kind"] = kind
    else:
        event["type"] = kind  # the connection's type map decides when the delivery is processed


def _form(body: bytes) -> dict:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=500, errors="strict")
    except ValueError as exc:
        raise MalformedEvent("body", "form fields in UTF-8") from exc
    form = dict(pairs)
    if len(form) != len(pairs):
        raise MalformedEvent("body", "every form field once")
    for name, value in pairs:
        check_text(name + value, name[:80])
    return form


def _binary(headers, body: bytes) -> dict:
    """A binary-mode CloudEvent: attributes in `ce-*` headers, the body is the data."""
    event = {name[3:].lower(): unquote(value) for name, value in headers.items() if name.lower().startswith("ce-")}
    for name, value in event.items():
        check_text(value, f"ce-{name}")
    if body:
        event["data"] = loads(body)
    return event


def _cloud(value) -> dict:
    """One CloudEvent as a generic event. `data` that is a JSON text stays a text and is refused here."""
    if not isinstance(value, dict):
        raise MalformedEvent("body", "a CloudEvent object", type(value).__name__)
    value = {key: member for key, member in value.items() if member is not None}
    if value.get("specversion") != "1.0":
        raise MalformedEvent("specversion", '"1.0"', value.get("specversion"))
    for name in ("id", "source", "type"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise MalformedEvent(name, "a non-empty text", value.get(name))
    data = value.get("data", {})
    if "data_base64" in value or not isinstance(data, dict):
        raise MalformedEvent("data", "a JSON object with the activity")
    return _cloud_event(value, data)


def _cloud_event(value: dict, data: dict) -> dict:
    event = dict(data)
    _set_kind(event, value["type"])
    event.setdefault("external_id", f"{value['source']}#{value['id']}"[:255])
    if value.get("time") and not event.get("occurred_at"):
        event["occurred_at"] = value["time"]
    if value.get("subject") and not event.get("object") and not event.get("object_id"):
        event["object"] = {"id": value["subject"], "version": value.get("time", "")}
    for name, extension in value.items():
        if name not in _CLOUD:
            event.setdefault(name, extension)
    event["_key"] = f"ce:{value['source']}|{value['id']}"
    return event
