"""The data dictionary of the full export, made from the models."""

import inspect
import re

from django.apps import apps
from django.db import models

from incentives.core.fields import ExactDecimalField, ScaledDecimalField
from incentives.reports.export_tables import FIELDS_LEFT_OUT, LEFT_OUT, TABLES


def all_models() -> dict[str, type[models.Model]]:
    """Label -> model, tables between two models included."""
    return {model._meta.label: model for model in apps.get_models(include_auto_created=True)}


def exported_fields(model: type[models.Model]) -> list[models.Field]:
    return [field for field in model._meta.concrete_fields if _name(model, field) not in FIELDS_LEFT_OUT]


def _name(model, field) -> str:
    return f"{model._meta.label}.{field.name}"


def dictionary() -> dict:
    """`tables`: per file what a row is and its fields; `left_out` and `fields_left_out` with reasons."""
    known = all_models()
    return {
        "tables": {label: _table(known[label]) for label in TABLES},
        "left_out": LEFT_OUT,
        "fields_left_out": FIELDS_LEFT_OUT,
    }


def _table(model: type[models.Model]) -> dict:
    return {"about": _about(model), "fields": {f.attname: _field(f) for f in exported_fields(model)}}


def _about(model: type[models.Model]) -> str:
    if model._meta.auto_created:
        return f"Which {model._meta.label.rpartition('_')[2]} belong to which row."
    text = inspect.cleandoc(model.__doc__ or "")
    return "" if text.startswith(f"{model.__name__}(") else text.partition("\n\n")[0].replace("\n", " ")


def _field(field: models.Field) -> dict:
    found = {"type": _type(field)}
    if field.null:
        found["empty"] = "null"
    if field.is_relation:
        found["to"] = field.related_model._meta.label
    if field.help_text:
        found["about"] = re.sub(r"\s+", " ", str(field.help_text))
    if field.choices:
        found["values"] = {str(value): str(label) for value, label in field.flatchoices}
    return found


def _type(field: models.Field) -> str:
    if field.is_relation:
        return "id"
    for kinds, name in _TYPES:
        if isinstance(field, kinds):
            return name
    return "text"


_TYPES = (
    ((ScaledDecimalField, ExactDecimalField), "decimal, as text"),
    (models.BooleanField, "true or false"),
    (models.DateTimeField, "moment, ISO 8601, UTC"),
    (models.DateField, "day, ISO 8601"),
    (models.UUIDField, "UUID"),
    (models.JSONField, "JSON"),
    (models.BinaryField, "bytes, base64"),
    (models.DecimalField, "decimal, as text"),
    (models.AutoField, "whole number"),
    (models.IntegerField, "whole number"),
)


def markdown() -> str:
    """The dictionary for people: one heading per file."""
    parts = []
    for label, table in dictionary()["tables"].items():
        rows = "\n".join(
            f"| `{name}` | {field['type']}{' of ' + field['to'] if 'to' in field else ''} | {field.get('about', '')} |"
            for name, field in table["fields"].items()
        )
        parts.append(
            f"## data/{label}.jsonl\n\n{table['about']}\n\n| field | type | meaning |\n|---|---|---|\n{rows}\n"
        )
    return "\n".join(parts)
