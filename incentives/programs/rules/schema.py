"""Program definition, version 1: the shape of the document (docs/program-definition.md explains every key).

Money and rates are text and become Decimal; nothing is a float. Models refuse unknown keys and are frozen.
Use `parsing.parse_definition`, which also enforces the limits and answers with errors people can read.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rewards.money import MINOR_DIGITS

from .conditions import Condition, parse_condition, plain_condition
from .limits import (
    MAX_DAYS,
    MAX_LEVEL,
    MAX_MAJOR,
    MAX_PERCENT,
    TEXT_DECIMAL,
    decimal_text,
    is_blank,
    is_plain,
    one_of,
    refuse,
)


def _money(value: Any, info: ValidationInfo) -> Decimal:
    """Text such as "50.00" as Decimal: not negative, at most MAX_MAJOR, no more digits than the currency has."""
    if not isinstance(value, str) or not TEXT_DECIMAL.fullmatch(value):
        raise refuse(value, 'money as text, such as "50.00"')
    amount = Decimal(value)
    if amount < 0 or amount > MAX_MAJOR:
        raise refuse(value, f"an amount from 0 to {MAX_MAJOR:,}")
    digits = (info.context or {}).get("digits")
    if digits is not None:
        exact = amount.quantize(Decimal(1).scaleb(-digits))
        if exact != amount:
            raise refuse(value, f"at most {digits} digits after the point in {info.context['currency']}")
        amount = exact
    return amount


def _positive(amount: Decimal) -> Decimal:
    if amount <= 0:
        raise refuse(str(amount), "more than zero")
    return amount


def _level(value: Any) -> Decimal:
    """A threshold in units of the measure or in per cent: text, or a whole JSON number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not TEXT_DECIMAL.fullmatch(value):
        raise refuse(value, 'a number as text, such as "100"')
    level = Decimal(value)
    if level < 0 or level > MAX_LEVEL:
        raise refuse(value, f"a number from 0 to {MAX_LEVEL:,}")
    if level != level.quantize(Decimal("0.0001")):
        raise refuse(value, "at most 4 digits after the point")
    return level


def _percentage(value: Any) -> Decimal:
    """Per cent as text: "5" and "5 %" are five per cent."""
    text = value.strip().removesuffix("%").rstrip() if isinstance(value, str) else ""
    if not TEXT_DECIMAL.fullmatch(text):
        raise refuse(value, 'per cent as text, such as "5" for 5 %')
    percent = Decimal(text)
    if percent <= 0 or percent > MAX_PERCENT:
        raise refuse(value, f"more than 0 and at most {MAX_PERCENT:,} per cent")
    if percent != percent.quantize(Decimal("0.000001")):
        raise refuse(value, "at most 6 digits after the point")
    return percent


def _rate(value: Any) -> Decimal:
    text = value.strip().removesuffix("%").rstrip() if isinstance(value, str) else ""
    if TEXT_DECIMAL.fullmatch(text) and Decimal(text) == 0:
        return Decimal(0)  # a band may pay nothing
    return _percentage(value)


def _share(value: Any) -> Decimal:
    percent = _percentage(value)
    if percent > 100 or percent != percent.quantize(Decimal("0.0001")):
        raise refuse(value, "at most 100 per cent, with at most 4 digits after the point")
    return percent


def _multiplier(value: Any) -> Decimal:
    if not isinstance(value, str) or not TEXT_DECIMAL.fullmatch(value):
        raise refuse(value, 'a factor as text, such as "1.5"')
    factor = Decimal(value)
    if factor < 0 or factor > 100 or factor != factor.quantize(Decimal("0.0001")):
        raise refuse(value, "a factor from 0 to 100 with at most 4 digits after the point")
    return factor


def _day(value: Any) -> date:
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        day = None
    if day is None or value[7] != "-" or not 1990 <= day.year <= 2200:
        raise refuse(value, 'a day such as "2026-07-01"')
    return day


