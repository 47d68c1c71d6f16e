"""Contests in running programs: sealing at the close, and the standing computed again when a correction enters.

1. `seal_due` (the sweep) fixes the moment of sealing, once per program.
2. `settle` (after scoring) computes the standing of every sealed program in which something was scored, as soon as nothing
   in it is due, and writes what differs as the next revision.
3. `prize_lines` gives scoring the prizes of the newest revision, which it posts like any other line.

The standing is a pure function of the facts, the roster and the seal: `computed_prizes` is what `recompute --check` uses.
Locks are taken in the order participations, then seal, here and in scoring. A scoring that had not seen the seal still
holds its participations, so the first standing waits for it; every later one leaves `dirty_seq` behind.
"""

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Q, Sum
from django.utils import timezone

from incentives.core import audit
from incentives.crm.models import Delivery, ObjectState
from incentives.earnings.facts import People, people_in
from incentives.earnings.models import ContestSeal, Credit, Participation, Scorecard, SealedStanding
from incentives.earnings.running import inputs_for, running_of
from incentives.earnings.standings import evidence_of, place_rows, what_differs
from incentives.participants.models import Participant
from incentives.programs.models import Program
from incentives.programs.rules.contests import Competitor, enters, rank_competitors, rank_rewards
from incentives.programs.rules.facts import Enrolment, Line, Standing
from incentives.programs.rules.numbers import units
from incentives.programs.rules.periods import clock, closes_at
from incentives.programs.rules.schema import Definition
from incentives.programs.versions import definition_of

S = Program.Status
ENDED = (S.CLOSING, S.CLOSED, S.ARCHIVED)
"""Only a program in one of these states may be sealed: scoring asks about seals for no other."""
AT_ONCE = 50


# --- 1. the moment ----------------------------------------------------------------------------------------------------
def seal_due(now: datetime | None = None) -> int:
    """Fix the moment of sealing of every program whose grace days are over, or that was closed by hand. The sweep calls it.

    The moment is the scheduled close, or the earlier one at which somebody closed it, so that a late sweep seals no
    other facts than a punctual one. Returns how many; a repeat fixes nothing.
    """
    now = now or timezone.now()
    ended = Program.objects.filter(status__in=ENDED, contest_seal__isnull=True, versions__published_at__isnull=False)
    return sum(_fix(program, now) for program in ended.distinct().order_by("pk"))


def _fix(program: Program, now: datetime) -> int:
    version = running_of(program).version
    definition = definition_of(version)
    moment = closes_at(definition)
    if program.status != S.CLOSING:
        moment = min(moment, program.closed_at or now)
    if moment > now:
        return 0
    contests = rank_rewards(definition)
    groups = _groups(program) if any(reward.by != "participant" for _index, reward in contests) else {}
    try:
        with transaction.atomic():
            seal = ContestSeal.objects.create(
                program=program,
                version=version,
                sealed_at=moment,
                contests=len(contests),
                groups=groups,
                dirty_seq=1 if contests else 0,
            )
            if contests:
                audit.record("contest.sealed", program, after={"sealed_at": seal.sealed_at, "version": version.number})
    except IntegrityError:  # another process was quicker; its moment is the same
        return 0
    return 1


def _groups(program: Program) -> dict[str, list[str | None]]:
    rows = program.participations.values_list("participant_id", "participant__team__code", "participant__partner__code")
    return {str(pk): [team, partner] for pk, team, partner in rows}


