"""Numbers for Prometheus, in its text format: what an alarm is set on. Counts only; no names, no amounts."""

from collections.abc import Iterator
from pathlib import Path

import redis
from django.apps import apps
from django.conf import settings
from django.db.models import Count
from django.utils import timezone

from incentives.core import chains
from incentives.core.models import AuditEvent, Heartbeat, UnsealedRow
from incentives.operations import health
from incentives.operations.sweep import HEARTBEAT

QUEUES = ("default", "payouts", "notify", "reports")
COUNTED = (
    ("rewards.RewardOrder", "orders"),
    ("payouts.Payout", "payouts"),
    ("crm.Delivery", "deliveries"),
    ("notifications.Delivery", "messages"),
    ("programs.Program", "programs"),
)
"""Models counted by their state, under `laurel_<name>`."""

Sample = tuple[str, dict[str, str], float]


def exposition() -> str:
    """Every sample as Prometheus text (version 0.0.4)."""
    lines, seen = [], set()
    for name, labels, value in samples():
        if name not in seen:
            seen.add(name)
            lines.append(f"# TYPE {name} gauge")
        inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inner}}} {value:g}" if inner else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def samples() -> Iterator[Sample]:
    ready, parts = health.readiness()
    yield "laurel_ready", {}, ready
    for name, part in parts.items():
        yield "laurel_part_ready", {"part": name}, part["ready"]
    if not parts["database"]["ready"]:
        return
    yield from _sweep()
    yield "laurel_audit_unsealed", {}, AuditEvent.objects.filter(seq__isnull=True).count()
    yield "laurel_books_unsealed", {}, UnsealedRow.objects.count()
    for chain, (number, _link) in chains.heads().items():
        yield "laurel_sealed", {"chain": chain}, number
    for path, name in COUNTED:
        yield from _by_state(path, name)
    yield from _queues()


def _sweep() -> Iterator[Sample]:
    beat = Heartbeat.objects.filter(name=HEARTBEAT).first()
    if beat is None:
        return
    yield "laurel_sweep_age_seconds", {}, (timezone.now() - beat.at).total_seconds()
    for path, result in beat.detail.items():
        yield "laurel_sweeper_failing", {"sweeper": path}, str(result).startswith("failed")


def _by_state(path: str, name: str) -> Iterator[Sample]:
    try:
        model = apps.get_model(path)
    except LookupError:
        return
    names = {field.name for field in model._meta.get_fields()}
    if field := next((field for field in ("state", "status") if field in names), None):
        for state, count in model.objects.order_by().values_list(field).annotate(Count("pk")):
            yield f"laurel_{name}", {field: str(state)}, count


def _queues() -> Iterator[Sample]:
    """Messages waiting per queue. Losing them costs seconds, but a queue that grows has no worker."""
    if not settings.REDIS_URL:
        folder = Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_out"])
        yield "laurel_queue_length", {"queue": "all"}, sum(1 for _ in folder.glob("*.msg"))
        return
    try:
        with health.broker_client() as client:
            for queue in QUEUES:
                yield "laurel_queue_length", {"queue": queue}, client.llen(queue)
    except redis.RedisError:  # laurel_part_ready says so already
        return
