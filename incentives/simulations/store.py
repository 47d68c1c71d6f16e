"""The credits of one run in little room: 45 bytes each instead of some 400.

A year of a large company is 100,000 facts and more, and a run holds the credits of up to four programs at once. Packed
they also are nothing the garbage collector looks through, which keeps a run linear.
"""

import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from incentives.programs.rules.facts import OVERLAY, OWNER, SPLIT, Credit
from incentives.programs.rules.numbers import from_units, units

_RECORD = struct.Struct("<qBiiqiqq")
_ROLES = (OWNER, SPLIT, OVERLAY)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Store:
    """Credits by participant. `fact_id` must be a whole number as text, which the ids of stored facts are."""

    def __init__(self) -> None:
        self._packed: dict[str, bytearray] = {}
        self._large: dict[str, list[Credit]] = {}

    def add(self, credits: Iterable[Credit]) -> None:
        for credit in credits:
            packed = self._packed.setdefault(credit.participant, bytearray())
            try:
                packed += _packed(credit)
            except struct.error:  # a figure beyond 64 bits: absurd, but it must not end the run
                self._large.setdefault(credit.participant, []).append(credit)

    def participants(self) -> list[str]:
        return sorted(self._packed)

    def of(self, participant: str) -> list[Credit]:
        """The credits of one participant, equal to those that were added."""
        packed = self._packed.get(participant, b"")
        return [*_unpacked(participant, packed), *self._large.get(participant, ())]


def _packed(credit: Credit) -> bytes:
    return _RECORD.pack(
        int(credit.fact_id),
        _ROLES.index(credit.role),
        units(credit.share_percent),
        units(credit.share_from),
        (credit.counted_at - _EPOCH) // _MICROSECOND,
        credit.period_start.toordinal(),
        units(credit.measure),
        units(credit.whole),
    )


def _unpacked(participant: str, packed: bytes | bytearray) -> Iterator[Credit]:
    for fact, role, share, before, moment, day, measure, whole in _RECORD.iter_unpack(packed):
        yield Credit(
            str(fact),
            participant,
            _ROLES[role],
            from_units(share),
            from_units(before),
            _EPOCH + timedelta(microseconds=moment),
            date.fromordinal(day),
            from_units(measure),
            from_units(whole),
        )
