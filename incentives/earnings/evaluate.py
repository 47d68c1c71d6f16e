"""From changed facts to posted earnings: credit what changed, then recompute each scorecard that it touches.

Two steps, each over rows that say themselves that they are due (`changed_seq > credited_seq`, `dirty_seq > scored_seq`), so
a lost message, a killed worker or a burst of changes needs no code of its own. Each batch is one transaction: a crash
leaves the rows due. Rows are claimed with SKIP LOCKED where the database has it; elsewhere one writer works at a time.
"""

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, replace

from celery import current_app
from django.db import transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from incentives.crm.models import ObjectState
from incentives.earnings import contests
from incentives.earnings.dirty import mark_dirty, participations_of
from incentives.earnings.facts import counts, fact_of, people_in, people_of, targets_of
from incentives.earnings.grouping import siblings_of, stacked
from incentives.earnings.models import Credit, Earning, Participation, Scorecard
from incentives.earnings.notice import notice_changes
from incentives.earnings.running import Running, inputs_for, running_programs
from incentives.earnings.stops import stop_spent_programs
from incentives.ledger import accounts
from incentives.ledger.models import Account
from incentives.ledger.posting import Move, post_all
from incentives.participants.models import Participant
from incentives.programs.models import ProgramVersion
from incentives.programs.rules.facts import Credit as CreditValue
from rewards.money import Money

log = logging.getLogger(__name__)
OBJECTS_AT_ONCE = 200
CARDS_AT_ONCE = 25


def evaluate(*, limit: int = 10**9, seconds: float | None = None) -> dict[str, int]:
    """Credit and score until nothing is due, `limit` rows were handled or the time is up. Returns counts.

    A repeat does nothing. Programs whose budget this has spent are stopped. Payouts are told at the end.
    """
    until = None if seconds is None else time.monotonic() + seconds
    done = {"credited": 0, "scored": 0, "earnings": 0}
    _until_nothing_is_due(done, limit, until)
    while done["scored"] and stop_spent_programs() and _in_time(until):  # what came in meanwhile no longer counts
        _until_nothing_is_due(done, limit, until)
    if done["scored"]:
        nudge_payouts()
    return done


def _until_nothing_is_due(done: dict[str, int], limit: int, until: float | None) -> None:
    notice_changes()
    n = OBJECTS_AT_ONCE
    while done["credited"] < limit and n >= OBJECTS_AT_ONCE and _in_time(until):  # a batch not full was the last
        done["credited"] += (n := credit_batch())
    _score(done, limit, until)
    while _in_time(until) and contests.settle():  # a new standing changes prizes, which are scored like anything else
        _score(done, limit, until)


def _score(done: dict[str, int], limit: int, until: float | None) -> None:
    n = CARDS_AT_ONCE
    while done["scored"] < limit and n >= CARDS_AT_ONCE and _in_time(until):
        n, posted = score_batch()
        done["scored"] += n
        done["earnings"] += posted


def _in_time(until: float | None) -> bool:
    return until is None or time.monotonic() < until


def something_is_due() -> bool:
    return (
        ObjectState.objects.filter(changed_seq__gt=F("credited_seq")).exists()
        or Participation.objects.filter(dirty_seq__gt=F("scored_seq")).exists()
    )


def sweep_once(limit: int = 2000) -> dict[str, int]:
    """What the sweep calls: finds whatever a lost message left behind, and budgets that lost their room otherwise."""
    done = evaluate(limit=limit, seconds=20)
    if not done["scored"]:
        stop_spent_programs()
    return done


def nudge_payouts() -> None:
    """Tell the payout side to look. A hint: losing it costs seconds, the sweep looks as well."""
    try:
        current_app.send_task("payouts.follow_up")
    except Exception as exc:  # a broker that is away must not fail what is committed
        log.warning("no broker for a hint: %s", type(exc).__name__)


# --- step 1: credits ---------------------------------------------------------------------------------------------------


