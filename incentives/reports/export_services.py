"""Everything the customer owns as one file: asked for, made by a worker, fetched by who asked, removed after a week."""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from incentives.accounts.models import User
from incentives.core import audit
from incentives.core.errors import DomainError, NotAllowed
from incentives.core.snapshot import snapshot
from incentives.reports.export_models import FullExport
from incentives.reports.export_writer import Writer, ZipTarget

log = logging.getLogger(__name__)
S = FullExport.Status
KEPT = timedelta(days=7)
LEASE = timedelta(minutes=2)
ATTEMPTS = 3


class ExportGone(DomainError):
    """There is no file to fetch."""

    code = "export_gone"
    status = 409


class _TakenOver(Exception):
    """Another worker makes this export now."""


def folder() -> Path:
    """Beside the uploads: never served by an address."""
    return Path(settings.MEDIA_ROOT) / "exports"


def path_of(export: FullExport) -> Path:
    return folder() / f"{export.public_id}.zip"


# --- asking and fetching ----------------------------------------------------------------------------------------------------
def request_export(*, actor) -> FullExport:
    """Ask for everything. While one of the same person's waits or runs, a repeat returns that. Raises NotAllowed."""
    _require(actor)
    with transaction.atomic():
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)  # two clicks make one
        standing = FullExport.objects.filter(requested_by=actor, status__in=FullExport.OPEN).first()
        if standing is not None:
            return standing
        export = FullExport.objects.create(requested_by=actor)
        audit.record("export.requested", export, actor=actor)
        transaction.on_commit(lambda: nudge(), robust=True)
    return export


def open_file(*, export: FullExport, actor):
    """The file, open to read; recorded each time. Raises NotAllowed (also for anybody but who asked), ExportGone."""
    _require(actor)
    if export.requested_by_id != actor.pk:
        raise NotAllowed("Only the person who asked for it may fetch it. Ask for one of your own.")
    if export.status != S.DONE or export.expires_at <= timezone.now():
        raise ExportGone("There is no file any more: exports are removed after 7 days. Ask for another one.")
    try:
        file = path_of(export).open("rb")
    except OSError as exc:
        log.exception("export %s has no file", export.public_id)
        raise ExportGone("The file is gone from the store. Ask for another one.") from exc
    with transaction.atomic():
        audit.record("export.fetched", export, actor=actor, after={"bytes": export.size, "sha256": export.sha256})
    return file


def _require(actor) -> None:
    if not actor.can("export.everything"):
        raise NotAllowed("Only finance may export everything.")


def nudge() -> None:
    """Ask a worker to look. A hint: the sweep asks again."""
    try:
        current_app.send_task("reports.export")
    except Exception as exc:  # a broker that is away must not fail what is committed
        log.warning("no broker for a hint: %s", type(exc).__name__)


# --- making -----------------------------------------------------------------------------------------------------------------
def carry_on() -> int:
    """Make every export that waits, the oldest first, or whose worker is silent. Returns how many ended."""
    ended = 0
    while (export := _claim()) is not None:
        _run(export)
        ended += 1
    return ended


def _due() -> Q:
    return Q(status=S.QUEUED) | Q(status=S.RUNNING, lease_until__lt=timezone.now())


def _claim() -> FullExport | None:
    _give_up()
    now = timezone.now()
    for pk in FullExport.objects.filter(_due()).order_by("pk").values_list("pk", flat=True)[:5]:
        values = {"status": S.RUNNING, "attempt": F("attempt") + 1, "lease_until": now + LEASE, "done": 0, "total": 0}
        if FullExport.objects.filter(_due(), pk=pk).update(**values):
            return FullExport.objects.get(pk=pk)
    return None


def _give_up() -> int:
    lost = FullExport.objects.filter(status=S.RUNNING, lease_until__lt=timezone.now(), attempt__gte=ATTEMPTS)
    error = f"Its worker ended {ATTEMPTS} times before it was done. Look at its memory and disk, then ask again."
    return lost.update(status=S.FAILED, error=error, finished_at=timezone.now(), lease_until=None)


def _run(export: FullExport) -> None:
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = folder() / f"{export.public_id}.{export.attempt}.part"
    try:
        manifest = write_zip(unfinished, tell=lambda other: _teller(export, other))
        values = {
            "status": S.DONE, "finished_at": timezone.now(), "expires_at": timezone.now() + KEPT, "lease_until": None,
            "size": unfinished.stat().st_size, "sha256": _sha256(unfinished), "manifest_sha256": manifest,
            "done": F("total"), "error": "",
        }  # fmt: skip
        with transaction.atomic():
            if not _mine(export).update(**values):
                raise _TakenOver
            unfinished.replace(path_of(export))
            export.refresh_from_db()
            audit.record("export.made", export, after={"bytes": export.size, "sha256": export.sha256})
    except _TakenOver:
        log.info("export %s is not ours any more", export.pk)
    except Exception as exc:
        log.exception("export %s failed", export.pk)
        words = f"It could not be made ({type(exc).__name__}). The log of the worker says why; ask again."
        _mine(export).update(status=S.FAILED, error=words, finished_at=timezone.now(), lease_until=None)
    finally:
        unfinished.unlink(missing_ok=True)


def write_zip(path: Path, *, tell: Callable | None = None) -> str:
    """Write everything into a new file that only its owner may read. Returns the SHA-256 of the manifest."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
        target = ZipTarget(file)
        try:
            with snapshot() as other:
                manifest = Writer(target, tell(other) if tell else lambda done, total: None).everything()
        finally:
            target.close()
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _mine(export: FullExport):
    return FullExport.objects.filter(pk=export.pk, status=S.RUNNING, attempt=export.attempt)


def _teller(export: FullExport, other) -> Callable[[int, int], None]:
    """Show the progress and keep the lease, once a second, by a connection beside the one that reads. Raises _TakenOver."""
    told = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told < 1:
            return
        told = time.monotonic()
        until = other.ops.adapt_datetimefield_value(timezone.now() + LEASE)
        with other.cursor() as cursor:
            cursor.execute(
                "UPDATE reports_fullexport SET done = %s, total = %s, lease_until = %s "
                "WHERE id = %s AND status = 'running' AND attempt = %s",
                [done, total, until, export.pk, export.attempt],
            )
            if not cursor.rowcount:
                raise _TakenOver

    return tell


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- the sweep ----------------------------------------------------------------------------------------------------------------
def sweep_once() -> int:
    """Remove what is older than a week, end what was interrupted too often, and ask a worker again for what waits.

    It makes no export itself: that takes minutes. Without any worker, `manage.py export` does. Returns how many were removed.
    """
    _give_up()
    if FullExport.objects.filter(_due()).exists():
        nudge()
    removed = 0
    for export in FullExport.objects.filter(status=S.DONE, expires_at__lte=timezone.now()):
        with transaction.atomic():
            if FullExport.objects.filter(pk=export.pk, status=S.DONE).update(status=S.EXPIRED):
                audit.record("export.removed", export)
                removed += 1
        path_of(export).unlink(missing_ok=True)
    return removed
