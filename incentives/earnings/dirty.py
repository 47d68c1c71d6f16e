"""Saying what is to be scored again."""

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
    """Say that these must be scored again. Locks in id order."""
    ids = sorted(participation_ids)
    if ids:
        list(Participation.objects.filter(pk__in=ids).select_for_update().order_by("pk").values_list("pk"))
        Participation.objects.filter(pk__in=ids).update(dirty_seq=F("dirty_seq") + 1)
