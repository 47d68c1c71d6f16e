from django.db import migrations

from incentives.core.append_only import append_only

COLUMNS = (
    "at",
    "action",
    "actor_id",
    "actor_name",
    "target_type",
    "target_id",
    "target_label",
    "before",
    "after",
    "reason",
    "request_id",
    "digest",
)


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [append_only("core_auditevent", may_change=("seq", "chain"), columns=COLUMNS)]
