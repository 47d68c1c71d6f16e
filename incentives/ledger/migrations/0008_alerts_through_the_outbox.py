"""Alert mails that have not left move to the outbox of notifications; the table of its own goes."""

from django.db import migrations
from django.utils import timezone

KIND = "budgets.alert"


def forwards(apps, schema_editor):
    recipients = apps.get_model("notifications", "Recipient").objects
    notifications = apps.get_model("notifications", "Notification").objects
    waiting = apps.get_model("ledger", "AlertMail").objects.filter(sent_at__isnull=True, alert__ended_at__isnull=True)
    for mail in waiting.select_related("user").order_by("pk").iterator(chunk_size=500):
        values = {"user_id": mail.user_id, "name": (mail.user.name or mail.user.email)[:200]}
        recipient, _created = recipients.get_or_create(ref=f"user:{mail.user_id}", defaults=values)
        notifications.get_or_create(
            kind=KIND,
            key=f"alert:{mail.alert_id}",
            recipient=recipient,
            defaults={"data": {"alert": mail.alert_id}, "created_at": timezone.now()},
        )


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_funding_alerts_and_deposits"), ("notifications", "0001_outbox")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop), migrations.DeleteModel(name="AlertMail")]
