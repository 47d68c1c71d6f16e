"""From changed facts to posted earnings: credit what changed, then recompute each scorecard that it touches.

Two steps, each over rows that say themselves that they are due (`changed_seq > credited_seq`, `dirty_seq > scored_seq`), so
a lost message, a killed worker or a burst of changes needs no code of its own. Each batch is one transaction: a crash
leaves the rows due. Rows are claimed with SKIP LOCKED where the database has it; elsewhere one writer works at a time.
"""

import logging
import time
from collections import defaultdict

from celery import current_app
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from incentives.crm.models import ObjectState
from incentives.earnings import contests
from incentives.earnings.dirty import mark_dirty, participations_of
from incentives.earnings.facts import counts, fact_of, people_of
from incentives.earnings.models import Credit, Participation
from incentives.earnings.notice import notice_changes
from incentives.earnings.posting import post_differences, store_scorecards
from incentives.earnings.running import Running, inputs_for, running_programs
from incentives.earnings.scoring import VALUES, compute
from incentives.earnings.stops import stop_spent_programs
from incentives.programs.models import ProgramVersion
from incentives.programs.rules.facts import Credit as CreditValue

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
        states = list(due.select_for_update(of=("self",), skip_locked=True, no_key=True)[:size])
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
        locked = due.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("program")
        participations = list(locked[:size])
        if not participations:
            return 0, 0
        computed = compute(participations)
        earnings = post_differences(participations, computed)
        store_scorecards(computed)
        contests.scored(participations)
        now = timezone.now()
        for participation in participations:
            participation.scored_seq, participation.scored_at = participation.dirty_seq, now
        Participation.objects.bulk_update(participations, ["scored_seq", "scored_at", "earned_minor"], batch_size=500)
    return len(participations), len(earnings)
