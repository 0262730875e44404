"""Cuts a frozen audience into batches and opens the sending."""

from __future__ import annotations

import uuid

from django.db.models import Count
from django.db.models.functions import Now

from newsletter.delivery.lifecycle import NotAllowed, move_issue
from newsletter.delivery.local_hours import Hours
from newsletter.delivery.staging import assign_stages
from newsletter.models import Batch, Delivery, Issue, IssueStats


def cut_batches(issue: Issue, hours: Hours | None = None) -> int:
    """Makes a Batch row for each batch number the freeze has given, due at its readers' hour; says how many."""
    sizes = (
        Delivery.objects.filter(issue_id=issue.pk, batch_number__isnull=False)
        .values_list("batch_number")
        .annotate(size=Count("subscriber_id"))
        .order_by("batch_number")
    )
    batches = [
        Batch(
            issue=issue,
            number=number,
            recipients_count=size,
            key=uuid.uuid4(),
            due_at=hours.due_at_of(number) if hours else None,
        )
        for number, size in sizes
    ]
    assign_stages(issue, batches)
    Batch.objects.bulk_create(batches, batch_size=500)
    return len(batches)


def open_sending(issue: Issue, candidates_count: int, recipients_count: int) -> None:
    """Moves the issue on with its accounts opened. Raises NotAllowed if it is no longer being prepared."""
    IssueStats.objects.get_or_create(issue=issue)
    moved = move_issue(
        issue.pk,
        Issue.Status.SENDING,
        only_from={Issue.Status.PREPARING},
        sending_at=Now(),
        candidates_count=candidates_count,
        recipients_count=recipients_count,
        skipped_count=candidates_count - recipients_count,
        where={
            "revision": issue.revision
        },  # undone, edited and started anew meanwhile: this freeze is of the text before
    )
    if not moved:
        raise NotAllowed(f"Issue {issue.pk} is no longer being prepared.", "Nothing was frozen.")
