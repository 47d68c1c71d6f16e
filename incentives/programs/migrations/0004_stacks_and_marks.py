import django.db.models.deletion
from django.db import migrations, models


def find_stacks(apps, schema_editor):
    version = apps.get_model("programs", "ProgramVersion")
    published = version.objects.filter(published_at__isnull=False).values_list("program", "definition")
    stacking = {program for program, definition in published.iterator() if definition.get("stacking")}
    apps.get_model("programs", "Program").objects.filter(pk__in=stacking).update(stacks=True)


class Migration(migrations.Migration):
    dependencies = [
        ("participants", "0002_people_to_credit"),
        ("programs", "0003_stops_enrollment_version_start"),
    ]

    operations = [
        migrations.AddField(
            model_name="program",
            name="stacks",
            field=models.BooleanField(default=False, editable=False, help_text="A published version names a stacking group: it is scored beside others."),
        ),
        migrations.RunPython(find_stacks, migrations.RunPython.noop),
        migrations.AddField(
            model_name="programstop",
            name="to_credit",
            field=models.BooleanField(default=True, help_text="Begun or ended since the earnings engine last looked."),
        ),
        migrations.CreateModel(
            name="EnrollmentChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("participant", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="participants.participant")),
                ("program", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="programs.program")),
            ],
        ),
    ]