def _text(value: Any) -> str:
    """One line of text that can be seen: names end up in e-mails, exports and logs."""
    if not isinstance(value, str):
        raise refuse(value, "text")
    if not is_plain(value):
        raise refuse(value, "text on one line, without control characters")
    if value and is_blank(value):
        raise refuse(value, "text that is not empty")
    return value.strip()


def _long_text(value: Any) -> str:
    text = value.replace("\r\n", "\n") if isinstance(value, str) else None
    if text is None or not is_plain(text, lines=True):
        raise refuse(value, "text" if text is None else "text without control characters")
    return text.strip()


def _each_once(value: Any) -> Any:
    """Two keys that differ in the spaces around them would be one."""
    if isinstance(value, dict):
        names = [key.strip() for key in value if isinstance(key, str)]
        if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
            raise refuse(twice, "each key once")
    return value


def _products(value: Any) -> tuple[str, ...] | str:
    if value == "any":
        return value
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= 500:
        raise refuse(value, '"any" or a list of 1 to 500 product codes')
    bad = next((item for item in value if not _is_code(item)), None)
    codes = [] if bad is not None else [item.strip() for item in value]
    if bad is not None or len(set(codes)) < len(value):
        raise refuse(bad if bad is not None else value, "product codes as text, each once")
    return tuple(codes)


def _is_code(item: Any) -> bool:
    return isinstance(item, str) and 0 < len(item.strip()) <= 100 and is_plain(item) and not is_blank(item)


def _condition(value: Any, info: ValidationInfo) -> Condition:
    condition, problems = parse_condition(value, line=info.field_name == "lines")
    if problems:
        raise PydanticCustomError("problems", "problems", {"problems": problems})
    return condition


