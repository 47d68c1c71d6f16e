"""A past that looks like one: services run as of an earlier moment, so that the company's history spreads over months.

Only for building an example company in an empty database. Time goes on from the given moment, and moments must be given
in rising order, so that every record keeps its place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.utils import timezone


@contextmanager
def as_of(moment: datetime) -> Iterator[None]:
    """`timezone.now()` starts at `moment` inside. It holds for this whole process, so nothing else may run in it."""
    real = timezone.datetime
    shift = moment - timezone.now()

    class Earlier(real):
        @classmethod
        def now(cls, tz=None):
            return real.now(tz) + shift

    timezone.datetime = Earlier
    try:
        yield
    finally:
        timezone.datetime = real
