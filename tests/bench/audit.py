"""What the audit trail costs: recording beside a bare insert, and sealing."""

from django.db import transaction
from django.utils import timezone

from tests.bench import Run, bench, ratio

EVENTS = 1000


@bench("audit", "Audit trail")
def audit_trail(run: Run) -> None:
    from incentives.accounts.models import User
    from incentives.core import audit
    from incentives.core.models import AuditEvent

    events = run.size(EVENTS, 2)
    user = User.objects.create_user("rep@example.com")

    def bare() -> None:
        with transaction.atomic():
            for _ in range(events):
                AuditEvent(
                    at=timezone.now(), action="bench", actor=user, actor_name="x", target_type="accounts.user",
                    target_id="1", target_label="x", digest="",
                ).save(force_insert=True)  # fmt: skip

    def recorded() -> None:
        with transaction.atomic():
            for _ in range(events):
                audit.record("bench", user, actor=user, before={"a": 1}, after={"a": 2})

    plain, ours = run.alternate({"bare": bare, "recorded": recorded}, units=events)
    run.row(
        "events recorded, one by one", ours, " events/s", share=ratio(ours, plain), of="inserting the same rows bare"
    )
    (sealed,) = run.alternate({"seal": lambda: audit.seal(limit=events)}, units=events)
    run.row("events sealed into the chain", sealed, " events/s")
