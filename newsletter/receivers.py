"""The only signal receivers: Anymail's tracking events, and what subscribers says has happened."""

from __future__ import annotations

import logging
from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType, tracking
from django.dispatch import receiver
from django.utils import timezone

from newsletter import tasks
from newsletter.tracking.buffer import push
from newsletter.tracking.intake import Feedback, find_delivery
from newsletter.tracking.providers_words import bounce_class
from newsletter.tracking.reputation import apply_feedback, note_unsubscribed, settle_uncertain
from subscribers.models import Subscription
from subscribers.signals import opt_in_requested, unsubscribed

log = logging.getLogger(__name__)

# Opens and clicks are measured by our own links; a provider's tracking would count them twice.
_REPUTATION = {EventType.BOUNCED, EventType.REJECTED, EventType.COMPLAINED, EventType.UNSUBSCRIBED, EventType.DEFERRED}

# Says only that the provider has taken the mail: all that Mandrill tells before an open.
_TAKEN = {EventType.QUEUED, EventType.SENT}


@receiver(tracking)
def on_tracking_event(event: AnymailTrackingEvent, esp_name: str, **kwargs: Any) -> None:
    """A provider's webhook: reputation is written now, deliveries go to the buffer. Any order, any number of times."""
    kind = str(event.event_type)
    feedback = Feedback(
        provider=esp_name.lower(),
        kind=kind,
        event_id=str(event.event_id or ""),
        message_id=str(event.message_id or ""),
        metadata=dict(event.metadata or {}),
        at=event.timestamp,
        bounce_class=bounce_class(esp_name, event.esp_event, kind, str(event.mta_response or "")),
        tags=tuple(str(tag) for tag in event.tags or ()),
        detail=_without_address(str(event.mta_response or event.description or ""), event.recipient),
    )
    if kind in _REPUTATION:
        apply_feedback(feedback)
    elif kind == EventType.DELIVERED:
        named = find_delivery(feedback)
        if named is not None:
            push("delivered", *named, at=feedback.at or timezone.now())
    elif kind in _TAKEN:
        named = find_delivery(feedback)
        if named is not None:
            settle_uncertain(*named)


@receiver(opt_in_requested)
def on_opt_in_requested(subscription_id: int, **kwargs: Any) -> None:
    """Somebody asked to subscribe: the confirmation mail goes at once."""
    tasks.send_confirmation.delay(subscription_id)


@receiver(unsubscribed)
def on_unsubscribed(subscription_id: int, issue_id: int | None = None, **kwargs: Any) -> None:
    """Somebody left by an issue's link: that issue counts it, in the transaction in which they leave."""
    if issue_id is None:
        return
    subscriber_id = Subscription.objects.values_list("subscriber_id", flat=True).filter(pk=subscription_id).first()
    if subscriber_id is not None:
        note_unsubscribed(issue_id, subscriber_id, timezone.now())


def _without_address(text: str, recipient: str | None) -> str:
    # The row outlives the person: no address in it.
    return text.replace(recipient, "<address>")[:500] if recipient else text[:500]
