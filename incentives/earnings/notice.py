"""What makes facts and scorecards due besides new facts: versions, targets, people, enrolment, exchange rates.

Each change carries a mark of its own until the facts carry it, in one transaction: a crash on the way loses nothing, and a
repeat notices nothing.
"""

from collections import defaultdict, deque
from datetime import date

from django.db import connection, transaction
from django.db.models import F, Q

from incentives.crm.models import ObjectState
from incentives.earnings.dirty import mark_dirty, participations_of
from incentives.earnings.models import Participation
from incentives.earnings.running import MARGIN, Running, running_programs
from incentives.ledger.exchange import lock_rates
from incentives.ledger.models import ExchangeRate, FormerRate
from incentives.participants.models import Participant
from incentives.programs.models import EnrollmentChange, Program, ProgramStop, Target

AT_ONCE = 1000
NO_FACT = Q(pk__in=[])


def notice_changes() -> int:
    """Notice everything that changed. Returns how many changes."""
    return sum(notice() for notice in NOTICES)


def credit_again(touched: Q) -> None:
    """Make the facts due. The joins of `touched` may find a fact twice; it is marked once.

    They are locked in id order, as receiving does, for an UPDATE alone takes them as it finds them; so call it once in a
    transaction, before `mark_dirty`: facts before participations, as crediting does.
    """
    ids = ObjectState.objects.filter(touched).values("pk")
    if connection.features.has_select_for_update:
        locked = ObjectState.objects.filter(pk__in=ids).select_for_update(no_key=True).order_by("pk")
        deque(locked.values_list("pk").iterator(chunk_size=10_000), maxlen=0)
    ObjectState.objects.filter(pk__in=ids).update(changed_seq=F("changed_seq") + 1)


def notice_published_versions() -> int:
    """A newly published version credits anew every fact near its window, those already received as well.

    Returns how many programs.
    """
    noticed = 0
    for running in running_programs():
        program, number = running.program, running.newest
        if program.credited_version == number:
            continue
        with transaction.atomic():
            if Program.objects.filter(pk=program.pk).exclude(credited_version=number).update(credited_version=number):
                credit_again(running.near() | Q(credits__participation__program=program))
                mark_dirty(program.participations.values_list("pk", flat=True))
                noticed += 1
    return noticed


def notice_targets() -> int:
    """Changed targets make their scorecards due. Returns how many targets."""
    due = Target.objects.filter(to_score=True, program__status__in=Program.SCORED)
    if not due.exists():  # the usual case: no transaction, and SQLite's one write lock stays free
        return 0
    with transaction.atomic():
        targets = list(due.select_for_update(of=("self",), skip_locked=True, no_key=True)[:5000])
        found = participations_of((t.program_id, t.participant_id) for t in targets)
        mark_dirty(found.values())
        Target.objects.filter(pk__in=[t.pk for t in targets]).update(to_score=False)
    return len(targets)


def about(people: list[int]) -> Q:
    """The facts that may be credited to these people: their own, those of the people below them (overlays), shared ones,
    and what is credited to them now."""
    below = Q(participant__in=people) | Q(participant__manager__in=people)
    below |= Q(participant__manager__manager__in=people) | Q(participant__team__manager__in=people)
    return below | Q(credits__participation__participant__in=people) | ~Q(splits=[])


def _also_named(running: Running, people: list[int]) -> Q:
    """Every fact near the program where its definitions name one of the people, else none."""
    named = Participant.objects.filter(pk__in=people) if running.named else Participant.objects.none()
    is_named = not {person.key for person in named}.isdisjoint(running.named)
    return running.near() if is_named else NO_FACT


def notice_people() -> int:
    """People whose team, partner, manager, type, region or dates changed: every fact that may be credited to them is
    credited anew. Returns how many people."""
    due = Participant.objects.filter(to_credit=True)
    if not due.exists():
        return 0
    with transaction.atomic():
        locked = due.select_for_update(of=("self",), skip_locked=True, no_key=True)
        people = list(locked.values_list("pk", flat=True)[:AT_ONCE])
        if people:
            touched = about(people)
            for running in running_programs():
                touched |= _also_named(running, people)
            credit_again(touched)
            mark_dirty(Participation.objects.filter(participant__in=people).values_list("pk", flat=True))
            Participant.objects.filter(pk__in=people).update(to_credit=False)
    return len(people)


