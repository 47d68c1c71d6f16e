"""Named places where a crash is worst (docs/provider.md). `hit` does nothing unless a test armed the name."""

from collections.abc import Callable

_armed: dict[str, Callable[[], None]] = {}


class SimulatedCrash(BaseException):
    """Ends the process as far as the code in between can tell: no `except Exception` catches it."""


def hit(name: str) -> None:
    if _armed and (action := _armed.pop(name, None)):
        action()


def crash() -> None:
    raise SimulatedCrash


def arm(name: str, action: Callable[[], None] = crash) -> None:
    """The next `hit(name)` of this process runs `action`, once."""
    _armed[name] = action


def disarm() -> None:
    _armed.clear()
