"""The comparison with the provider's list as a run on record: daily by the sweep, by the command, and when finance asks.

The provider is called outside any transaction; then ours is read in one consistent view of the database, so that a card that is
issued in the same moment makes no difference; then everything found is written in one transaction, fenced by the attempt's number.
"""

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from incentives.accounts.selectors import people_who_can
from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.core.snapshot import snapshot
from incentives.notifications import CHATS
from incentives.notifications.outbox import notify_many
from incentives.payouts.reconcile import Report, reconcile
from incentives.reports.comparison_models import (
    ComparisonDifference,
    DifferenceNote,
    ProviderComparison,
    ProviderDifference,
)
from incentives.reports.errors import NothingSaid
from rewards import services as rewards
from rewards.errors import RewardError
from rewards.models import RewardOrder
from rewards.provider.errors import ProviderError

log = logging.getLogger(__name__)
S, T = ProviderComparison.Status, ProviderComparison.Trigger
DIFFERS = "reconciliation.differs"
LIST_SECONDS, LEASE = 300, timedelta(minutes=10)
"""How long the provider may take to list everything; the lease is longer, so that no second worker begins meanwhile."""
SWEEP_SECONDS, NOBODY_LISTENS = 20, timedelta(minutes=2)
"""The sweep compares itself, and quickly, only what no worker has begun in this time."""
WAITS = (timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))


# --- asking and explaining ----------------------------------------------------------------------------------------------
def ask_comparison(*, actor) -> ProviderComparison:
    """Ask for a comparison now. While one that was asked for waits or runs, a repeat gives that one. Raises NotAllowed."""
    _require(actor)
    open_one = ProviderComparison.objects.filter(trigger=T.BY_HAND, status__in=ProviderComparison.OPEN)
    try:
        with transaction.atomic():
            if (standing := open_one.first()) is not None:
                return standing
            run = _new(T.BY_HAND, asked_by=actor)
            audit.record("comparison.asked", run, actor=actor)
            transaction.on_commit(lambda: nudge(), robust=True)
            return run
    except IntegrityError:  # somebody else in the same moment
        return open_one.first() or ProviderComparison.objects.filter(trigger=T.BY_HAND).latest("pk")


def explain_difference(*, difference: ProviderDifference, text: str, actor) -> DifferenceNote:
    """Add what was found out about a difference; it stays listed. Raises NotAllowed, NothingSaid without words."""
    _require(actor)
    if not text.strip():
        raise NothingSaid
    with transaction.atomic():
        note = DifferenceNote.objects.create(difference=difference, text=text.strip()[:2000], by=actor)
        audit.record("comparison.explained", difference, actor=actor, after={"note": note.pk})
    return note


def _require(actor) -> None:
    if not actor.can("reconciliation.edit"):
        raise NotAllowed("Only finance compares with the provider and explains differences.")


def _new(trigger: str, **also) -> ProviderComparison:
    values = {"day": _today(), "currency": settings.E2R_CURRENCY, "next_attempt_at": timezone.now()}
    return ProviderComparison.objects.create(trigger=trigger, **values | also)


def _today() -> date:
    return timezone.now().astimezone(UTC).date()


def nudge() -> None:
    """Ask a worker to look. A hint: the sweep asks again."""
    try:
        current_app.send_task("reports.compare")
    except Exception as exc:  # a broker that is away must not fail what is committed
        log.warning("no broker for a hint: %s", type(exc).__name__)


# --- running ------------------------------------------------------------------------------------------------------------
def carry_on(seconds: float = LIST_SECONDS) -> int:
    """Run every comparison that is due. Returns how many were carried out, also in vain. A repeat finds nothing due."""
    count = 0
    for pk in ProviderComparison.objects.filter(_due()).order_by("pk").values_list("pk", flat=True):
        if run := _claim(pk):
            _run(run, lambda: rewards.list_provider_orders(seconds=seconds))
            count += 1
    return count


def compare_now(list_orders: Callable | None = None) -> tuple[ProviderComparison, Report]:
    """Compare here and now, on record: what the command does. Raises RewardError and the provider's errors, with the failure on
    record as well."""
    now = timezone.now()
    run = _new(T.COMMAND, status=S.RUNNING, attempts=1, started_at=now, next_attempt_at=now + LEASE)
    return run, _run(run, list_orders or rewards.list_provider_orders, raises=True)


def _due() -> Q:
    """What waits, what a worker left lying, and what failed today and is not given up."""
    now = timezone.now()
    again = Q(status=S.FAILED, trigger=T.DAILY, day=_today())
    return Q(next_attempt_at__lte=now) & (Q(status__in=ProviderComparison.OPEN) | again)


def _claim(pk: int) -> ProviderComparison | None:
    now = timezone.now()
    values = {"status": S.RUNNING, "attempts": F("attempts") + 1, "started_at": now, "next_attempt_at": now + LEASE}
    if not ProviderComparison.objects.filter(_due(), pk=pk).update(**values):
        return None
    return ProviderComparison.objects.get(pk=pk)


def _run(run: ProviderComparison, list_orders: Callable, *, raises: bool = False) -> Report | None:
    try:
        theirs = list(list_orders())
        with snapshot():
            report = reconcile(theirs)
    except (RewardError, ProviderError) as exc:
        _fail(run, f"The provider could not be asked: {exc}")
        if raises:
            raise
        return None
    except Exception as exc:
        log.exception("comparison %s failed", run.pk)
        _fail(run, f"It broke off ({type(exc).__name__}). The log says why.")
        if raises:
            raise
        return None
    _finish(run, report, len(theirs))
    return report


