"""Importing a file of facts: preview, import in chunks that may stop and go on, and a result for every row.

Rows become deliveries and go through the same pipeline as everything else. A delivery's key is made of the object and
its content, so the same file again, in any order, changes nothing; the newest import of changed content wins.
"""

import csv
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from incentives.core import audit
from incentives.core.errors import NotAllowed
from incentives.core.exports import safe_text
from incentives.core.tables import BadFile, as_text, open_table
from incentives.crm import ingest, intake
from incentives.crm.errors import BadMapping, MalformedEvent, OwnConnection, Quarantine
from incentives.crm.identity import Resolver
from incentives.crm.jsonio import content_hash, dumps
from incentives.crm.mapping import Mapping, RowError
from incentives.crm.models import Connection, Delivery, ImportJob, ObjectState
from incentives.crm.nudge import nudge

CHUNK = 500
PREVIEW_ROWS = 20
LEASE = timedelta(minutes=5)
ACCEPTED, UNCHANGED, WAITS, DUPLICATE, REJECTED = "accepted", "unchanged", "quarantined", "duplicate", "rejected"
TROUBLED = (Delivery.Status.QUARANTINED, Delivery.Status.FAILED)
RESULT_COLUMNS = ("row", "object", "status", "column", "found", "expected or reason")


@dataclass
class Line:
    """What becomes of one row."""

    number: int
    source: dict
    event: dict = field(default_factory=dict)
    status: str = ACCEPTED
    column: str = ""
    found: str = ""
    reason: str = ""
    digest: str = ""

    @property
    def thing(self) -> tuple[str, str]:
        found = self.event.get("object", {})
        return found.get("type", ""), found.get("id", "")

    @property
    def identity(self) -> tuple[str, str, str]:
        """Two rows of one file with this in common are about the same statement."""
        return (*self.thing, self.event.get("object", {}).get("version", ""))

    def refuse(self, error: RowError) -> "Line":
        self.status, self.column, self.found, self.reason = REJECTED, error.column, error.found, error.expected
        return self

    def cells(self) -> list[str]:
        return [str(self.number), *map(safe_text, (self.thing[1], self.status, self.column, self.found, self.reason))]


@dataclass
class Preview:
    """The first rows, what each would become, and what full mode would delete."""

    columns: list[str]
    lines: list[Line]
    missing: int | None = None


def mapped(connection: Connection, mapping: Mapping, rows: Iterable[tuple[int, dict]], *, full: bool) -> Iterator[Line]:
    """Each row as a line with its event, or refused with the column, what was found and what was expected."""
    zone = ZoneInfo(connection.time_zone)
    for number, row in rows:
        line = Line(number, row)
        try:
            line.event = mapping.event(row, zone)
            if full:  # the file is the truth as of now: versions in it do not compete with earlier deletions
                line.event["object"].pop("version", None)
            line.digest = content_hash(line.event)
        except RowError as error:
            line.refuse(error)
        yield line


def preview(connection: Connection, path: Path | str, mapping: dict, *, full: bool = False) -> Preview:
    """What the first 20 rows would become; nothing is stored. Raises BadFile, BadMapping."""
    checked = Mapping(mapping)
    with open_table(path) as table:
        checked.check_columns(table.columns)
        lines = list(mapped(connection, checked, islice(table.rows, PREVIEW_ROWS), full=full))
    _compare(connection, lines)
    missing = len(missing_objects(connection, path, checked)) if full else None
    return Preview(table.columns, lines, missing)


def columns_of(path: Path | str) -> tuple[list[str], list[dict]]:
    """Column names and the first rows as text, for the mapping form. Raises BadFile."""
    with open_table(path) as table:
        rows = [{k: as_text(v) for k, v in row.items()} for _, row in islice(table.rows, 5)]
    return table.columns, rows


