"""A provider's word becomes one stored event: whose mail, what happened, and a key by which it is known again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from newsletter.models import Delivery, FeedbackEvent
from newsletter.tokens import METADATA_KEY, read_message_token


@dataclass(frozen=True, slots=True)
class Feedback:
    """One event of a provider in our words. `bounce_class` is hard, soft, or empty where nothing bounced."""

    provider: str
    kind: str  # delivered, bounced, deferred, rejected, complained, unsubscribed
    event_id: str
    message_id: str
    metadata: dict[str, str]
    at: datetime | None
    bounce_class: str = ""
    detail: str = ""
    tags: tuple[str, ...] = ()


def find_delivery(feedback: Feedback) -> tuple[int, int] | None:
    """(issue_id, subscriber_id): by the token in the metadata or in a tag, or by our Message-ID; None if foreign."""
    named = read_message_token(str(feedback.metadata.get(METADATA_KEY, "")))
    for tag in feedback.tags:  # MailerSend and Postal give nothing else back
        named = named or read_message_token(tag)
    if named is None:
        named = read_message_token(feedback.message_id.strip("<> ").rpartition("@")[0])
    return named


def store_feedback(feedback: Feedback) -> FeedbackEvent | None:
    """The event's row if it is new, None if it is known already. Foreign mail's events are kept without an issue."""
    issue_id, subscriber_id = find_delivery(feedback) or (None, None)
    event, is_new = FeedbackEvent.objects.get_or_create(
        provider=feedback.provider,
        key=feedback.event_id[:200] or _own_key(feedback),
        defaults={
            "kind": feedback.kind,
            "issue_id": issue_id,
            "subscriber_id": subscriber_id,
            "occurred_at": feedback.at or timezone.now(),
            "detail": feedback.detail[:500],
        },
    )
    return event if is_new or event.applied_at is None else None


def is_known(issue_id: int, subscriber_id: int) -> bool:
    """Whether we have such a delivery: a token is signed, but its issue may have been pruned."""
    return Delivery.objects.filter(issue_id=issue_id, subscriber_id=subscriber_id).exists()


def _own_key(feedback: Feedback) -> str:
    # Brevo, Mailjet and Unisender Go give no event id; what they repeat on a retry is this.
    parts = (feedback.provider, feedback.kind, feedback.message_id, str(feedback.at), feedback.bounce_class)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
