"""What touches our reputation is written at once: bounces, complaints, unsubscribes. Each event works once."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from newsletter.models import Delivery, FeedbackEvent, Issue, IssueStats, Outcome
from newsletter.tracking.intake import Feedback, is_known, store_feedback
from subscribers.models import Subscriber, Suppression
from subscribers.suppression import suppress_subscriber
from subscribers.unsubscribing import unsubscribe

log = logging.getLogger(__name__)

SOFT_BOUNCES_LIMIT = 5  # in a row, without a delivery in between


def apply_feedback(feedback: Feedback) -> bool:
    """Stores the event and does what follows from it; False when it was known, or is about a mail that is not ours."""
    with transaction.atomic():
        event = store_feedback(feedback)
        if event is None:
            return False
        claimed = FeedbackEvent.objects.filter(pk=event.pk, applied_at__isnull=True).update(applied_at=Now())
        if not claimed or event.issue_id is None or event.subscriber_id is None:
            return False
        if not is_known(event.issue_id, event.subscriber_id):
            return False
        _apply(feedback, event.issue_id, event.subscriber_id, event.occurred_at)
    log.info("feedback.applied kind=%s class=%s issue=%d", feedback.kind, feedback.bounce_class, event.issue_id)
    return True


def note_unsubscribed(issue_id: int, subscriber_id: int, at: datetime) -> None:
    """Counts an unsubscribe with the issue that was its occasion, once a reader; an issue that is gone counts nothing."""
    if not Issue.objects.filter(pk=issue_id).exists():
        return  # its counters' foreign key would fail only at the commit, and take the leaving with it
    if _note_first(issue_id, subscriber_id, "unsubscribed_at", at):
        _count(issue_id, "unsubscribes_count")


def _apply(feedback: Feedback, issue_id: int, subscriber_id: int, at: datetime) -> None:
    match feedback.kind, feedback.bounce_class:
        case "complained", _:
            if _note_first(issue_id, subscriber_id, "complained_at", at):
                _count(issue_id, "complaints_count")
            suppress_subscriber(subscriber_id, Suppression.Reason.COMPLAINT, evidence=feedback.detail)
        case "unsubscribed", _:
            list_id = Issue.objects.values_list("mailing_list_id", flat=True).get(pk=issue_id)
            unsubscribe(subscriber_id, list_id, source=f"provider {feedback.provider}", issue_id=issue_id)
        case "bounced" | "rejected", "hard":
            if _note_first(issue_id, subscriber_id, "bounced_at", at):
                _count(issue_id, "hard_bounces_count")
            suppress_subscriber(subscriber_id, Suppression.Reason.HARD_BOUNCE, evidence=feedback.detail)
        case "bounced" | "rejected" | "deferred", _:
            _count(issue_id, "soft_bounces_count")
            _note_soft_bounce(subscriber_id, feedback.detail)
    settle_uncertain(issue_id, subscriber_id)


def _note_soft_bounce(subscriber_id: int, detail: str) -> None:
    Subscriber.objects.filter(pk=subscriber_id).update(soft_bounces=F("soft_bounces") + 1)
    if Subscriber.objects.filter(pk=subscriber_id, soft_bounces__gte=SOFT_BOUNCES_LIMIT).exists():
        suppress_subscriber(subscriber_id, Suppression.Reason.SOFT_BOUNCES, evidence=detail)


def settle_uncertain(issue_id: int, subscriber_id: int) -> None:
    """Makes an uncertain delivery a submitted one: whatever came back proves that the mail had left."""
    Delivery.objects.filter(issue_id=issue_id, subscriber_id=subscriber_id, outcome=Outcome.UNCERTAIN).update(
        outcome=Outcome.SUBMITTED, reason=""
    )


def _note_first(issue_id: int, subscriber_id: int, column: str, at: datetime) -> bool:
    rows = Delivery.objects.filter(issue_id=issue_id, subscriber_id=subscriber_id, **{f"{column}__isnull": True})
    return bool(rows.update(**{column: at}))


def _count(issue_id: int, column: str) -> None:
    IssueStats.objects.get_or_create(pk=issue_id)
    IssueStats.objects.filter(pk=issue_id).update(**{column: F(column) + 1})
