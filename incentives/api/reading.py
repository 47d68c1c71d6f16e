"""The OpenAPI document as plain rows for the page that shows it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """A parameter, or a key of a body; `depth` is how far inside."""

    name: str
    kind: str
    required: bool
    text: str
    depth: int = 0

    @property
    def indent(self) -> range:
        return range(self.depth)


@dataclass(frozen=True, slots=True)
class Chapter:
    """One operation."""

    anchor: str
    method: str
    path: str
    title: str
    text: list[str]
    parameters: list[Line]
    body: list[Line]
    answers: list[tuple[str, str, list[Line]]]
    refusals: list[tuple[str, str]] = field(default_factory=list)


MOST_DEPTH = 4


class Chapters:
    """The operations by tag, in the order of the document."""

    def __init__(self, document: dict):
        self.document = document
        self.groups: dict[str, list[Chapter]] = {}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                self.groups.setdefault(operation["tags"][0], []).append(self._chapter(path, method, operation))

    def _follow(self, thing: dict) -> dict:
        while "$ref" in thing:
            found = self.document
            for part in thing["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            thing = found
        return thing

    def _chapter(self, path: str, method: str, operation: dict) -> Chapter:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        answers, refusals = [], []
        for status, answer in operation["responses"].items():
            answer = self._follow(answer)
            if int(status) >= 400:
                refusals.append((status, answer["description"]))
                continue
            schema = next(iter(answer.get("content", {}).values()), {}).get("schema")
            answers.append((status, answer["description"], self._lines(schema) if schema else []))
        return Chapter(
            anchor=operation["operationId"],
            method=method.upper(),
            path=path,
            title=operation["summary"],
            text=[part for part in operation.get("description", "").split("\n\n") if part],
            parameters=[self._parameter(entry) for entry in operation["parameters"]],
            body=self._lines(body) if body else [],
            answers=answers,
            refusals=refusals,
        )

    def _parameter(self, entry: dict) -> Line:
        text = entry.get("description", "") or entry["schema"].get("description", "")
        return Line(entry["name"], f"{entry['in']}, {self._kind(entry['schema'])}", entry["required"], text)

    def _kind(self, schema: dict) -> str:
        schema = self._follow(schema)
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            return " or ".join(dict.fromkeys(self._kind(option) for option in options))
        if "enum" in schema:
            return " | ".join(str(value) for value in schema["enum"])
        kind = schema.get("type", "any")
        if kind == "array":
            return f"list of {self._kind(schema.get('items', {}))}"
        return schema.get("format", kind)

    def _lines(self, schema: dict, depth: int = 0) -> list[Line]:
        schema = self._follow(schema)
        options = schema.get("anyOf") or schema.get("oneOf")
        if options:
            inner = next((option for option in map(self._follow, options) if option.get("properties")), None)
            return self._lines(inner, depth) if inner else []
        if schema.get("type") == "array":
            return self._lines(schema.get("items", {}), depth)
        required, found = set(schema.get("required", ())), []
        for name, entry in schema.get("properties", {}).items():
            plain = self._follow(entry)
            text = entry.get("description") or plain.get("description", "")
            found.append(Line(name, self._kind(entry), name in required, text.split("\n\n")[0], depth))
            if depth < MOST_DEPTH:
                found += self._lines(entry, depth + 1)
        return found