def credit_batch(size: int = OBJECTS_AT_ONCE) -> int:
    """Bring the credits of up to `size` changed facts up to date; mark the scorecards they touch, before and now, dirty.

    Returns how many facts it handled; 0 when nothing is due.
    """
    with transaction.atomic():
        due = ObjectState.objects.filter(changed_seq__gt=F("credited_seq")).order_by("pk")
        states = list(due.select_for_update(of=("self",), skip_locked=True)[:size])
        if not states:
            return 0
        wanted = _wanted_credits(states)
        _write_credits(states, wanted)
        _mark_credited(states)
    return len(states)


def _mark_credited(states: list[ObjectState]) -> None:
    """Set `credited_seq` to the change that was read. Few values occur: one UPDATE each costs far less than a CASE."""
    by_seq: dict[int, list[int]] = defaultdict(list)
    for state in states:
        by_seq[state.changed_seq].append(state.pk)
    for seq, pks in by_seq.items():
        ObjectState.objects.filter(pk__in=pks).update(credited_seq=seq)


Wanted = dict[tuple[int, int], tuple[Running, list[CreditValue]]]
"""(program id, participant id) -> the running program and the credits some facts give there now."""


def _wanted_credits(states: list[ObjectState]) -> Wanted:
    programs = running_programs()
    people = people_of(states, {key for running in programs for key in running.named})
    inputs = inputs_for(programs, people)
    wanted: Wanted = {}
    for state in states:
        if not counts(state):
            continue
        fact = fact_of(state, people)
        for running in programs:
            if not running.may_count(state):
                continue
            for credit in inputs.credits(running, fact).credits:
                slot = wanted.setdefault((running.program.pk, people.ids[credit.participant]), (running, []))
                slot[1].append(credit)
    return wanted


def _write_credits(states: list[ObjectState], wanted: Wanted) -> None:
    touched = participations_of(wanted)
    fresh: dict[tuple, Credit] = {}
    for key, (running, values) in wanted.items():
        for value in values:
            row = _credit_row(touched[key], running.version_at(value.counted_at), value)
            fresh[row.participation_id, row.object_id, row.role] = row
    standing = Credit.objects.filter(object__in=states)
    old = {(c.participation_id, c.object_id, c.role): c for c in standing}
    changed = {key for key, row in fresh.items() if key not in old or _differs(old[key], row)}
    gone = set(old) - set(fresh)
    Credit.objects.filter(pk__in=[old[key].pk for key in gone | (changed & set(old))]).delete()
    Credit.objects.bulk_create([fresh[key] for key in sorted(changed)], batch_size=500)
    mark_dirty({key[0] for key in changed | gone})


VALUES = ("share_percent", "share_from", "counted_at", "period_start", "measure", "whole")
"""What a stored credit carries of the rules' Credit, in its order after fact, participant and role."""


def _differs(a: Credit, b: Credit) -> bool:
    return a.version_id != b.version_id or any(getattr(a, name) != getattr(b, name) for name in VALUES)


def _credit_row(participation_id: int, version: ProgramVersion, value: CreditValue) -> Credit:
    return Credit(
        participation_id=participation_id,
        version=version,
        object_id=int(value.fact_id),
        role=value.role,
        **{name: getattr(value, name) for name in VALUES},
    )


# --- step 2: scores ----------------------------------------------------------------------------------------------------


def score_batch(size: int = CARDS_AT_ONCE) -> tuple[int, int]:
    """Recompute up to `size` dirty participations from all of their credits and post what differs from what stands.

    Returns (participations, earnings posted). Source: design, section 3; docs/architecture.md, promises 2 and 3.
    """
    with transaction.atomic():
        due = Participation.objects.filter(dirty_seq__gt=F("scored_seq")).order_by("pk")
        locked = due.select_for_update(of=("self",), skip_locked=True).select_related("program")
        participations = list(locked[:size])
        if not participations:
            return 0, 0
        computed = compute(participations)
        earnings = _post_differences(participations, computed)
        _store_scorecards(computed)
        contests.scored(participations)
        now = timezone.now()
        for participation in participations:
            participation.scored_seq, participation.scored_at = participation.dirty_seq, now
        Participation.objects.bulk_update(participations, ["scored_seq", "scored_at", "earned_minor"], batch_size=500)
    return len(participations), len(earnings)