def _mine(run: ProviderComparison):
    return ProviderComparison.objects.filter(pk=run.pk, status=S.RUNNING, attempts=run.attempts)


def _fail(run: ProviderComparison, problem: str) -> None:
    """On record with its reason; the sweep's own is tried again, later each time."""
    now = timezone.now()
    again = now + WAITS[min(run.attempts, len(WAITS)) - 1] if run.trigger == T.DAILY else None
    values = {"status": S.FAILED, "problem": problem[:300], "finished_at": now, "next_attempt_at": again}
    with transaction.atomic():
        if _mine(run).update(**values):
            audit.record("comparison.failed", run, after={"attempt": run.attempts}, reason=problem[:300])
    log.warning("comparison with the provider failed: %s", problem)


def _finish(run: ProviderComparison, report: Report, listed: int) -> None:
    """Everything found, in one transaction; nothing when another worker took the run over."""
    serious = sum(difference.serious for difference in report.differences)
    values = {
        "status": S.DIFFERS if serious else S.AGREES, "problem": "", "finished_at": timezone.now(), "next_attempt_at": None,
        "orders": report.orders, "listed": listed, "ours_minor": report.ours_minor, "theirs_minor": report.theirs_minor,
    }  # fmt: skip
    with transaction.atomic():
        if not _mine(run).update(**values):
            log.info("comparison %s is not ours any more", run.pk)
            return
        found = _known(report, values["finished_at"])
        ComparisonDifference.objects.bulk_create(
            [ComparisonDifference(comparison=run, difference=row, serious=grave) for row, grave in found],
            batch_size=500,
        )
        grave = sum(1 for _row, one in found if one)
        ProviderComparison.objects.filter(pk=run.pk).update(serious=grave, remarks=len(found) - grave)
        _tell([row for row, one in found if one and row.told_at is None], values["finished_at"])
        run.refresh_from_db()
        audit.record("comparison.made", run, after={"status": run.status, "serious": grave})


def fingerprint(code: str, reference: str, message: str) -> str:
    return hashlib.sha256("\x1f".join((code, reference, message)).encode()).hexdigest()


def _known(report: Report, now: datetime) -> list[tuple[ProviderDifference, bool]]:
    """The row of each difference, made where it is new, and whether it is serious. Rows are locked in one order."""
    wanted: dict[str, tuple] = {}
    for one in report.differences:
        key = fingerprint(one.code, one.reference, one.message)
        wanted[key] = (one, one.serious or (key in wanted and wanted[key][1]))
    rows = [
        ProviderDifference(
            fingerprint=key, code=one.code, reference=one.reference[:200], message=one.message, serious=grave,
            first_seen_at=now, last_seen_at=now,
        )
        for key, (one, grave) in sorted(wanted.items())
    ]  # fmt: skip
    ProviderDifference.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    found, keys = [], sorted(wanted)
    for start in range(0, len(keys), 500):
        part = ProviderDifference.objects.filter(fingerprint__in=keys[start : start + 500]).order_by("fingerprint")
        found += part.select_for_update(no_key=True)
    for grave in (True, False):
        ids = [row.pk for row in found if wanted[row.fingerprint][1] is grave]
        for start in range(0, len(ids), 500):
            here = ProviderDifference.objects.filter(pk__in=ids[start : start + 500])
            here.update(last_seen_at=now, serious=grave)
    return [(row, wanted[row.fingerprint][1]) for row in found]


def _tell(fresh: list[ProviderDifference], now: datetime) -> None:
    """Finance, once per difference: when it is first serious."""
    if not fresh:
        return
    rows = [(row.fingerprint, {"difference": str(row.public_id)}) for row in fresh]
    for to in (*people_who_can("reconciliation.edit"), CHATS):
        notify_many(DIFFERS, to=to, rows=rows)
    ids = [row.pk for row in fresh]
    for start in range(0, len(ids), 500):
        ProviderDifference.objects.filter(pk__in=ids[start : start + 500]).update(told_at=now)


# --- the sweep ----------------------------------------------------------------------------------------------------------
def sweep_once() -> int:
    """Make the day's comparison due, and have what is due carried out: by a worker, or here when none listens. Returns how many
    were begun or carried out."""
    made = _make_daily()
    done = 0
    if ProviderComparison.objects.filter(_due()).exists():
        nudge()
        late = timezone.now() - NOBODY_LISTENS
        if ProviderComparison.objects.filter(_due(), next_attempt_at__lte=late).exists():
            done = carry_on(SWEEP_SECONDS)
    return made + done


def _make_daily() -> int:
    """One for each UTC day, whoever sweeps. None in an installation that has neither a provider nor an order."""
    if ProviderComparison.objects.filter(trigger=T.DAILY, day=_today()).exists():
        return 0
    configured = settings.E2R_BASE_URL and settings.E2R_EMAIL and settings.E2R_ACCESS_TOKEN
    if not configured and not RewardOrder.objects.exists():
        return 0
    try:
        with transaction.atomic():
            _new(T.DAILY)
    except IntegrityError:  # another sweep in the same moment
        return 0
    return 1
