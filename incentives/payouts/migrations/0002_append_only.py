from django.db import migrations

from incentives.core.append_only import append_only

FIXED = (  # what an approver saw
    "public_id",
    "participation_id",
    "program_id",
    "participant_id",
    "budget_id",
    "n",
    "amount_minor",
    "currency",
    "product_code",
    "product_name",
    "delivery_type",
    "recipient_name",
    "recipient_email",
    "recipient_phone",
    "content_hash",
    "submitted_by_id",
    "created_at",
)


class Migration(migrations.Migration):
    dependencies = [("payouts", "0001_initial")]
    operations = [
        append_only("payouts_payout", columns=(*FIXED, "status"), may_change=("status",)),
        append_only("payouts_approval"),
        append_only("payouts_payoutearning"),
    ]