def missing_objects(connection: Connection, path: Path | str, mapping: Mapping) -> list[str]:
    """Ids of objects that stand and are not in the file: what full mode would delete."""
    if mapping.kind != "deal":
        raise BadMapping("full: only files of deals can say what was deleted.")
    source, present = mapping.single["object_id"], set()
    with open_table(path) as table:
        mapping.check_columns(table.columns)
        present = {as_text(source.read(row)) for _, row in table.rows}
    standing = ObjectState.objects.filter(connection=connection, object_type=mapping.object_type)
    standing = standing.exclude(state=ObjectState.State.DELETED).order_by("object_id")
    return [object_id for object_id in standing.values_list("object_id", flat=True) if object_id not in present]


# --- comparing with what is known -----------------------------------------------------------------------------------------


def _latest(connection: Connection, lines: list[Line]) -> dict[tuple[str, str], Delivery]:
    """The newest file delivery of each object among `lines`."""
    by_type: dict[str, set[str]] = {}
    for line in lines:
        if line.status != REJECTED:
            by_type.setdefault(line.thing[0], set()).add(line.thing[1])
    wanted = Q(pk__in=[])
    for object_type, ids in by_type.items():
        wanted |= Q(object_type=object_type, object_id__in=ids)
    known = Delivery.objects.filter(wanted, connection=connection, channel=Delivery.Channel.FILE)
    newest = known.values("object_type", "object_id").annotate(newest=Max("pk")).values_list("newest", flat=True)
    rows = Delivery.objects.filter(pk__in=list(newest)).only("object_type", "object_id", "content_hash", "status")
    return {(row.object_type, row.object_id): row for row in rows}


def _compare(connection: Connection, lines: list[Line]) -> dict[tuple[str, str], Delivery]:
    """Mark what is known already, and say which rows would wait in quarantine and why. Stores nothing."""
    latest = _latest(connection, lines)
    fresh = []
    for line in lines:
        if line.status != ACCEPTED:
            continue
        known = latest.get(line.thing)
        if known is None or known.content_hash != line.digest or known.status in TROUBLED:
            fresh.append(line)
        else:
            line.status = UNCHANGED
    _foresee(connection, fresh)
    return latest


def _foresee(connection: Connection, lines: list[Line]) -> None:
    """Ask the pipeline's own checks, so that the result names the rows that will wait for a person."""
    now = timezone.now()
    people = Resolver(connection, [who for line in lines for who in ingest._identities(line.event)])
    for line in lines:
        trial = Delivery(pk=0, connection=connection, event=line.event, channel=Delivery.Channel.FILE, received_at=now)
        try:
            event, kind, state = ingest.read(connection, trial)
            ingest._examine(connection, ingest.Work(trial, event, kind, state, people))
        except (Quarantine, MalformedEvent) as exc:
            line.status, line.reason = WAITS, exc.user_message


def _conflicts(lines: Iterable[Line]) -> dict[tuple, str]:
    """Statements that rows of one file make differently: identity -> ''. The others keep their one digest."""
    seen: dict[tuple, str] = {}
    for line in lines:
        if line.status != REJECTED and seen.setdefault(line.identity, line.digest) != line.digest:
            seen[line.identity] = ""
    return seen


