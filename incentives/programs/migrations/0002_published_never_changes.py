from django.db import migrations

from incentives.core.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("programs", "0001_initial")]
    operations = [append_only("programs_programversion", frozen_when="OLD.published_at IS NOT NULL")]
