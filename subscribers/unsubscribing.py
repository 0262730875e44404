"""Leaving a list, and thinking better of it. Each is one conditional UPDATE, safe to run twice."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from subscribers.consent import record
from subscribers.models import ConsentEvent, Subscription
from subscribers.signals import subscribed, unsubscribed

log = logging.getLogger(__name__)

UNDO_DAYS = 30


def unsubscribe(subscriber_id: int, list_id: int, *, source: str, ip: str = "", issue_id: int | None = None) -> bool:
    """Takes a person off a list; True when that changed something. `issue_id` is the issue whose mail was the occasion."""
    now = timezone.now()
    standing = Subscription.objects.filter(subscriber_id=subscriber_id, mailing_list_id=list_id)
    with transaction.atomic():
        left = standing.exclude(status=Subscription.Status.UNSUBSCRIBED).update(
            status=Subscription.Status.UNSUBSCRIBED, unsubscribed_at=now
        )
        if not left:
            return False
        record(ConsentEvent.Kind.UNSUBSCRIBED, subscriber_id, list_id, source=source, ip=ip, at=now)
        subscription_id = standing.values_list("pk", flat=True).get()
        _tell(subscription_id, issue_id)
    return True


def undo_unsubscribe(subscriber_id: int, list_id: int, *, source: str, ip: str = "") -> bool:
    """Puts a person back who was confirmed and left within 30 days; True when that changed something."""
    now = timezone.now()
    standing = Subscription.objects.filter(subscriber_id=subscriber_id, mailing_list_id=list_id)
    with transaction.atomic():
        returned = standing.filter(
            status=Subscription.Status.UNSUBSCRIBED,
            unsubscribed_at__gt=now - timedelta(days=UNDO_DAYS),
            confirmed_at__isnull=False,
        ).update(status=Subscription.Status.CONFIRMED, unsubscribed_at=None)
        if not returned:
            return False
        record(ConsentEvent.Kind.CONFIRMED, subscriber_id, list_id, source=source, ip=ip, at=now)
        subscription_id = standing.values_list("pk", flat=True).get()
        transaction.on_commit(partial(subscribed.send, Subscription, subscription_id=subscription_id), robust=True)
    return True


def _tell(subscription_id: int, issue_id: int | None) -> None:
    """Lets whoever counts do so in the transaction that unsubscribes: a worker killed after it would lose the count for good.

    What they write is undone if they fail, and the person has left all the same.
    """
    try:
        with transaction.atomic():
            unsubscribed.send(Subscription, subscription_id=subscription_id, issue_id=issue_id)
    except Exception:
        log.exception("unsubscribe.uncounted subscription=%d", subscription_id)
