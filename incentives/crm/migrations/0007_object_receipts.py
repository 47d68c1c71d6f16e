from django.db import migrations, models
from django.db.models import F, Min, OuterRef, Subquery


def fill_received_at(apps, schema_editor):
    """From the activities: the newest win of what stands as won, else the first that was heard of the object."""
    object_state, activity = apps.get_model("crm", "ObjectState"), apps.get_model("crm", "Activity")
    own = activity.objects.filter(object=OuterRef("pk")).order_by()
    first = own.values("object").annotate(first=Min("received_at")).values("first")
    object_state.objects.filter(received_at=None).update(received_at=Subquery(first))
    win = own.filter(kind="deal.won", external_id=OuterRef("external_id")).values("received_at")[:1]
    won = object_state.objects.filter(state="won").annotate(of_win=Subquery(win)).exclude(of_win=None)
    won.exclude(received_at=F("of_win")).update(received_at=Subquery(win))


class Migration(migrations.Migration):
    dependencies = [("crm", "0006_object_received_at")]

    operations = [
        migrations.AddField(
            model_name="objectstate",
            name="receipts",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.RunPython(fill_received_at, migrations.RunPython.noop),
    ]
