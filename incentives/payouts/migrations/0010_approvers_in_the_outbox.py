"""What approvers chose and what they were told moves to the outbox of notifications, so that nobody is told twice."""

from django.db import migrations

KIND = "payouts.waiting"
BATCH = 1000


def recipient_of(apps, user, known):
    if user.pk not in known:
        values = {"user_id": user.pk, "name": (user.name or user.email)[:200]}
        known[user.pk] = apps.get_model("notifications", "Recipient").objects.get_or_create(
            ref=f"user:{user.pk}", defaults=values
        )[0]
    return known[user.pk]


def forwards(apps, schema_editor):
    preference = apps.get_model("notifications", "Preference")
    known = {}
    for row in apps.get_model("payouts", "ApproverPreference").objects.exclude(mode="at_once").select_related("user"):
        preference.objects.get_or_create(
            recipient=recipient_of(apps, row.user, known), kind=KIND, defaults={"mode": row.mode}
        )
    # What waits in a mail that never left is told anew.
    told = apps.get_model("payouts", "ApproverNotice").objects.filter(mail__sent_at__isnull=False)
    notification = apps.get_model("notifications", "Notification")
    rows = []
    for row in told.select_related("user", "mail").order_by("pk").iterator(chunk_size=BATCH):
        late = ":late" if row.escalated else ""
        rows.append(
            notification(
                kind=KIND, key=f"{row.payout_id}:{row.step}{late}", recipient=recipient_of(apps, row.user, known),
                data={"payout": row.payout_id, "escalated": row.escalated}, created_at=row.mail.created_at, look_at=None,
                left_out="told before",
            )
        )  # fmt: skip
    notification.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def backwards(apps, schema_editor):
    """Choices return; the notices of a mail cannot be told apart any more, so approvers may hear of a payout once more."""
    old = apps.get_model("payouts", "ApproverPreference")
    for row in apps.get_model("notifications", "Preference").objects.filter(kind=KIND).select_related("recipient"):
        if row.recipient.user_id:
            mode = {"daily": "hourly"}.get(row.mode, row.mode)
            old.objects.update_or_create(user_id=row.recipient.user_id, defaults={"mode": mode})


class Migration(migrations.Migration):
    dependencies = [("payouts", "0009_tax_holds"), ("notifications", "0001_outbox")]
    operations = [migrations.RunPython(forwards, backwards)]