# --- storing ---------------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One pass over a file. `counts` by status; results are appended to `result_path`."""

    connection: Connection
    path: Path
    mapping: Mapping
    received_at: datetime
    result_path: Path
    job: ImportJob | None = None
    full: bool = False
    dry_run: bool = False
    counts: Counter = field(default_factory=Counter)
    done: int = 0

    def work(self, until: float = float("inf")) -> bool:
        """Import from where it stands until the end, or until `until` (time.monotonic). True at the end."""
        with open_table(self.path) as table:
            self.mapping.check_columns(table.columns)
            statements = _conflicts(self._lines(table.rows))
        seen: set[tuple] = set()
        with open_table(self.path) as table:
            lines = self._lines(table.rows)
            for line in islice(lines, self.done):
                seen.add(line.identity)
            while chunk := list(islice(lines, CHUNK)):
                self._judge(chunk, statements, seen)
                self._store(chunk)
                if time.monotonic() > until:
                    return False
        return True

    def _lines(self, rows) -> Iterator[Line]:
        return mapped(self.connection, self.mapping, rows, full=self.full)

    def _judge(self, chunk: list[Line], statements: dict, seen: set) -> None:
        """Refuse contradictions within the file and mark repetitions."""
        for line in chunk:
            if line.status == REJECTED:
                continue
            if not statements[line.identity]:
                line.refuse(
                    RowError("(row)", line.thing[1], "one row per record; other rows say something else about it")
                )
            elif line.identity in seen:
                line.status = DUPLICATE
            seen.add(line.identity)

    def _store(self, chunk: list[Line]) -> None:
        latest = _compare(self.connection, chunk)
        if not self.dry_run:
            with transaction.atomic():
                self._receive(chunk, latest)
                self._retry(chunk, latest)
        self._write(chunk)
        self.counts.update(line.status for line in chunk)
        self.done += len(chunk)
        if self.job is not None and not self.dry_run:
            self._note_progress()

    def _receive(self, chunk: list[Line], latest: dict) -> None:
        fresh = [
            line
            for line in chunk
            if line.status in (ACCEPTED, WAITS) and getattr(latest.get(line.thing), "content_hash", "") != line.digest
        ]
        items = [self._incoming(line, latest.get(line.thing)) for line in fresh]
        for line, result in zip(fresh, intake.receive_many(self.connection, items), strict=True):
            if result.status == intake.DUPLICATE:
                line.status = UNCHANGED
            elif result.status == intake.REJECTED:
                line.refuse(RowError("(row)", line.event["external_id"], result.error.user_message))

    def _incoming(self, line: Line, known: Delivery | None) -> intake.Incoming:
        """The key names object, content and what it follows: a value that comes back later is a new statement."""
        object_type, object_id = line.thing
        name = hashlib.sha256(f"{object_type}|{object_id}".encode()).hexdigest()[:32]
        key = f"file:{name}:{line.digest[:32]}:{known.pk if known else 0}"
        event = line.event
        if event["kind"] == "metric.reported" and "external_id" not in self.mapping.single:
            event = {**event, "external_id": key}
        external_id = event["external_id"] if "external_id" in self.mapping.single else ""
        return intake.Incoming(
            event=event,
            key=key,
            raw=dumps({column: as_text(value) for column, value in line.source.items()}),
            external_id=external_id,
            channel=Delivery.Channel.FILE,
            received_at=self.received_at,
            import_job_id=self.job.pk if self.job else None,
            digest=line.digest,
        )

    def _retry(self, chunk: list[Line], latest: dict) -> None:
        """A known row that waits in quarantine gets another chance: its participant may exist by now."""
        again = [
            latest[line.thing].pk
            for line in chunk
            if line.status in (ACCEPTED, WAITS) and getattr(latest.get(line.thing), "status", "") in TROUBLED
            and latest[line.thing].content_hash == line.digest
        ]  # fmt: skip
        Delivery.objects.filter(pk__in=again, status__in=TROUBLED).update(
            status=Delivery.Status.PENDING, code="", message="", attempts=0, next_attempt_at=timezone.now()
        )
        if again:
            nudge()

    def _write(self, chunk: list[Line]) -> None:
        new = self.done == 0
        with self.result_path.open("w" if new else "a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(RESULT_COLUMNS)
            writer.writerows(line.cells() for line in chunk)

    def _note_progress(self) -> None:
        job = self.job
        job.progress, job.counts, job.lease_until = self.done, dict(self.counts), timezone.now() + LEASE
        job.counts["result_bytes"] = self.result_path.stat().st_size
        job.save(update_fields=["progress", "counts", "lease_until"])

    def delete_missing(self, expected: int | None) -> None:
        """Full mode: what stands and is not in the file counts as deleted. Raises BadMapping unless the number of
        objects is the one the person has seen (`expected`); nothing is deleted then."""
        missing = missing_objects(self.connection, self.path, self.mapping)
        if len(missing) != (expected or 0):
            raise BadMapping(
                f"The file lacks {len(missing)} records that are known; you confirmed {expected or 0}. "
                "Nothing was deleted. Check the file and confirm this number."
            )
        lines = [self._deletion(object_id) for object_id in missing]
        self.counts["deleted"] = len(lines)
        for start in range(0, 0 if self.dry_run else len(lines), CHUNK):
            chunk = lines[start : start + CHUNK]
            latest = _latest(self.connection, chunk)
            intake.receive_many(self.connection, [self._incoming(line, latest.get(line.thing)) for line in chunk])

    def _deletion(self, object_id: str) -> Line:
        thing = {"type": self.mapping.object_type, "id": object_id}
        event = {"external_id": f"{thing['type']}:{object_id}"[:255], "kind": "deal.deleted", "object": thing}
        return Line(0, {"missing from": self.path.name}, event, digest=content_hash(event))


def import_file(
    connection: Connection,
    path: Path | str,
    mapping: dict,
    *,
    actor=None,
    dry_run: bool = False,
    full: bool = False,
    confirm_missing: int | None = None,
    result_path: Path | str | None = None,
    process: bool = True,
) -> ImportJob:
    """Import a file from beginning to end (command line, demo, tests). Returns the job with its counts; unsaved on a
    dry run. Good rows are stored whatever is wrong with others.

    Raises BadFile, BadMapping before anything is stored.
    """
    _require_foreign(connection)
    path, checked = Path(path), Mapping(mapping)
    _check_full(connection, path, checked, full, confirm_missing)
    job = ImportJob(
        connection=connection, file_name=path.name, sha256=_sha256(path), mapping=mapping, full=full, created_by=actor
    )
    if not dry_run:
        _check_readable(path, checked)
        _save_new(job, actor)
    result = Path(result_path) if result_path else _folder() / f"{job.public_id}.result.csv"
    run = Run(
        connection, path, checked, job.created_at, result, job=None if dry_run else job, full=full, dry_run=dry_run
    )
    run.work()
    if full:
        run.delete_missing(confirm_missing)
    job.counts, job.progress = dict(run.counts), run.done
    if not dry_run:
        _finish(job, result, run.counts)
        while process and ingest.process_deliveries():
            pass
    return job


def _require_foreign(connection: Connection) -> None:
    if connection.is_own:
        raise OwnConnection


def _check_readable(path: Path, mapping: Mapping) -> None:
    with open_table(path) as table:
        mapping.check_columns(table.columns)


def _check_full(connection, path, mapping: Mapping, full: bool, confirmed: int | None) -> None:
    """Refuse a full import whose deletions nobody has seen, before anything is stored."""
    if not full:
        return
    count = len(missing_objects(connection, path, mapping))
    if count != (confirmed or 0):
        raise BadMapping(
            f"The file lacks {count} records that are known and would count as deleted; confirm that number to go on."
        )


def _save_new(job: ImportJob, actor) -> None:
    job.status = ImportJob.Status.RUNNING
    with transaction.atomic():
        job.save(force_insert=True)
        audit.record(
            "import.started",
            job,
            actor=actor,
            after={"file": job.file_name, "sha256": job.sha256, "connection": job.connection.name, "full": job.full},
        )


def _finish(job: ImportJob, result: Path, counts: Counter) -> None:
    job.status, job.finished_at, job.lease_until = ImportJob.Status.DONE, timezone.now(), None
    job.counts, job.result_path = dict(counts), str(result)
    with transaction.atomic():
        job.save()
        audit.record("import.finished", job, actor=job.created_by, after=job.counts)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder() -> Path:
    folder = Path(settings.MEDIA_ROOT) / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- in the browser: upload, then a job that a worker carries on with -------------------------------------------------------


def require(actor) -> None:
    if actor is not None and not actor.can("activities.import"):
        raise NotAllowed


def upload(connection: Connection, file, *, actor) -> ImportJob:
    """Keep an uploaded file privately and make its job. Raises BadFile; nothing is kept then."""
    require(actor)
    _require_foreign(connection)
    if file.size > settings.MAX_IMPORT_BYTES:
        raise BadFile(f"The file is larger than {settings.MAX_IMPORT_BYTES // 1024 // 1024} MiB.")
    job = ImportJob(connection=connection, file_name=Path(file.name).name[:255], created_by=actor)
    path = _folder() / f"{job.public_id}.upload"
    with path.open("wb") as target:
        for chunk in file.chunks():
            target.write(chunk)
    try:
        columns_of(path)
    except BadFile:
        path.unlink()
        raise
    job.path, job.sha256 = str(path), _sha256(path)
    with transaction.atomic():
        job.save(force_insert=True)
        audit.record("import.uploaded", job, actor=actor, after={"file": job.file_name, "sha256": job.sha256})
    return job


def start(job: ImportJob, mapping: dict, *, actor, full: bool = False, confirm_missing: int | None = None) -> ImportJob:
    """Hand an uploaded job to a worker. Raises BadMapping (and BadFile); a repeat on a started job does nothing."""
    require(actor)
    checked = Mapping(mapping)
    _check_readable(Path(job.path), checked)
    _check_full(job.connection, Path(job.path), checked, full, confirm_missing)
    counts = {"confirmed_missing": confirm_missing or 0}
    waiting = ImportJob.objects.filter(pk=job.pk, status=ImportJob.Status.UPLOADED)
    with transaction.atomic():
        if waiting.update(status=ImportJob.Status.RUNNING, mapping=mapping, full=full, counts=counts):
            Connection.objects.filter(pk=job.connection_id).update(field_map=mapping)
            audit.record("import.started", job, actor=actor, after={"file": job.file_name, "full": full})
            transaction.on_commit(nudge_imports, robust=True)
    job.refresh_from_db()
    return job


def nudge_imports() -> None:
    from incentives.crm.tasks import run_imports_task

    run_imports_task.delay()


def carry_on(budget_seconds: float = 40) -> int:
    """Go on with running jobs that nobody works on, within the time. Returns how many were touched.

    A worker that dies leaves a lease that ends; the next one goes on at the last chunk that was stored. Repeating a chunk
    changes nothing.
    """
    touched, until = 0, time.monotonic() + budget_seconds
    while time.monotonic() < until and (job := _claim_job()):
        touched += 1
        try:
            _carry_on(job, until)
        except (BadFile, BadMapping, OSError) as exc:
            _fail(job, getattr(exc, "user_message", "The uploaded file cannot be read any more. Upload it again."))
    return touched


def _claim_job() -> ImportJob | None:
    now = timezone.now()
    free = ImportJob.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), status=ImportJob.Status.RUNNING)
    for pk in free.exclude(path="").order_by("pk").values_list("pk", flat=True)[:5]:
        if free.filter(pk=pk).update(lease_until=now + LEASE):
            return ImportJob.objects.select_related("connection", "created_by").get(pk=pk)
    return None


def _carry_on(job: ImportJob, until: float) -> None:
    result = _folder() / f"{job.public_id}.result.csv"
    counts = Counter(job.counts)
    confirmed, size = counts.pop("confirmed_missing", 0), counts.pop("result_bytes", 0)
    if job.progress and result.exists():
        with result.open("r+b") as file:
            file.truncate(size)  # what a worker wrote and did not record is written again
    run = Run(
        job.connection, Path(job.path), Mapping(job.mapping), job.created_at, result,
        job=job, full=job.full, counts=counts, done=job.progress,
    )  # fmt: skip
    run.counts["confirmed_missing"] = confirmed
    finished = run.work(until)
    del run.counts["confirmed_missing"]
    if finished:
        if job.full:
            run.delete_missing(confirmed)
        _finish(job, result, run.counts)
    else:
        ImportJob.objects.filter(pk=job.pk).update(lease_until=None)


def _fail(job: ImportJob, reason: str) -> None:
    with transaction.atomic():
        job.status, job.error, job.finished_at, job.lease_until = ImportJob.Status.FAILED, reason, timezone.now(), None
        job.save(update_fields=["status", "error", "finished_at", "lease_until"])
        audit.record("import.failed", job, actor=job.created_by, reason=reason)