@dataclass(frozen=True, slots=True)
class Computed:
    """What the rules say about one participation now."""

    participation: Participation
    running: Running | None
    scorecards: tuple
    prizes: tuple = ()  # (period, line) of the sealed standings

    def version_of(self, number: int | None) -> ProgramVersion | None:
        """The version a line is paid by: the one it names, else the one that governs at the end."""
        if self.running is None:
            return self.participation.program.newest_version
        return self.running.versions.get(number) or self.running.version


def compute(participations: list[Participation]) -> list[Computed]:
    """Score from the stored credits, beside what the same people have in other programs that stack; writes nothing."""
    scored = _scored([*participations, *siblings_of(participations)])
    stacking: dict[int, list[int]] = defaultdict(list)
    for place, item in enumerate(scored):
        if item.running is not None and item.running.program.stacks:
            stacking[item.participation.participant_id].append(place)
    for places in stacking.values():
        if len(places) > 1:
            cards = stacked([(scored[place].running, scored[place].scorecards) for place in places])
            for place, found in zip(places, cards, strict=True):
                scored[place] = replace(scored[place], scorecards=found)
    return scored[: len(participations)]


def _scored(participations: list[Participation]) -> list[Computed]:
    """Each participation by itself."""
    rows = Participant.objects.filter(pk__in={p.participant_id for p in participations})
    people = people_in(rows.select_related("team", "partner"))
    credits = _credits_by_participation(participations, people.keys)
    programs = {running.program.pk: running for running in running_programs()}
    targets = {
        program_id: targets_of(program_id, people.keys)
        for program_id in {p.program_id for p in participations} & set(programs)
    }
    prizes = contests.prize_lines(participations)
    result = []
    for participation in participations:
        running = programs.get(participation.program_id)
        if running is None:  # not scored: a draft earns nothing
            result.append(Computed(participation, None, ()))
            continue
        person = people.roster[people.keys[participation.participant_id]]
        mine = targets[participation.program_id][participation.participant_id]
        cards = running.timeline.score(person, mine, credits[participation.pk])
        won = tuple(prizes.get(participation.pk, ()))
        result.append(Computed(participation, running, tuple(cards), won))
    return result


def _credits_by_participation(participations, keys) -> dict[int, list[CreditValue]]:
    credits: dict[int, list[CreditValue]] = defaultdict(list)
    key_of = {p.pk: keys[p.participant_id] for p in participations}
    rows = Credit.objects.filter(participation__in=participations).values_list(
        "participation_id", "object_id", "role", *VALUES
    )
    for pk, object_id, role, *values in rows.iterator(chunk_size=5000):
        credits[pk].append(CreditValue(str(object_id), key_of[pk], role, *values))
    return credits


def standing_lines(participations) -> dict[int, dict[tuple, tuple[int, int]]]:
    """participation id -> (period start, line key) -> (minor units that stand, how many rows), from the earnings."""
    standing: dict[int, dict[tuple, tuple[int, int]]] = defaultdict(dict)
    rows = (
        Earning.objects.filter(participation__in=participations)
        .values_list("participation_id", "period_start", "line_key")
        .annotate(total=Sum("amount_minor"), rows=Count("pk"))
        .order_by()
    )
    for pk, period, key, total, n in rows:
        standing[pk][period, key] = (total, n)
    return standing


