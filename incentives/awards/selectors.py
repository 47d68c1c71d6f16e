"""Reading awards: programs to give out of, what is left under their limits, who may be given something."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from incentives.awards.models import Award
from incentives.awards.spot import Limits, code_of, limits_of
from incentives.core.templatetags.laurel import money_text
from incentives.participants.models import Participant
from incentives.programs.eligibility import person_of
from incentives.programs.models import Enrollment, Program
from incentives.programs.rules.crediting import ineligible
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import midnight, period_end, period_start
from incentives.programs.rules.schema import Definition
from incentives.programs.selectors import room_of
from rewards.money import Money

FOUND = 20
"""How many people a search shows."""


@dataclass(frozen=True, slots=True)
class Pot:
    """A program out of which awards may be given now. `room`: what its budget has available, None without a budget."""

    program: Program
    definition: Definition
    code: str
    limits: Limits
    room: Money | None


def pots(*, running: bool = True) -> list[Pot]:
    """Spot-award programs by name; with `running` only those that run today in their own time zone."""
    rows = Program.objects.filter(status=Program.Status.ACTIVE) if running else Program.objects.all()
    found = [pot for program in rows.select_related("budget").order_by("name") if (pot := pot_of(program))]
    return [pot for pot in found if not running or in_days(pot.definition)]


def pot_of(program: Program) -> Pot | None:
    """The program as a pot, or None when its definition is none. Whether it runs is another question."""
    document = program.current_definition
    if not document or "award.given" not in str(document.get("qualifies")):  # most programs, without parsing them
        return None
    definition = parse_definition(document)
    code = code_of(definition)
    return Pot(program, definition, code, limits_of(definition), room_of(program)) if code else None


def in_days(definition: Definition, now: datetime | None = None) -> bool:
    today = local_day(definition, now)
    return definition.starts_on <= today <= definition.ends_on


def local_day(definition: Definition, now: datetime | None = None):
    return (now or timezone.now()).astimezone(ZoneInfo(definition.time_zone)).date()


def given_so_far(pot: Pot, participant: Participant, now: datetime) -> tuple[int, int]:
    """(in the period of `now`, in all) what stands given to this person out of the pot, in minor units. One query."""
    start = period_start(pot.definition, local_day(pot.definition, now))
    first = midnight(start, pot.definition.time_zone)
    end = midnight(period_end(pot.definition, start) + timedelta(days=1), pot.definition.time_zone)
    rows = Award.objects.standing().filter(program=pot.program, participant=participant)
    inside = Q(created_at__gte=first, created_at__lt=end)
    found = rows.aggregate(period=Sum("amount_minor", filter=inside), all=Sum("amount_minor"))
    return found["period"] or 0, found["all"] or 0


def over_limit(pot: Pot, amount: Money, in_period: int, in_all: int) -> str:
    """Which limit the amount would break, in words; empty when none. The sums are what was given before, in minor units."""
    limits = pot.limits
    if limits.deal and amount.minor > limits.deal.minor:
        return f"one award may be at most {limits.deal}."
    for cap, before, words in (
        (limits.period, in_period, "in this period"),
        (limits.participant, in_all, "in this program"),
    ):
        if cap and before + amount.minor > cap.minor:
            left = Money(max(cap.minor - before, 0), cap.currency)
            return f"at most {cap} may be given to one person {words}, and {left} of it is left."
    return ""


def obstacle(pot: Pot, participant: Participant, enrolled: str | None) -> str:
    """Why this person cannot be given anything out of the pot, in words; empty when they can."""
    today = local_day(pot.definition)
    if not participant.active:
        return f"{participant} is inactive."
    if (participant.started_on and today < participant.started_on) or (
        participant.ended_on and today > participant.ended_on
    ):
        return f"{participant} does not work here today."
    if enrolled == Enrollment.State.EXCLUDED:
        return f"{participant} is excluded from the program."
    if enrolled == Enrollment.State.INVITED:
        return ""
    if pot.definition.eligible.invited_only:
        return f"the program is for invited people, and {participant} is not invited."
    why = ineligible(pot.definition, person_of(participant))
    return f"{why}." if why else ""


def enrollments(program: Program, people: Iterable[Participant]) -> dict[int, str]:
    rows = Enrollment.objects.filter(program=program, participant__in=[person.pk for person in people])
    return dict(rows.values_list("participant", "state"))


def search_people(text: str) -> list[Participant]:
    """Active people by name, e-mail address or id, at most FOUND; nobody for an empty text."""
    found = Participant.objects.active()
    words = text.replace("\x00", "").split()[:5]
    for word in words:
        found = found.filter(
            Q(name__icontains=word) | Q(email__icontains=word) | Q(external_user_id__icontains=word)
            | Q(employee_number__iexact=word)
        )  # fmt: skip
    return list(found.select_related("team", "partner").order_by("name", "pk")[:FOUND]) if words else []


# --- for other layers ---------------------------------------------------------------------------------------------------
def givers_of(records: Iterable[str]) -> set[int]:
    """User ids of who gave or cancelled the awards with these record ids: makers of whatever they earn (promise 6)."""
    rows = Award.objects.filter(record__in=set(records)).values_list("given_by", "cancelled_by")
    return {pk for pair in rows for pk in pair} - {None}


def made_by(user) -> QuerySet[Award]:
    """Awards this user gave or cancelled, for a subquery over record ids."""
    return Award.objects.filter(Q(given_by=user) | Q(cancelled_by=user))


def own_awards(participant: Participant) -> QuerySet[Award]:
    """What somebody was given, newest first, with who gave it."""
    return Award.objects.filter(participant=participant).select_related("program", "given_by").order_by("-pk")


def totals(rows: QuerySet[Award]) -> list[Money]:
    """One sum per currency of what stands."""
    found = rows.filter(status=Award.Status.GIVEN).order_by().values_list("currency").annotate(n=Sum("amount_minor"))
    return [Money(minor, currency) for currency, minor in sorted(found)]


def limits_in_words(pot: Pot) -> str:
    caps = (
        (pot.limits.deal, "%s per award"), (pot.limits.period, "%s per person and period"),
        (pot.limits.participant, "%s per person in all"),
    )  # fmt: skip
    return ", ".join(words % money_text(cap) for cap, words in caps if cap)
