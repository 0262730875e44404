"""The Celery app, its queues, and the clock: ticks that read the database and may run twice."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("sosik")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["newsletter"])

# Confirmations never stand behind an issue: `default` has workers of its own (docs/operations.md).
app.conf.task_queues = [Queue(name, routing_key=name) for name in ("default", "issues", "tracking", "bulk")]
app.conf.task_routes = {
    "newsletter.tasks.send_batch": {"queue": "issues"},
    "newsletter.tasks.prepare_issue": {"queue": "issues"},
    "newsletter.tasks.fold_engagement": {"queue": "tracking"},
    "newsletter.tasks.prune": {"queue": "bulk"},
}
# A tick that nobody took before the next one is worthless: it expires.
app.conf.beat_schedule = {
    name: {"task": f"newsletter.tasks.{name}", "schedule": seconds, "options": {"expires": seconds * 2}}
    for name, seconds in {
        "start_due_issues": float(settings.TICK_SECONDS),
        "ring_batches": float(settings.TICK_SECONDS),
        "sweep_batches": float(settings.TICK_SECONDS),
        "finish_issues": float(settings.TICK_SECONDS),
        "halt_issues": float(settings.TICK_SECONDS),
        "release_stages": float(settings.TICK_SECONDS),
        "fold_engagement": float(settings.TICK_SECONDS),
        "watch_progress": min(15.0, settings.STALL_SECONDS / 4),
        "resend_confirmations": 60.0,
        "prune": 24 * 3600.0,
    }.items()
}


@setup_logging.connect  # type: ignore[untyped-decorator, unused-ignore]
def keep_our_logging(**kwargs: object) -> None:
    """Leaves logging as Django's settings made it."""
