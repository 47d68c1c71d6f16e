"""What the audit trail costs: recording beside a bare insert, and sealing."""

from django.db import transaction
from django.utils import timezone

from tests.bench import Run, bench

EVENTS = 1000


@bench("audit", "Audit trail")
def audit_trail(run: Run) -> None:
    from incentives.accounts.models import User
    from incentives.core import audit
    from incentives.core.models import AuditEvent

    user = User.objects.create_user("rep@example.com")

    def bare() -> None:
        with transaction.atomic():
            for _ in range(EVENTS):
                AuditEvent(
                    at=timezone.now(), action="bench", actor=user, actor_name="x", target_type="accounts.user",
                    target_id="1", target_label="x", digest="",
                ).save(force_insert=True)  # fmt: skip

    def recorded() -> None:
        with transaction.atomic():
            for _ in range(EVENTS):
                audit.record("bench", user, actor=user, before={"a": 1}, after={"a": 2})

    plain, ours = run.alternate({"bare": bare, "recorded": recorded}, units=EVENTS)
    run.row("events recorded, one by one", f"{ours:,.0f}/s", share=ours / plain, of="inserting the same rows bare")
    (sealed,) = run.alternate({"seal": lambda: audit.seal(limit=EVENTS)}, units=EVENTS)
    run.row("events sealed into the chain", f"{sealed:,.0f}/s")
