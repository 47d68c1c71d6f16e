"""The move of approvers' choices and of what they were told into the outbox, on the tables of that time."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from tests.factories import make_user
from tests.payouts.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE, AFTER = [("payouts", "0009_tax_holds")], [("payouts", "0011_approver_mails_end")]


def migrate(to):
    executor = MigrationExecutor(connection)
    executor.migrate(to)
    return MigrationExecutor(connection).loader.project_state(to).apps


def test_choices_and_what_was_told_are_kept():
    scene = Scene()
    program = scene.program()
    told, untold = scene.payout(program=program), scene.payout(program=program)
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        old = migrate(BEFORE)
        get = lambda name: old.get_model("payouts", name)  # noqa: E731
        never = make_user("finance", email="never@example.com")
        get("ApproverPreference").objects.create(user_id=scene.finance.pk, mode="hourly")
        get("ApproverPreference").objects.create(user_id=never.pk, mode="never")
        get("ApproverPreference").objects.create(user_id=scene.manager.pk, mode="at_once")
        for payout, sent in ((told, timezone.now()), (untold, None)):
            row = get("ApproverMail").objects.create(
                user_id=scene.finance.pk, sent_at=sent, next_attempt_at=timezone.now()
            )
            for late in (False, True):
                get("ApproverNotice").objects.create(
                    mail=row, user_id=scene.finance.pk, payout_id=payout.pk, step=1, escalated=late
                )
        migrate(AFTER)
    finally:
        migrate(newest)
    from incentives.notifications.models import Notification, Preference

    chosen = Preference.objects.values_list("recipient__user__email", "kind", "mode").order_by("mode")
    assert list(chosen) == [
        (scene.finance.email, "payouts.waiting", "hourly"), (never.email, "payouts.waiting", "never"),
    ]  # fmt: skip
    rows = Notification.objects.order_by("pk").values_list("key", "recipient__user", "look_at", "left_out")
    assert list(rows) == [
        (f"{told.pk}:1", scene.finance.pk, None, "told before"),
        (f"{told.pk}:1:late", scene.finance.pk, None, "told before"),
    ]
