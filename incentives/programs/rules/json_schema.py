"""The JSON Schema of program definitions, generated from the models (docs/program-v1.schema.json).

A document may satisfy the schema and still be refused: order of bands, days and ranks, currency digits and the nesting
limits are beyond it. `parse_definition` is the authority.
"""

from typing import Any

from .conditions import OPS
from .schema import Definition

ADDRESS = "https://json-schema.org/draft/2020-12/schema"
_SCALAR = {"type": ["string", "number", "boolean"]}


def json_schema() -> dict[str, Any]:
    schema = Definition.model_json_schema(by_alias=True)
    schema.setdefault("$defs", {})["Condition"] = _condition()
    schema = _with_references(schema)
    return {"$schema": ADDRESS, **schema, "title": "Laurel program definition, version 1"}


def _condition() -> dict[str, Any]:
    def items(word: str) -> dict[str, Any]:
        listed = {"type": "array", "items": {"$ref": "#/$defs/Condition"}, "minItems": 1}
        value = {"$ref": "#/$defs/Condition"} if word == "not" else listed
        return {"type": "object", "properties": {word: value}, "required": [word], "additionalProperties": False}

    test = {
        "type": "object",
        "properties": {
            "field": {"type": "string"},
            "op": {"enum": list(OPS)},
            "value": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]},
        },
        "required": ["field", "op"],
        "additionalProperties": False,
    }
    return {"anyOf": [items("all"), items("any"), items("not"), test]}


def _with_references(node: Any) -> Any:
    """Puts the reference in place of the mark the models carry (pydantic does not know our definition)."""
    if isinstance(node, list):
        return [_with_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-condition"):
        return {"$ref": "#/$defs/Condition"}
    return {key: _with_references(value) for key, value in node.items()}
