"""What an order says: recipient, personalization, the exact bytes of its body, and its PONumber."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from rewards.checks import PO_PREFIX
from rewards.errors import InvalidOrder
from rewards.models import DeliveryType
from rewards.money import Money

E164 = re.compile(r"\+[1-9]\d{6,14}")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
MAX_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class DigitalDelivery:
    """The provider sends the card: exactly one of `email` and `sms` (E.164)."""

    email: str = field(default="", repr=False)
    sms: str = field(default="", repr=False)

    type = DeliveryType.DIGITAL

    @property
    def recipient(self) -> str:
        return self.email or self.sms

    def check(self) -> None:
        if bool(self.email) == bool(self.sms):
            raise InvalidOrder("delivery", "expected exactly one of e-mail and SMS number.")
        if self.sms and not E164.fullmatch(self.sms):
            raise InvalidOrder("delivery.sms", "expected a number in E.164 form, for example +14155550123.")
        if self.email:
            try:
                validate_email(self.email)
            except ValidationError:
                raise InvalidOrder("delivery.email", "expected an e-mail address.") from None

    def line(self) -> dict:
        return {"DigitalDeliveryAddress": {"Email": self.email} if self.email else {"Sms": self.sms}}


@dataclass(frozen=True, slots=True)
class Links:
    """The provider answers with a claim link, which we keep encrypted and show to its recipient alone."""

    type = DeliveryType.LINKS
    recipient = ""

    def check(self) -> None:
        """Nothing to check: a link has no address."""

    def line(self) -> dict:
        return {}


@dataclass(frozen=True, slots=True)
class PhysicalShipment:
    """A card by post. Off until E2R_PHYSICAL: the provider's page leaves CarrierId unclear."""

    name: str = field(repr=False)
    address_line1: str = field(repr=False)
    city: str = field(repr=False)
    state: str
    zip: str
    country: str
    shipping_method_id: str
    carrier_id: str = "DEFAULT"

    type = DeliveryType.PHYSICAL

    @property
    def recipient(self) -> str:
        return self.name

    def check(self) -> None:
        if not settings.E2R_PHYSICAL:
            raise InvalidOrder("delivery", "physical cards are switched off (E2R_PHYSICAL).")
        for name in ("name", "address_line1", "city", "zip", "shipping_method_id", "carrier_id"):
            if not getattr(self, name).strip():
                raise InvalidOrder(f"delivery.{name}", "expected some text.")
        if not re.fullmatch(r"[A-Z]{2}", self.country):
            raise InvalidOrder("delivery.country", "expected a two-letter country code, for example US.")

    def line(self) -> dict:
        address = {
            "ShippingMethodId": self.shipping_method_id,
            "CarrierId": self.carrier_id,
            "Name": self.name,
            "AddressLine1": self.address_line1,
            "City": self.city,
            "State": self.state,
            "Zip": self.zip,
            "Country": self.country,
        }
        return {"PhysicalDeliveryAddress": {key: value for key, value in address.items() if value}}


Delivery = DigitalDelivery | Links | PhysicalShipment


@dataclass(frozen=True, slots=True)
class Personalization:
    """What the recipient reads. Empty parts are left out."""

    to: str = field(default="", repr=False)
    from_name: str = ""
    from_email: str = field(default="", repr=False)
    message: str = ""
    branding_id: str = ""

    def check(self) -> None:
        for name, limit in (("to", 200), ("from_name", 200), ("from_email", 254), ("message", MAX_MESSAGE)):
            value = getattr(self, name)
            if len(value) > limit or CONTROL.search(value):
                raise InvalidOrder(f"personalization.{name}", f"expected at most {limit} printable characters.")

    def json(self) -> dict:
        parts = {"To": self.to, "FromName": self.from_name, "FromEmail": self.from_email, "Message": self.message}
        return {key: value for key, value in parts.items() if value}


def po_number(po_parts: Sequence[str]) -> str:
    """The number these parts always lead to, so that a restored backup meets its own 409 instead of paying twice.

    `<E2R_PO_PREFIX>-` and 24 base32 characters of an HMAC: unguessable, without personal data, at most 37 long.
    """
    parts = [str(part) for part in po_parts]
    if not parts or not all(parts) or any("|" in part or "\0" in part for part in parts):
        raise InvalidOrder("po_parts", "expected at least one text; none may be empty or contain '|'.")
    if not PO_PREFIX.fullmatch(settings.E2R_PO_PREFIX):
        raise InvalidOrder("E2R_PO_PREFIX", "expected 1 to 12 of A-Z, a-z, 0-9.")
    digest = hmac.new(settings.E2R_PO_KEY.encode(), "|".join(parts).encode(), hashlib.sha256).digest()
    return f"{settings.E2R_PO_PREFIX}-{base64.b32encode(digest).decode()[:24]}"


def order_body(
    *, po: str, product_id: str, value: Money, delivery: Delivery, personalization: Personalization | None, branding: str,
    hook_url: str,
) -> bytes:  # fmt: skip
    """The exact bytes of POST /v1/Orders: one line, quantity 1, documented PascalCase keys, exact decimals."""
    line = {"ProductId": product_id, "Value": value.decimal, "Quantity": 1, **delivery.line()}
    if personalization and (words := personalization.json()):
        line["Personalization"] = words
    if branding:
        line["BrandingId"] = branding
    body = {"Type": str(delivery.type.value), "LineItems": [line], "PONumber": po}
    if hook_url:
        body["WebhookSettings"] = {"FulfillmentComplete": hook_url}
    return encode(body).encode()


def batch_body(po: str, bodies: Sequence[bytes], hook_url: str) -> bytes:
    """The exact bytes of an order with several lines: of each body its line, as it was approved, under the line's own number.

    Claim links are sent without the recipient's name: lines of one product and value are then the same to the provider, so that
    it does not matter which of their links is whose (docs/decisions/0008-batches.md).
    """
    whole = [json.loads(body, parse_float=Decimal) for body in bodies]
    lines = []
    for single in whole:
        (line,) = single["LineItems"]
        if single["Type"] == DeliveryType.LINKS.value:
            words = {key: text for key, text in line.pop("Personalization", {}).items() if key != "To"}
            line |= {"Personalization": words} if words else {}
        lines.append({**line, "ExternalId": single["PONumber"]})
    body = {"Type": whole[0]["Type"], "LineItems": lines, "PONumber": po}
    if hook_url:
        body["WebhookSettings"] = {"FulfillmentComplete": hook_url}
    return encode(body).encode()


def encode(value) -> str:
    """JSON in which a Decimal is written digit by digit and never passes through a binary float."""
    if isinstance(value, Decimal):
        return str(value.quantize(Decimal(1))) if value == value.to_integral_value() else f"{value:f}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(encode, value)) + "]"
    if isinstance(value, float):
        raise TypeError("floats never appear in an order")
    return json.dumps(value, ensure_ascii=False)
