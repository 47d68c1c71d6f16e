"""Reminders that have not left move to the outbox of notifications; the row keeps only that somebody asked."""

from django.db import migrations

KIND = "rewards.reminder"


def forwards(apps, schema_editor):
    recipients = apps.get_model("notifications", "Recipient").objects
    notifications = apps.get_model("notifications", "Notification").objects
    waiting = apps.get_model("reports", "RewardReminder").objects.filter(sent_at__isnull=True)
    rows = waiting.exclude(payout__participant__user=None).select_related("payout__participant__user")
    for row in rows.order_by("pk").iterator(chunk_size=500):
        user, payout = row.payout.participant.user, str(row.payout.public_id)
        values = {"user_id": user.pk, "name": (user.name or user.email)[:200]}
        recipient, _created = recipients.get_or_create(ref=f"user:{user.pk}", defaults=values)
        values = {"data": {"payout": payout}, "created_at": row.asked_at}
        notifications.get_or_create(kind=KIND, key=f"{payout}:{row.count}", recipient=recipient, defaults=values)


class Migration(migrations.Migration):
    dependencies = [("reports", "0003_reward_reminder"), ("notifications", "0001_outbox")]
    operations = [
        migrations.RunPython(forwards, migrations.RunPython.noop),
        migrations.RemoveIndex(model_name="rewardreminder", name="reminder_due"),
        migrations.RemoveField(model_name="rewardreminder", name="attempts"),
        migrations.RemoveField(model_name="rewardreminder", name="next_attempt_at"),
        migrations.RemoveField(model_name="rewardreminder", name="sent_at"),
    ]
