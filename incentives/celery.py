"""The Celery application.

A message is a hint that carries one id: the database is the truth, losing a message costs seconds and repeating it costs
nothing. The reasons for each setting stand beside it in `settings.py` (source: docs/decisions/0003-queue.md).
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "incentives.settings")

app = Celery("laurel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
