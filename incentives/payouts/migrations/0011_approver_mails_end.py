"""Apart from the move of their rows: PostgreSQL drops no table in the transaction that changed what refers to it."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payouts", "0010_approvers_in_the_outbox")]
    operations = [
        migrations.DeleteModel(name="ApproverNotice"),
        migrations.DeleteModel(name="ApproverMail"),
        migrations.DeleteModel(name="ApproverPreference"),
    ]
