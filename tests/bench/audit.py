"""What the audit trail costs: recording beside a bare insert, and sealing."""

import itertools

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


@bench("seals", "Seals of the books")
def seals(run: Run) -> None:
    """Postings as the ledger makes them, and sealing them."""
    from incentives.core import sealing
    from incentives.ledger.models import Account
    from incentives.ledger.posting import Move, post_all
    from rewards.money import Money

    rows, made = run.size(EVENTS, 2), itertools.count()
    ends = [
        Account.objects.create(code=f"bench:{n}", book="cash", bucket="bench", currency="USD", tracked=False)
        for n in range(2)
    ]

    def posted() -> None:
        with transaction.atomic():
            post_all([Move(f"bench:{next(made)}", Money(1, "USD"), *ends, "bench", "bench") for _ in range(rows)])

    (ours,) = run.alternate({"posted": posted}, units=rows)
    run.row("postings made, in one call", ours, " postings/s")
    (sealed,) = run.alternate({"seal": lambda: sealing.seal(limit=rows)}, units=rows)
    run.row("postings sealed into the chain", sealed, " postings/s")
