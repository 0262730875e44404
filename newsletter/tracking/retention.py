"""What goes with time: rows behind counters. The counters, consent and suppression stay."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.partitions import drop_partition
from newsletter.models import Click, Delivery, FeedbackEvent, Issue, IssueStats

log = logging.getLogger(__name__)

_ENDED = [Issue.Status.SENT, Issue.Status.CANCELLED]


def prune() -> int:
    """Removes deliveries, clicks and feedback older than RETENTION_DAYS; says of how many issues. Safe to run twice."""
    before = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    FeedbackEvent.objects.filter(received_at__lt=before).delete()
    pruned = 0
    for issue in Issue.objects.filter(status__in=_ENDED, sending_at__lt=before, pruned_at__isnull=True).iterator():
        with transaction.atomic():
            _keep_outcomes(issue.pk)
            Issue.objects.filter(pk=issue.pk).update(pruned_at=Now())
            Click.objects.filter(link__issue=issue).delete()
            if not drop_partition(issue.pk):
                Delivery.objects.filter(issue_id=issue.pk).delete()
        log.info("issue.pruned issue=%d", issue.pk)
        pruned += 1
    return pruned


def _keep_outcomes(issue_id: int) -> None:
    counts = count_outcomes(issue_id)
    IssueStats.objects.update_or_create(
        pk=issue_id,
        defaults={
            "submitted_count": counts.submitted,
            "skipped_count": counts.skipped,
            "rejected_count": counts.rejected,
            "failed_count": counts.failed,
            "uncertain_count": counts.uncertain,
        },
    )
