from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payouts", "0013_recipients_choice"), ("rewards", "0003_batches")]
    operations = [
        migrations.AddField(
            "approvalpolicy",
            "batch_lines",
            models.IntegerField(
                blank=True,
                help_text="Payouts approved together are sent in orders of up to so many; empty: one by one.",
                null=True,
            ),
        ),
        migrations.AddField(
            "payout",
            "batch_lines",
            models.IntegerField(
                help_text="It may be sent with others, at most so many in one order.", null=True
            ),
        ),
    ]
