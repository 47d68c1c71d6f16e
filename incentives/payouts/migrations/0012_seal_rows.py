from django.db import migrations

from incentives.core.seal_trigger import seal_rows


class Migration(migrations.Migration):
    dependencies = [("payouts", "0011_approver_mails_end"), ("core", "0003_seals")]
    operations = [seal_rows("payouts_approval", "payouts.Approval")]
