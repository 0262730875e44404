from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("newsletter", "0005_local_hours"),
    ]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="call_key",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="batch",
            name="call_digest",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name="batch",
            name="call_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
