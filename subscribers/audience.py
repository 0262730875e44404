"""Whom may a mailing list write to? Reachable = a confirmed subscription that is not paused, and no suppression."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from zoneinfo import ZoneInfo

from django.db.models import Case, Count, F, FilteredRelation, Q, QuerySet, Value, When
from django.utils import timezone

from subscribers.models import MailingList, Segment, Subscriber, Subscription
from subscribers.suppression import suppression_exists

ERASED = "erased"
UNSUBSCRIBED = "unsubscribed"
SUPPRESSED = "suppressed"
PAUSED = "paused"


def reachable(mailing_list: MailingList) -> QuerySet[Subscriber]:
    """The people this list may write to now, in no order."""
    return Subscriber.objects.filter(
        ~suppression_exists(),
        Q(subscriptions__paused_until__isnull=True) | Q(subscriptions__paused_until__lte=_today(mailing_list)),
        subscriptions__mailing_list=mailing_list,
        subscriptions__status=Subscription.Status.CONFIRMED,
    )


def candidates(mailing_list: MailingList, segment: Segment | None = None) -> QuerySet[Subscription]:
    """The confirmed subscriptions an issue is frozen from, suppressed and paused ones among them.

    Raises ValueError for a segment with a rule: mailing everybody in its place would be worse.
    """
    if segment is not None and segment.rule:
        raise ValueError(f"Segment {segment.pk} has a rule, and rules are not understood yet. Send to the whole list.")
    return Subscription.objects.filter(mailing_list=mailing_list, status=Subscription.Status.CONFIRMED)


def count_zones(mailing_list: MailingList, segment: Segment | None = None) -> dict[str, int]:
    """How many reachable people have which time zone; "" for those without one."""
    rows = with_reasons(candidates(mailing_list, segment), mailing_list).order_by()
    counts = rows.values_list("subscriber__timezone").annotate(size=Count("pk", filter=Q(reason="")))
    return {zone: size for zone, size in counts if size}


def with_reasons(subscriptions: QuerySet[Subscription], mailing_list: MailingList) -> QuerySet[Subscription]:
    """The same rows, each with `reason`: empty when reachable, else "suppressed" or "paused"."""
    return subscriptions.annotate(
        reason=Case(
            When(suppression_exists("subscriber__fingerprint"), then=Value(SUPPRESSED)),
            When(paused_until__gt=_today(mailing_list), then=Value(PAUSED)),
            default=Value(""),
        )
    )


def unreachable_reasons(subscriber_ids: Collection[int], mailing_list: MailingList) -> dict[int, str]:
    """Who of these may not be written to now, and why; those who may are not in it. One query for any number of ids."""
    rows = (
        Subscriber.objects.filter(pk__in=subscriber_ids)
        .annotate(
            standing=FilteredRelation("subscriptions", condition=Q(subscriptions__mailing_list=mailing_list)),
            standing_status=F("standing__status"),
            standing_pause=F("standing__paused_until"),
            is_suppressed=suppression_exists(),
        )
        .values_list("pk", "standing_status", "standing_pause", "is_suppressed")
    )
    today = _today(mailing_list)
    reasons = dict.fromkeys(subscriber_ids, ERASED)
    for subscriber_id, status, paused_until, is_suppressed in rows:
        reasons[subscriber_id] = _reason(status, paused_until, today, is_suppressed=is_suppressed)
    return {subscriber_id: reason for subscriber_id, reason in reasons.items() if reason}


def unreachable_reason(subscriber: Subscriber, mailing_list: MailingList) -> str:
    """The same for one person: empty when they may be written to."""
    return unreachable_reasons([subscriber.pk], mailing_list).get(subscriber.pk, "")


def _reason(status: str | None, paused_until: date | None, today: date, *, is_suppressed: bool) -> str:
    if status != Subscription.Status.CONFIRMED:
        return UNSUBSCRIBED
    if is_suppressed:
        return SUPPRESSED
    return PAUSED if paused_until is not None and paused_until > today else ""


def _today(mailing_list: MailingList) -> date:
    return timezone.localdate(timezone=ZoneInfo(mailing_list.timezone))
