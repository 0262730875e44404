"""Where opens, clicks and deliveries wait for the fold: a Redis list, or a table where there is no Redis.

Pushing never makes a reader wait for anything but one write, and never fails: an event that cannot be kept is a line in the log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from newsletter.models import BufferedEvent

log = logging.getLogger(__name__)

Kind = Literal["open", "click", "delivered"]
_KEY = "sosik:engagement"
_LOCK_KEY = "sosik:engagement:folding"
_LOCK_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Engagement:
    """One hit or one delivery, as it came in; `agent` and `ip_prefix` are evidence for telling machines from people."""

    kind: str
    issue_id: int
    subscriber_id: int
    at: datetime
    link_number: int = 0
    agent: str = ""
    ip_prefix: str = ""


def push(
    kind: Kind,
    issue_id: int,
    subscriber_id: int,
    *,
    at: datetime,
    link_number: int = 0,
    agent: str = "",
    ip_prefix: str = "",
) -> None:
    """Keeps one event for the fold. Never raises: losing a statistic is better than losing a reader's click."""
    event = Engagement(kind, issue_id, subscriber_id, at, link_number, agent[:300], ip_prefix)
    payload = asdict(event) | {"at": at.timestamp()}
    try:
        if settings.REDIS_URL:
            _redis().rpush(_KEY, json.dumps(payload))
        else:
            BufferedEvent.objects.create(payload=payload)
    except (redis.RedisError, DatabaseError) as error:
        log.warning("engagement.lost kind=%s issue=%d reason=%s", kind, issue_id, type(error).__name__)


@contextmanager
def taken(limit: int, settled_before: datetime) -> Iterator[tuple[list[Engagement], list[Engagement]]]:
    """(the events to fold now, those too young to fold but known already), oldest first; the former are gone afterwards.

    The block runs inside a transaction and must do all its writing there: with the table, an event is removed by the very
    transaction that counts it. With Redis it is removed just after, so a crash in between may repeat raw hits, never unique ones.
    """
    if settings.REDIS_URL:
        with _taken_from_redis(limit, settled_before) as both:
            yield both
        return
    with transaction.atomic():
        rows = BufferedEvent.objects.order_by("pk")
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        found = [(row.pk, _read(row.payload)) for row in rows[:limit]]
        ripe = _ripe_count([event for _, event in found], settled_before)
        events = [event for _, event in found]
        yield events[:ripe], events[ripe:]
        BufferedEvent.objects.filter(pk__in=[pk for pk, _ in found[:ripe]]).delete()


@contextmanager
def _taken_from_redis(limit: int, settled_before: datetime) -> Iterator[tuple[list[Engagement], list[Engagement]]]:
    client = _redis()
    if not client.set(_LOCK_KEY, "1", nx=True, ex=_LOCK_SECONDS):
        yield [], []  # another worker folds: two at once would trim each other's events
        return
    try:
        raw: Any = client.lrange(_KEY, 0, limit - 1)
        events = [_read(json.loads(line)) for line in raw]
        ripe = _ripe_count(events, settled_before)
        with transaction.atomic():
            yield events[:ripe], events[ripe:]
        if ripe:
            client.ltrim(_KEY, ripe, -1)
    finally:
        client.delete(_LOCK_KEY)


def waiting_count() -> int:
    """How many events have not been folded yet."""
    if settings.REDIS_URL:
        length: Any = _redis().llen(_KEY)
        return int(length)
    return BufferedEvent.objects.count()


def _ripe_count(events: list[Engagement], settled_before: datetime) -> int:
    return next((index for index, event in enumerate(events) if event.at > settled_before), len(events))


def _read(payload: dict[str, Any]) -> Engagement:
    return Engagement(**(payload | {"at": datetime.fromtimestamp(payload["at"], tz=UTC)}))


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    # Short time-outs: a redirect waits for this write, so a Redis that hangs may cost it half a second and no more.
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5)