def _post_differences(participations, computed: list[Computed]) -> list[Earning]:
    standing = standing_lines(participations)
    earnings: list[Earning] = []
    for item in computed:
        new = differences(item, standing[item.participation.pk])
        item.participation.earned_minor += sum(earning.amount_minor for earning in new)
        earnings += new
    Earning.objects.bulk_create(earnings, batch_size=500)
    _post_to_ledger(earnings)
    return earnings


def differences(item: Computed, standing: dict[tuple, tuple[int, int]]) -> list[Earning]:
    """The earnings that turn what stands into what was computed; none when they agree. Unsaved."""
    lines = {(card.period_start, line.key): line for card in item.scorecards for line in card.lines}
    lines |= {(period, line.key): line for period, line in item.prizes}
    changes = []
    for key, line in lines.items():
        before, n = standing.get(key, (0, 0))
        if line.amount_minor != before:
            words = _words(line, before, item)
            changes.append(_earning(item, key, n, line.amount_minor - before, words, line.fact_id, line.version))
    for key, (before, n) in standing.items():
        if key not in lines and before:
            words = f"Taken back: {Money(before, item.participation.program.currency)} is no longer earned."
            changes.append(_earning(item, key, n, -before, words, _fact_of_key(key[1])))
    return changes


def _words(line, before: int, item: Computed) -> str:
    if not before:
        return line.explanation
    return f"{line.explanation} (corrected, was {Money(before, item.participation.program.currency)})"


def _fact_of_key(key: str) -> str | None:
    """The fact a line key names: `r0:deal:<fact>` and its overlay form carry it, period lines do not."""
    parts = key.split(":")
    return parts[2] if len(parts) > 2 and parts[1] == "deal" and parts[2].isdigit() else None


def _earning(
    item: Computed, key, n: int, amount: int, words: str, fact_id: str | None, version: int | None = None
) -> Earning:
    return Earning(
        participation=item.participation,
        version=item.version_of(version),
        object_id=int(fact_id) if fact_id else None,
        period_start=key[0],
        line_key=key[1],
        n=n + 1,
        amount_minor=amount,
        currency=item.participation.program.currency,
        explanation=words,
    )


def _post_to_ledger(earnings: list[Earning]) -> None:
    """accrual -> earned, or back for a correction; one posting per earning."""
    if not earnings:
        return
    owners = {(str(e.participation.public_id), e.currency) for e in earnings}
    own = accounts.participant_accounts(sorted(owners))
    accruals = {currency: _accrual(currency) for currency in {currency for _, currency in owners}}
    moves = []
    for earning in earnings:
        outside = accruals[earning.currency]
        inside = own[str(earning.participation.public_id)][accounts.EARNED]
        source, destination = (outside, inside) if earning.amount_minor > 0 else (inside, outside)
        moves.append(
            Move(
                f"earn:{earning.public_id}",
                Money(abs(earning.amount_minor), earning.currency),
                source,
                destination,
                "earn" if earning.amount_minor > 0 else "unearn",
                f"earning:{earning.public_id}",
            )
        )
    post_all(moves)


def _accrual(currency: str) -> Account:
    return accounts.world("accrual", currency, book=Account.Book.PARTICIPANT)


def _prize_in(item: Computed, period) -> int:
    return sum(line.amount_minor for start, line in item.prizes if start == period)


def _store_scorecards(computed: list[Computed]) -> None:
    Scorecard.objects.filter(participation__in=[item.participation for item in computed]).delete()
    Scorecard.objects.bulk_create(
        [
            Scorecard(
                participation=item.participation,
                period_start=card.period_start,
                period_end=card.period_end,
                measure=card.measure,
                target=card.target,
                attainment=None if card.attainment is None else int(card.attainment * 100),
                deals=card.deals,
                amount_minor=card.earned_minor + (prize := _prize_in(item, card.period_start)),
                prize_minor=prize,
                reached_at=card.reached_at,
            )
            for item in computed
            for card in item.scorecards
        ],
        batch_size=500,
    )
