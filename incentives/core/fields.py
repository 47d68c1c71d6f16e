"""Model fields that stay exact on every database."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from django.core.exceptions import ValidationError
from django.db import models

from rewards.money import MINOR_DIGITS


class ScaledDecimalField(models.BigIntegerField):
    """A Decimal with four digits after the point, stored as a whole number of ten-thousandths.

    SQLite keeps decimals as binary floats; a whole number is exact, sums exactly in SQL and sorts correctly.
    Range: +-99,999,999,999,999.9999. A value with more digits after the point is rounded half up on the way in.
    """

    SCALE = 4
    LIMIT = Decimal("99999999999999.9999")

    def from_db_value(self, value, expression, connection):
        return None if value is None else Decimal(value).scaleb(-self.SCALE)

    def to_python(self, value):
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value))
        except InvalidOperation as exc:
            raise ValidationError("Expected a number such as 12500.00.", code="invalid") from exc

    def get_prep_value(self, value):
        if value is None:
            return None
        value = Decimal(value)
        if not value.is_finite() or abs(value) > self.LIMIT:
            raise ValueError(f"{value} does not fit: expected a number between -{self.LIMIT} and {self.LIMIT}")
        return int(value.scaleb(self.SCALE).quantize(Decimal(1), rounding=ROUND_HALF_UP))

    def formfield(self, **kwargs):
        from django import forms

        return models.Field.formfield(
            self, **{"form_class": forms.DecimalField, "decimal_places": self.SCALE, **kwargs}
        )

    @property
    def validators(self):  # the integer bounds of the parent do not apply to the decimal
        return self._validators


class CurrencyField(models.CharField):
    """An ISO 4217 code whose digits we know."""

    def __init__(self, *args, **kwargs):
        kwargs["max_length"] = 3
        super().__init__(*args, **kwargs)

    def validate(self, value, model_instance):
        super().validate(value, model_instance)
        if value not in MINOR_DIGITS:
            raise ValidationError(
                f"{value!r} is not a currency Laurel knows; expected a code such as USD.", code="currency"
            )


class ExactDecimalField(models.CharField):
    """A Decimal kept as text, exactly as given: for rates, which are multiplied and never summed or sorted in SQL."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("max_length", 40)
        super().__init__(*args, **kwargs)

    def from_db_value(self, value, expression, connection):
        return None if value is None else Decimal(value)

    def to_python(self, value):
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(str(value))
        except InvalidOperation as exc:
            raise ValidationError("Expected a number such as 1.0825.", code="invalid") from exc

    def get_prep_value(self, value):
        return None if value is None else format(Decimal(value).normalize(), "f")

    def formfield(self, **kwargs):
        from django import forms

        return models.Field.formfield(self, **{"form_class": forms.DecimalField, **kwargs})