_NO_ZONES = frozenset(("localtime", "posixrules", "Factory"))
_NUMBER = PlainSerializer(decimal_text, return_type=str)
_SCHEMA = {"type": "string", "pattern": TEXT_DECIMAL.pattern}
MoneyAmount = Annotated[
    Decimal, BeforeValidator(_money), PlainSerializer(str, return_type=str),
    WithJsonSchema({**_SCHEMA, "description": "Money in the program's currency, as text."}),
]  # fmt: skip
Prize = Annotated[MoneyAmount, AfterValidator(_positive)]
Level = Annotated[
    Decimal, BeforeValidator(_level), _NUMBER,
    WithJsonSchema({"anyOf": [_SCHEMA, {"type": "integer"}], "description": "Units of the measure, or per cent."}),
]  # fmt: skip
_PERCENT_SCHEMA = {"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,12})?( ?%)?$"}
Rate = Annotated[
    Decimal, BeforeValidator(_rate), _NUMBER,
    WithJsonSchema({**_PERCENT_SCHEMA, "description": 'Per cent, as text: "5" is 5 %.'}),
]  # fmt: skip
Share = Annotated[Decimal, BeforeValidator(_share), _NUMBER, WithJsonSchema(_PERCENT_SCHEMA)]
Multiplier = Annotated[Decimal, BeforeValidator(_multiplier), _NUMBER, WithJsonSchema(_SCHEMA)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Text = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=200)]
LongText = Annotated[str, BeforeValidator(_long_text), Field(max_length=2000)]
Names = Annotated[tuple[Text, ...], Field(max_length=1000)]
Multipliers = Annotated[dict[Text, Multiplier], Field(max_length=50), BeforeValidator(_each_once)]
Products = Annotated[
    Any, BeforeValidator(_products),
    WithJsonSchema({"anyOf": [{"const": "any"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]  # fmt: skip
ConditionTree = Annotated[
    Any, BeforeValidator(_condition), PlainSerializer(plain_condition),
    WithJsonSchema({"x-condition": True}),
]  # fmt: skip


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Eligible(Part):
    """Who can earn. An empty list does not restrict; several lists must all match. Invited people are added to those who
    match and excluded ones taken out (Enrollment rows); with `invited_only` nobody else can earn."""

    types: tuple[Literal["employee", "contractor", "partner"], ...] = ()
    teams: Names = ()
    partners: Names = ()
    partner_tiers: Names = ()
    regions: Names = ()
    invited_only: Annotated[bool, Field(strict=True)] = False

    @model_serializer(mode="wrap")
    def _short(self, handler):
        """`invited_only` is written only where it is true: documents made before it keep their digest."""
        return {key: value for key, value in handler(self).items() if key != "invited_only" or value}


class Overlay(Part):
    """A share for somebody else, on top of what the owner or the splits get."""

    to: Literal["manager", "second_manager", "participant"]
    participant: Text | None = None
    percent: Share

    @model_validator(mode="after")
    def _named(self):
        if (self.to == "participant") != (self.participant is not None):
            raise refuse(self.participant, 'a participant together with "to": "participant", and only then')
        return self


class CreditRule(Part):
    to: Literal["owner", "splits"] = "owner"
    overlays: Annotated[tuple[Overlay, ...], Field(max_length=10)] = ()


class Measure(Part):
    """What is counted. `lines` restricts amount and quantity to the product lines that match."""

    metric: Annotated[str, Field(pattern=r"^(amount|quantity|deals|value|attributes\.[A-Za-z0-9_\-. ]{1,100})$")] = (
        "amount"
    )
    lines: ConditionTree | None = None

    @model_validator(mode="after")
    def _lines_need_amount_or_quantity(self):
        if self.lines is not None and self.metric not in ("amount", "quantity"):
            raise refuse(self.metric, "lines only together with the metric amount or quantity")
        return self


class Caps(Part):
    deal: Prize | None = None
    period: Prize | None = None
    participant: Prize | None = None


class Stacking(Part):
    group: Text
    rule: Literal["all", "highest", "first"] = "all"


class PayoutRule(Part):
    when: Literal["instant", "weekly", "monthly", "at_close"] = "at_close"
    minimum: Annotated[MoneyAmount, Field(validate_default=True)] = "0"
    hold_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 0
    recovery: Literal["next_payout", "write_off", "none"] = "next_payout"


CHOOSE_WITHIN_DAYS = 14
"""How long a participant may choose where the delivery does not say otherwise."""


class Delivery(Part):
    type: Literal["DigitalDelivery", "Links", "PhysicalShipment"]
    channel: Literal["email", "sms"] | None = None
    products: Products
    choose_within_days: Annotated[int, Field(strict=True, ge=1, le=90)] | None = None

    @model_validator(mode="after")
    def _channel_only_digital(self):
        if self.channel is not None and self.type != "DigitalDelivery":
            raise refuse(self.channel, 'no channel unless the type is "DigitalDelivery"')
        return self

    @model_validator(mode="after")
    def _days_only_with_a_choice(self):
        if self.choose_within_days is not None and self.products != "any" and len(self.products) == 1:
            raise refuse(
                self.choose_within_days, "no choose_within_days where there is one product and nothing to choose"
            )
        return self


class Personalization(Part):
    from_name: Annotated[str, BeforeValidator(_text), Field(max_length=100)] = ""
    message: LongText = ""


class Reward(Part):
    partner_multipliers: Multipliers | None = None


class PerUnit(Reward):
    type: Literal["per_unit"]
    amount: Prize


class PerDeal(Reward):
    type: Literal["per_deal"]
    amount: Prize


class Percent(Reward):
    type: Literal["percent"]
    rate: Rate


class Band(Part):
    from_: Annotated[Level, Field(alias="from")]
    rate: Rate | None = None
    amount: MoneyAmount | None = None

    @model_validator(mode="after")
    def _one_of_two(self):
        if (self.rate is None) == (self.amount is None):
            raise refuse("both" if self.rate is not None else "neither", "either rate or amount")
        return self


class Bands(Reward):
    type: Literal["bands"]
    over: Literal["deal", "period"] = "period"
    mode: Literal["marginal", "whole"] = "marginal"
    of: Literal["measure", "target"] = "measure"
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=50)]


class Tier(Part):
    at: Level
    amount: Prize


class Tiers(Reward):
    type: Literal["tiers"]
    of: Literal["measure", "target"] = "measure"
    mode: Literal["highest", "each"] = "highest"
    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=50)]