# --- 2. the standing --------------------------------------------------------------------------------------------------
def scored(participations: Iterable[Participation]) -> None:
    """Scoring calls this in its transaction: standings of sealed programs among these are to be looked at again."""
    programs = {p.program_id for p in participations if p.program.status in ENDED}
    if programs:
        seals = ContestSeal.objects.filter(program__in=programs, contests__gt=0)
        due = list(seals.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        ContestSeal.objects.filter(pk__in=due).update(dirty_seq=F("dirty_seq") + 1)


def settle() -> int:
    """Compute the standings that are due. Returns how many revisions were written; their prizes are then to be scored.

    A program in which a fact or a scorecard is due waits, so that a burst of corrections makes one revision.
    """
    due = ContestSeal.objects.filter(dirty_seq__gt=F("ranked_seq")).order_by("pk")
    written = 0
    for seal in list(due.select_related("program")[:AT_ONCE]):
        if waits(seal):
            continue
        try:
            written += _rank(seal.pk, seal.program_id)
        except IntegrityError:  # another process wrote this revision
            continue
    return written


def waits(seal: ContestSeal) -> str:
    """What the standing still waits for, in words; empty when it can be computed."""
    program = seal.program
    if Participation.objects.filter(program=program, dirty_seq__gt=F("scored_seq")).exists():
        return "scorecards are being computed"
    due = ObjectState.objects.filter(changed_seq__gt=F("credited_seq"))
    if due.filter(running_of(program).near()).exists():
        return "activities are being credited"
    early = Delivery.objects.filter(status=Delivery.Status.PENDING, received_at__lt=seal.sealed_at)
    if not program.standings.exists() and early.exists():
        return "events received before the close are being read"
    return ""


def settled(program: Program) -> bool:
    """Whether the program closed and every prize is decided and scored, so that `at_close` payouts are complete."""
    seal = ContestSeal.objects.filter(program=program).first()
    due = Participation.objects.filter(program=program, dirty_seq__gt=F("scored_seq"))
    return seal is not None and seal.dirty_seq <= seal.ranked_seq and not due.exists()


def _rank(seal_id: int, program_id: int) -> int:
    with transaction.atomic():
        list(
            Participation.objects.filter(program=program_id)
            .select_for_update(no_key=True)
            .order_by("pk")
            .values_list("pk")
        )
        locked = ContestSeal.objects.select_for_update(of=("self",), no_key=True).select_related("program", "version")
        seal = locked.get(pk=seal_id)
        if seal.dirty_seq <= seal.ranked_seq or waits(seal):
            return 0
        definition = definition_of(seal.version)
        people = _people(seal.program)
        written = [_revise(seal, definition, standing, people) for standing in _standings(seal, definition, people)]
        touched = set().union(*(prizes for prizes in written if prizes is not None))
        Participation.objects.filter(program=program_id, participant__in=touched).update(dirty_seq=F("dirty_seq") + 1)
        ContestSeal.objects.filter(pk=seal.pk).update(ranked_seq=seal.dirty_seq)
    return sum(prizes is not None for prizes in written)


def _people(program: Program) -> People:
    rows = Participant.objects.filter(participations__program=program)
    return people_in(rows.select_related("team", "partner"))


def _standings(seal: ContestSeal, definition: Definition, people: People) -> tuple[Standing, ...]:
    competitors = sealed_competitors(seal, definition, people)
    enrolment = inputs_for([running_of(seal.program)], people).enrolment(seal.program)
    return rank_competitors(definition, competitors, people.roster, enrolment, groups_of(seal, people))


def groups_of(seal: ContestSeal, people: People) -> dict[str, tuple]:
    """As the rules take them."""
    return {people.keys[int(pk)]: tuple(group) for pk, group in seal.groups.items() if int(pk) in people.keys}


def sealed_competitors(seal: ContestSeal, definition: Definition, people: People) -> list[Competitor]:
    """Sums of the credits that enter, and what the other rewards earned by the scorecards. Two queries."""
    inside = Q(object__received_at__isnull=True) | Q(object__received_at__lt=seal.sealed_at)
    rows = Credit.objects.filter(inside, participation__program=seal.program).order_by()
    grown = Max("counted_at", filter=Q(measure__gt=0))
    sums = rows.values_list("participation__participant_id").annotate(total=Sum("measure"), grown=grown)
    earned = earned_besides(seal.program, definition)
    return [
        Competitor(people.keys[pk], units(total), grown, *earned.get(pk, (0, 0))) for pk, total, grown in sums
    ]  # fmt: skip


def earned_besides(program: Program, definition: Definition) -> dict[int, tuple[int, int]]:
    """participant id -> minor units earned without prizes (in all, in the last period). One query, none without caps."""
    if definition.caps.period is None and definition.caps.participant is None:
        return {}
    without = F("amount_minor") - F("prize_minor")
    rows = Scorecard.objects.filter(participation__program=program).order_by()
    sums = rows.values_list("participation__participant_id").annotate(
        total=Sum(without), last=Sum(without, filter=Q(period_start=clock(definition).starts[-1]))
    )
    return {pk: (total, last or 0) for pk, total, last in sums}


def _revise(seal: ContestSeal, definition: Definition, standing: Standing, people: People) -> set[int] | None:
    """Write the next revision. Returns the participants (ids) whose prize it changes; None when nothing differs."""
    before = latest(seal.program_id).get(standing.reward_index)
    places = place_rows(definition, standing, people)
    difference = what_differs(before.places if before else [], places)
    if before is not None and not difference.anything:
        return None
    revision = before.revision + 1 if before else 1
    evidence, reason = evidence_of(seal, definition, standing, before, difference)
    row = SealedStanding.objects.create(
        program=seal.program,
        version=seal.version,
        reward_index=standing.reward_index,
        revision=revision,
        sealed_at=seal.sealed_at,
        by=standing.by,
        ties=standing.ties,
        inputs_digest=standing.inputs_digest,
        places=places,
        evidence=evidence,
        reason=reason[:300],
    )
    after = {"revision": revision, "digest": row.inputs_digest, "prizes_changed": len(difference.prizes)}
    audit.record("standing.sealed" if revision == 1 else "standing.revised", row, after=after, reason=row.reason)
    ids = {str(public_id): pk for pk, public_id in people_ids(difference.prizes)}
    return set(ids.values())


def people_ids(public_ids: Iterable[str]):
    return Participant.objects.filter(public_id__in=list(public_ids)).values_list("pk", "public_id")


def latest(program_id: int) -> dict[int, SealedStanding]:
    """Reward index -> the newest revision of its standing."""
    rows = SealedStanding.objects.filter(program=program_id).order_by("reward_index", "revision")
    newest = dict(rows.values_list("reward_index", "pk"))
    return {row.reward_index: row for row in SealedStanding.objects.filter(pk__in=newest.values())}


# --- 3. the prizes ----------------------------------------------------------------------------------------------------
@lru_cache(maxsize=32)
def _prizes(public_id) -> dict[str, tuple[int, str]]:
    """Participant's public id -> (prize in minor units, why) of one revision. Kept, because a revision never changes."""
    row = SealedStanding.objects.get(public_id=public_id)
    later = "" if row.revision == 1 else f" (standing, revision {row.revision})"
    return {place["participant"]: (place["prize_minor"], place["explanation"] + later) for place in row.places}


def prize_lines(participations: Iterable[Participation]) -> dict[int, list[tuple[date, Line]]]:
    """Participation id -> (the program's last period, the line) by the newest revisions: one per contest, with zero for
    who wins nothing, so that a prize that is taken back names the revision. No query while no program has ended."""
    programs = {p.program_id for p in participations if p.program.status in ENDED}
    if not programs:
        return {}
    rows = SealedStanding.objects.filter(program__in=programs).order_by("revision").select_related("version")
    newest = {(row.program_id, row.reward_index): row for row in rows.defer("places", "evidence")}
    names = dict(Participant.objects.filter(participations__in=participations).values_list("pk", "public_id"))
    found: dict[int, list[tuple[date, Line]]] = {p.pk: [] for p in participations}
    for participation in participations:
        for (program_id, index), row in newest.items():
            if program_id == participation.program_id:
                nothing = 0, f"No prize by revision {row.revision} of the standing"
                minor, text = _prizes(row.public_id).get(str(names[participation.participant_id]), nothing)
                line = Line(f"r{index}:rank", index, "rank", None, None, minor, minor, text, row.version.number)
                found[participation.pk].append((last_period(definition_of(row.version)), line))
    return found


def last_period(definition: Definition) -> date:
    """Where prizes are booked."""
    return clock(definition).starts[-1]


def computed_prizes(
    seal: ContestSeal, people: People, enrolment: Enrolment, credits, cards, received
) -> dict[tuple, int]:
    """(participant id, period, line key) -> minor units, from facts, roster and seal alone: for `recompute --check`.

    credits, cards: participant key -> the rules' credits and scorecards; received: fact id -> when it first reached us.
    """
    definition = definition_of(seal.version)
    last = last_period(definition)
    competitors = []
    for key, own in credits.items():
        inside = [credit for credit in own if enters(received.get(credit.fact_id), seal.sealed_at)]
        grown = [credit.counted_at for credit in inside if credit.measure > 0]
        earned = [(card.period_start, card.earned_minor) for card in cards.get(key, [])]
        competitors.append(
            Competitor(
                key,
                sum(units(credit.measure) for credit in inside),
                max(grown, default=None),
                sum(minor for _start, minor in earned),
                sum(minor for start, minor in earned if start == last),
            )
        )
    standings = rank_competitors(definition, competitors, people.roster, enrolment, groups_of(seal, people))
    return {
        (people.ids[key], last, line.key): line.amount_minor
        for standing in standings
        for key, line in standing.lines.items()
    }
