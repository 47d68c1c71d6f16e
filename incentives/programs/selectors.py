"""Reading programs for pages."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import formats, timezone
from django.utils.translation import gettext

from incentives.core.templatetags.laurel import number
from incentives.ledger.accounts import AVAILABLE
from incentives.ledger.models import Account
from incentives.participants.models import Participant
from incentives.programs.models import Program, ProgramVersion
from incentives.programs.rules.parsing import parse_definition
from incentives.programs.rules.periods import period_end, period_start
from incentives.programs.rules.schema import Bands, Definition, Tiers
from incentives.programs.summary import Change, differences
from rewards.money import Money


def visible_programs(user) -> QuerySet[Program]:
    """What this person may see: everything or nothing."""
    return Program.objects.all() if user.can("programs.view") else Program.objects.none()


def names() -> list[tuple[str, str]]:
    """(public id, name) of every program that is not archived, for a choice."""
    rows = Program.objects.exclude(status=Program.Status.ARCHIVED).order_by("name", "pk")
    return [(str(public_id), name) for public_id, name in rows.values_list("public_id", "name")]


def with_figures(programs: QuerySet[Program]) -> QuerySet[Program]:
    """Each program with `participants` (who earned something), `earned_minor` and `room_minor` (what its budget has
    available, in the budget's currency, which is the program's). Adds no query."""
    room = Account.objects.filter(budget=OuterRef("budget"), bucket=AVAILABLE).values("balance_minor")[:1]
    return programs.annotate(
        participants=_of_participations(Count("pk", filter=Q(earned_minor__gt=0))),
        earned_minor=_of_participations(Sum("earned_minor")),
        room_minor=Subquery(room),
    )


def _of_participations(expression) -> Subquery:
    """The layer below keeps the participations; the relation is enough to read their totals."""
    model = Program._meta.get_field("participations").related_model
    rows = model.objects.filter(program=OuterRef("pk")).order_by().values("program")
    return Subquery(rows.annotate(figure=expression).values("figure"))


@dataclass(frozen=True, slots=True)
class History:
    """One version: what it changed against the published one before it."""

    version: ProgramVersion
    changes: list[Change]
    first: bool
    current: bool

    @property
    def state(self) -> str:
        if self.version.published_at is None:
            return "in_review" if self.version.in_review else "draft"
        if self.current:
            return "published"
        starts_at = self.version.starts_at
        return "scheduled" if starts_at is not None and starts_at > timezone.now() else "superseded"


def history(program: Program) -> list[History]:
    """The versions of a program, newest first, in one query."""
    versions = program.versions.select_related("created_by", "edited_by", "published_by", "reviewed_by").order_by(
        "number"
    )
    rows, before, current, now = [], None, None, timezone.now()
    for version in versions:
        changes = differences(before.definition, version.definition) if before else []
        rows.append([version, changes, before is None])
        if version.published_at is not None and (version.starts_at is None or version.starts_at <= now):
            current = version
        before = version
    return [History(version, changes, first, version is current) for version, changes, first in reversed(rows)]


def draft_of(program: Program) -> ProgramVersion | None:
    """The version that is being written, or None."""
    return program.versions.filter(published_at__isnull=True).select_related("created_by").first()


def plain_document(definition: Definition) -> dict:
    """The document without what it leaves to the defaults: what a person wants to edit."""
    return definition.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)


# --- periods and targets -----------------------------------------------------------------------------------------------
def periods(definition: Definition) -> list[tuple[date, date]]:
    """First and last day of every period of the program, in order."""
    found, start = [], period_start(definition, definition.starts_on)
    while start <= definition.ends_on:
        end = period_end(definition, start)
        found.append((start, end))
        start = end + timedelta(days=1)
    return found


def period_label(definition: Definition, start: date) -> str:
    """The period that starts on `start`, in words: `2026, quarter 3`, `July 2026`, `week from 6 Jul 2026`."""
    match definition.period:
        case "program":
            return gettext("Whole program")
        case "year":
            return str(start.year)
        case "quarter":
            return gettext("%(year)s, quarter %(n)s") % {"year": start.year, "n": (start.month + 2) // 3}
        case "month":
            return formats.date_format(start, "YEAR_MONTH_FORMAT")
    return gettext("Week from %(day)s") % {"day": formats.date_format(start, gettext("j M Y"))}


def current_period(definition: Definition, today: date) -> date:
    """The first day of the period that runs today; before and after the program its first or last period."""
    day = min(max(today, definition.starts_on), definition.ends_on)
    return period_start(definition, day)


def needs_targets(definition: Definition) -> bool:
    """Whether a reward is measured against a target."""
    return any(isinstance(reward, Bands | Tiers) and reward.of == "target" for reward in definition.rewards)


def measure_text(definition: Definition, value: Decimal | None) -> str | None:
    """A measure as a person reads it: money for amounts, else a number."""
    if value is None:
        return None
    if definition.measure.metric != "amount":
        return number(value)
    text = number(value, max(definition.digits, 0))
    return f"{text}\N{NO-BREAK SPACE}{definition.currency}"


def definition_of(program: Program) -> Definition:
    """The parsed definition that governs now; of a draft, what is being written."""
    return parse_definition(program.current_definition)


def find_participants(texts) -> dict[str, Participant]:
    """Who is meant by external user id, e-mail address (any casing) or public id: the text as given -> the participant.

    A text that names nobody is missing in the result. Few queries for any number of texts.
    """
    found: dict[str, Participant] = {}
    wanted = sorted({text for text in texts if text})
    for chunk in _chunks(wanted):
        by_id = {p.external_user_id: p for p in Participant.objects.filter(external_user_id__in=chunk)}
        by_email = {p.email: p for p in Participant.objects.filter(email__in={text.lower() for text in chunk})}
        ids = {text: key for text in chunk if (key := _uuid(text))}
        by_public = {p.public_id: p for p in Participant.objects.filter(public_id__in=ids.values())} if ids else {}
        for text in chunk:
            person = by_id.get(text) or by_email.get(text.lower()) or by_public.get(ids.get(text))
            if person is not None:
                found[text] = person
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _chunks(items: list[str], size: int = 500):
    for start in range(0, len(items), size):
        yield items[start : start + size]


def room_of(program: Program) -> Money | None:
    """What the program's budget has available, or None without a budget."""
    if program.budget is None:
        return None
    account = Account.objects.filter(budget=program.budget, bucket=AVAILABLE).first()
    return account.balance if account else None
