"""Saying what is to be scored again."""

from django.db import transaction
from django.db.models import F

from incentives.earnings.models import Participation


def participations_of(pairs) -> dict[tuple[int, int], int]:
    """(program id, participant id) -> participation id, made where missing."""
    pairs = set(pairs)
    if not pairs:
        return {}
    programs, people = {p for p, _ in pairs}, {q for _, q in pairs}

    def known():
        rows = Participation.objects.filter(program_id__in=programs, participant_id__in=people)
        return {(p, q): pk for pk, p, q in rows.values_list("pk", "program_id", "participant_id")}

    found = known()
    if missing := pairs - set(found):
        rows = [Participation(program_id=p, participant_id=q) for p, q in sorted(missing)]
        Participation.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
        found = known()
    return found


def mark_dirty(participation_ids) -> None:
    """Say that these must be scored again, and with them those of the same people that are scored beside them (stacking).

    Locks in id order, once in a transaction. What became visible while this waited for a lock is looked for again: of two
    transactions that change what one person is credited, the second to get a lock in common marks whatever the first added.
    Where that adds rows the locks are given back first (the savepoint), because taking a lower id while holding a higher one
    could wait in a circle.
    """
    wanted = set(participation_ids)
    while wanted:
        beside = _beside(wanted)
        wanted |= beside
        rows = Participation.objects.filter(pk__in=wanted)
        with transaction.atomic():
            list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))
            if not beside or _beside(wanted) <= wanted:
                rows.update(dirty_seq=F("dirty_seq") + 1)
                return
            transaction.set_rollback(True)


def _beside(ids: set[int]) -> set[int]:
    """All participations in stacking programs of the people whom these name in stacking programs: these among them."""
    stacking = Participation.objects.filter(program__stacks=True)
    people = stacking.filter(pk__in=ids).values("participant")
    return set(stacking.filter(participant__in=people).values_list("pk", flat=True)) if ids else set()