def notice_enrolments() -> int:
    """People invited to a program or excluded from it, or no longer: what may be credited to them near that program is
    credited anew. Returns how many changes."""
    due = EnrollmentChange.objects.order_by("pk")
    if not due.exists():
        return 0
    with transaction.atomic():
        marks = list(due.select_for_update(of=("self",), skip_locked=True, no_key=True)[:AT_ONCE])
        people: dict[int, list[int]] = defaultdict(list)
        for mark in marks:
            people[mark.program_id].append(mark.participant_id)
        touched, own = NO_FACT, set()
        for running in running_programs():
            if mine := people.get(running.program.pk):
                touched |= (running.near() & about(mine)) | _also_named(running, mine)
                own.update(running.program.participations.filter(participant__in=mine).values_list("pk", flat=True))
        credit_again(touched)
        mark_dirty(own)
        EnrollmentChange.objects.filter(pk__in=[mark.pk for mark in marks]).delete()
    return len(marks)


def notice_rates() -> int:
    """Rates that were set, changed or removed: facts in their currency near their days are credited anew. Returns how
    many rates."""
    due = ExchangeRate.objects.filter(to_credit=True).order_by("pk")
    former = FormerRate.objects.order_by("pk")
    if not due.exists() and not former.exists():
        return 0
    with transaction.atomic():
        lock_rates()
        rates = list(due.select_for_update(of=("self",), skip_locked=True, no_key=True)[:AT_ONCE])
        gone = list(former.select_for_update(of=("self",), skip_locked=True, no_key=True)[:AT_ONCE])
        into = {running.definition.currency for running in running_programs()}
        days: dict[str, list[tuple[date, date]]] = defaultdict(list)
        for rate in [*rates, *gone]:
            if rate.to_currency in into:
                days[rate.currency].append((rate.starts_on, rate.ends_on))
        touched = NO_FACT
        for currency, ranges in sorted(days.items()):
            for first, last in _joined(ranges):
                near = Q(occurred_at__date__range=(first, last)) | Q(close_date__range=(first, last))
                touched |= near & Q(currency=currency)
        credit_again(touched)
        ExchangeRate.objects.filter(pk__in=[rate.pk for rate in rates]).update(to_credit=False)
        FormerRate.objects.filter(pk__in=[rate.pk for rate in gone]).delete()
    return len(rates) + len(gone)


def _joined(ranges: list[tuple[date, date]]) -> list[tuple[date, date]]:
    """Ranges of days, each a margin wider for the time zones, with those that touch made into one."""
    found: list[tuple[date, date]] = []
    for first, last in sorted((first - MARGIN, last + MARGIN) for first, last in ranges):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def notice_stops() -> int:
    """Programs that ran out of money or went on: what was received since the stop is credited anew. Returns how many stops.

    The mark is needed although a stop begins now: a fact may be credited while the stop is being recorded.
    """
    due = ProgramStop.objects.filter(to_credit=True).order_by("pk")
    if not due.exists():
        return 0
    with transaction.atomic():
        stops = list(due.select_for_update(of=("self",), skip_locked=True, no_key=True)[:AT_ONCE])
        programs = {running.program.pk: running for running in running_programs()}
        touched = NO_FACT
        for stop in stops:
            if running := programs.get(stop.program_id):
                touched |= running.near() & Q(received_at__gte=stop.stopped_at)
        credit_again(touched)
        ProgramStop.objects.filter(pk__in=[stop.pk for stop in stops]).update(to_credit=False)
    return len(stops)


NOTICES = (
    notice_published_versions, notice_targets, notice_people, notice_enrolments, notice_rates, notice_stops,
)  # fmt: skip
