"""What a run reads: facts as they stand, people, targets and enrolment. Writes nothing."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet

from incentives.crm.models import ObjectState
from incentives.earnings.facts import People, people_in
from incentives.earnings.running import MARGIN
from incentives.participants.models import Participant
from incentives.programs.models import Enrollment, Program, Target
from incentives.programs.rules.facts import Enrolment
from incentives.programs.rules.periods import clock
from incentives.programs.rules.schema import Definition
from incentives.programs.rules.whatif import moved_targets

FACTS_AT_ONCE = 1000
READ = (
    "pk baseline state kind occurred_at external_id participant_id close_date amount currency quantity lines splits account "
    "partner region attributes metric value received_at object_type object_id version"
).split()
"""What counts and fact_of read of a fact. Rows of these cost half as much as model instances."""


def everybody() -> People:
    """All participants: whoever a fact names, in whatever role."""
    return people_in(Participant.objects.select_related("team", "partner"))


# --- facts -----------------------------------------------------------------------------------------------------------
def near(first: date, last: date, prefix: str = "") -> Q:
    """Facts whose day may lie in the window, in any time zone. The rules decide exactly. `prefix`: the way to the fact."""
    since = datetime.combine(first - MARGIN, time(), UTC)
    until = datetime.combine(last + MARGIN + timedelta(days=1), time(), UTC)
    moments = Q(**{f"{prefix}occurred_at__gte": since, f"{prefix}occurred_at__lt": until})
    return moments | Q(**{f"{prefix}close_date__range": (first - MARGIN, last + MARGIN)})


def facts_between(first: date, last: date) -> QuerySet[ObjectState]:
    return ObjectState.objects.filter(near(first, last))


def in_chunks(facts: QuerySet[ObjectState], size: int = FACTS_AT_ONCE) -> Iterator[list]:
    """All of them by id, as rows of READ, so many at a time: no open cursor, and memory does not grow with their number."""
    after, rows = 0, facts.order_by("pk").values_list(*READ, named=True)
    while chunk := list(rows.filter(pk__gt=after)[:size]):
        yield chunk
        after = chunk[-1].pk


# --- targets ---------------------------------------------------------------------------------------------------------
ORDINAL, GIVEN, FLAT = "ordinal", "given", "flat"


def targets_for(
    how: str, definition: Definition, to: Definition, program: Program | None, flat: Decimal | None = None
) -> Mapping[int, dict[date, Decimal]]:
    """participant id -> day in the window -> target.

    `ordinal`: the program's own by the number of the period (whatif.moved_targets); `given`: the program's own by their
    days, so only those that lie in the window; `flat`: one value for everybody and every period.
    """
    if how == FLAT:
        everywhere = dict.fromkeys(clock(to).starts, flat)
        return defaultdict(lambda: everywhere)
    own: dict[int, dict[date, Decimal]] = defaultdict(dict)
    if program is not None:
        for pk, start, value in Target.objects.filter(program=program).values_list(
            "participant_id", "period_start", "value"
        ):
            own[pk][start] = value
    if how == ORDINAL:
        found = {pk: moved_targets(definition, to, targets) for pk, targets in own.items()}
        return defaultdict(dict, found)
    return own


# --- who is invited or excluded -----------------------------------------------------------------------------------------
def enrolled(program: Program | None, people: People) -> Enrolment:
    """participant key -> invited or excluded."""
    if program is None:
        return {}
    rows = Enrollment.objects.filter(program=program).values_list("participant_id", "state")
    return {people.keys[pk]: state for pk, state in rows if pk in people.keys}
