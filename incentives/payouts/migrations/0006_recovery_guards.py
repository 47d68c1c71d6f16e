from django.db import migrations
from django.db.models import Exists, F, OuterRef

from incentives.core.append_only import append_only

SAID = ("public_id", "participation_id", "amount_minor", "currency", "reason", "by_policy", "proposed_by_id", "proposed_at")


def look_again(apps, schema_editor):
    """What is recoverable is now kept fact by fact: payouts look once more at everybody who was ever corrected."""
    earning, participation = (apps.get_model("earnings", name) for name in ("Earning", "Participation"))
    corrected = Exists(earning.objects.filter(participation=OuterRef("pk"), amount_minor__lt=0))
    looked = participation.objects.filter(corrected, scored_seq__gt=0, paid_seq__gte=F("scored_seq"))
    looked.update(paid_seq=F("scored_seq") - 1)


class Migration(migrations.Migration):
    dependencies = [("payouts", "0005_recovery")]
    operations = [
        append_only("payouts_writeoffline"),
        append_only("payouts_writeoff", columns=(*SAID, "status"), may_change=("status",)),
        migrations.RunPython(look_again, migrations.RunPython.noop),
    ]
