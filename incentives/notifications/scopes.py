"""Names of what a channel can be limited to; programs live in an app below this one, which connects itself here."""

from collections.abc import Callable

_programs: Callable[[], list[tuple[str, str]]] = list


def connect(programs: Callable[[], list[tuple[str, str]]]) -> None:
    """`programs()`: (public id, name) of each program."""
    global _programs
    _programs = programs


def programs() -> list[tuple[str, str]]:
    return _programs()
