"""What the tests of calls to a provider share: the faults, and questions about an issue's batch."""

from __future__ import annotations

from django.utils import timezone

from newsletter.delivery.accounts import count_outcomes
from newsletter.models import Batch, Issue
from tests.fake_provider import Fault

KEYLESS = ["mailgun", "postmark", "mailjet"]
KEYED = ["resend", "brevo"]
TAKEN_UNANSWERED = [
    Fault(accepts=True, how="silence"),
    Fault(accepts=True, how="drip"),
    Fault(accepts=True, how="cut"),
    Fault(accepts=True, how="hang_up"),
    Fault(accepts=True, how="status", status=502, body="<html>Bad gateway</html>"),
    Fault(accepts=True, how="status", status=200, body="[]"),
]
FAULT_NAMES = [f"{fault.how}-{fault.status}" if fault.how == "status" else fault.how for fault in TAKEN_UNANSWERED]


def batch_of(issue: Issue) -> Batch:
    return Batch.objects.get(issue=issue, number=1)


def due_now(issue: Issue) -> None:
    """The clock has moved on to the batches' next attempt."""
    Batch.objects.filter(issue=issue).update(retry_at=None)


def seconds_to_retry(issue: Issue) -> float:
    retry_at = batch_of(issue).retry_at
    assert retry_at is not None
    return (retry_at - timezone.now()).total_seconds()


def states(issue: Issue) -> tuple[int, int, int]:
    counts = count_outcomes(issue.pk)
    assert counts.adds_up
    return counts.submitted, counts.uncertain, counts.waiting