class RankPrize(Part):
    ranks: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?$")]
    amount: Prize

    @property
    def bounds(self) -> tuple[int, int]:
        first, _, last = self.ranks.partition("-")
        return int(first), int(last or first)


class Rank(Part):
    type: Literal["rank"]
    by: Literal["participant", "team", "partner"] = "participant"
    prizes: Annotated[tuple[RankPrize, ...], Field(min_length=1, max_length=200)]
    ties: Literal["split", "same", "earliest"] = "split"
    minimum: Level | None = None


class MilestoneStep(Part):
    count: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    amount: Prize


class Milestone(Reward):
    type: Literal["milestone"]
    at: Annotated[tuple[MilestoneStep, ...], Field(min_length=1, max_length=50)]


AnyReward = Annotated[
    PerUnit | PerDeal | Percent | Bands | Tiers | Rank | Milestone,
    Field(discriminator="type"),
]


class Definition(Part):
    """One program version. Immutable and hashable; equal documents are equal definitions."""

    name: Text
    template: Literal["spiff", "deal_bonus", "quota", "contest", "channel", "milestone"] = "spiff"
    currency: str
    time_zone: str = "UTC"
    starts_on: Day
    ends_on: Day
    grace_days: Annotated[int, Field(strict=True, ge=0, le=366)] = 0
    counts_by: Literal["occurred_at", "close_date"] = "occurred_at"
    eligible: Eligible = Eligible()
    qualifies: ConditionTree | None = None
    credit: CreditRule = CreditRule()
    measure: Measure = Measure()
    period: Literal["program", "week", "month", "quarter", "year"] = "program"
    rewards: Annotated[tuple[AnyReward, ...], Field(min_length=1, max_length=20)]
    caps: Caps = Caps()
    partner_multipliers: Multipliers = {}
    stacking: Stacking | None = None
    stop_when_spent: Annotated[bool, Field(strict=True)] = False
    payout: PayoutRule = PayoutRule()
    delivery: Delivery | None = None
    personalization: Personalization = Personalization()

    @model_validator(mode="before")
    @classmethod
    def _payout_in_the_currency(cls, data: Any) -> Any:
        """A missing payout is read like an empty one, so that its default amount gets the currency's digits."""
        return {"payout": {}, **data} if isinstance(data, dict) else data

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str) -> str:
        if value not in MINOR_DIGITS:
            raise refuse(value, "an ISO 4217 code such as USD", one_of(value, MINOR_DIGITS))
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        """Of the tz database. The names that mean another zone on another machine are not."""
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            value_is_known = False
        else:
            value_is_known = value not in _NO_ZONES and not value.startswith(("right/", "posix/"))
        if not value_is_known:
            raise refuse(value, "a time zone such as America/New_York")
        return value

    @model_validator(mode="after")
    def _days_in_order(self):
        days = (self.ends_on - self.starts_on).days
        if not 0 <= days <= MAX_DAYS:
            raise PydanticCustomError(
                "at", "at", {"at": ("ends_on",), "found": str(self.ends_on),
                             "expected": f"a day from {self.starts_on} on, at most {MAX_DAYS // 366} years later"},
            )  # fmt: skip
        return self

    @property
    def digits(self) -> int:
        return MINOR_DIGITS[self.currency]

    def __hash__(self) -> int:
        return hash(self._identity)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Definition) and self._identity == other._identity)

    @property
    def _identity(self) -> str:
        identity = self.__dict__.get("identity")
        if identity is None:
            identity = self.__dict__["identity"] = self.model_dump_json(by_alias=True)
        return identity
