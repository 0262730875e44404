"""Folds buffered events into columns and counters, in bulk: first wins, machines and people apart.

A unique counter grows by the number of rows that a conditional UPDATE has changed from empty, so an event that comes twice, or an
event folded twice, counts once.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from newsletter.models import Click, Delivery, EngagementHour, Issue, IssueStats, Link, Outcome
from newsletter.tracking.bots import BURST_SECONDS, find_bursts, is_machine_agent
from newsletter.tracking.buffer import Engagement, taken
from subscribers.models import Subscriber

log = logging.getLogger(__name__)

CHUNK_SIZE = 5000  # events a transaction: about a second of SQLite's only writer


def fold_engagement() -> int:
    """Folds one chunk of what is old enough to be judged; says how many events that was. Safe to run twice and at once."""
    ripe_at = timezone.now() - timedelta(seconds=settings.FOLD_DELAY_SECONDS)
    with taken(CHUNK_SIZE, ripe_at) as (events, younger):
        if not events:
            return 0
        bursts = find_bursts([*events, *younger])
        by_issue: dict[int, list[Engagement]] = defaultdict(list)
        for event in events:
            by_issue[event.issue_id].append(event)
        existing = set(Issue.objects.filter(pk__in=list(by_issue)).values_list("pk", flat=True))
        for issue_id, of_issue in sorted(by_issue.items()):
            if issue_id not in existing:
                continue  # deleted since: one issue's hits must not hold up the others'
            _fold_issue(issue_id, of_issue, bursts)
    log.info("engagement.folded events=%d", len(events))
    return len(events)


def _fold_issue(issue_id: int, events: list[Engagement], bursts: set[tuple[int, int, datetime]]) -> None:
    stats, _ = IssueStats.objects.get_or_create(pk=issue_id)
    deliveries, opens, clicks = (
        [event for event in events if event.kind == kind] for kind in ("delivered", "open", "click")
    )
    machine_opens = [event for event in opens if is_machine_agent(event.agent)]
    machine_clicks = [
        event
        for event in clicks
        if is_machine_agent(event.agent) or (event.issue_id, event.subscriber_id, event.at) in bursts
    ]
    machine_clicks += _burst_tails(issue_id, _without(clicks, machine_clicks))
    human_opens, human_clicks = _without(opens, machine_opens), _without(clicks, machine_clicks)
    gained = Counter(
        delivered_count=_note_delivered(issue_id, deliveries),
        # Who clicks has opened, with images or without.
        opens_count=_note_first(issue_id, "opened_at", [*human_opens, *human_clicks]),
        machine_opens_count=_note_first(issue_id, "machine_opened_at", machine_opens),
        clicks_count=_note_first(issue_id, "clicked_at", human_clicks),
        machine_clicks_count=_note_first(issue_id, "machine_clicked_at", machine_clicks),
        raw_opens_count=len(opens),
        raw_clicks_count=len(clicks),
    )
    _settle_uncertain(issue_id, events)
    _count_links(issue_id, human_clicks, is_machine=False)
    _count_links(issue_id, machine_clicks, is_machine=True)
    _count_hours(issue_id, human_opens, human_clicks, [*machine_opens, *machine_clicks])
    _note_engaged(human_opens + human_clicks)
    IssueStats.objects.filter(pk=stats.pk).update(**{name: F(name) + more for name, more in gained.items() if more})


def _burst_tails(issue_id: int, clicks: list[Engagement]) -> list[Engagement]:
    """The clicks that end a burst whose beginning has been folded already."""
    if not clicks:
        return []
    span = timedelta(seconds=BURST_SECONDS)
    known = Click.objects.filter(
        link__issue_id=issue_id,
        is_machine=True,
        subscriber_id__in={event.subscriber_id for event in clicks},
        first_at__gte=min(event.at for event in clicks) - span,
    )
    times: dict[int, list[datetime]] = defaultdict(list)
    for subscriber_id, at in known.values_list("subscriber_id", "first_at"):
        times[subscriber_id].append(at)
    return [event for event in clicks if any(at <= event.at <= at + span for at in times[event.subscriber_id])]


def _without(events: list[Engagement], others: list[Engagement]) -> list[Engagement]:
    known = {id(event) for event in others}
    return [event for event in events if id(event) not in known]


def _note_first(issue_id: int, column: str, events: Iterable[Engagement]) -> int:
    """Fills `column` where it is empty, with each reader's earliest time; says for how many readers."""
    earliest: dict[int, datetime] = {}
    for event in events:
        earliest[event.subscriber_id] = min(event.at, earliest.get(event.subscriber_id, event.at))
    if not earliest:
        return 0
    empty = Delivery.objects.filter(
        issue_id=issue_id, subscriber_id__in=list(earliest), **{f"{column}__isnull": True}
    ).exclude(outcome=Outcome.SKIPPED)
    rows = list(empty)
    by_time: dict[datetime, list[int]] = defaultdict(list)
    for row in rows:
        # Whole seconds: a thousand first opens become a handful of UPDATEs.
        by_time[earliest[row.subscriber_id].replace(microsecond=0)].append(row.subscriber_id)
    return sum(
        Delivery.objects.filter(issue_id=issue_id, subscriber_id__in=ids, **{f"{column}__isnull": True}).update(
            **{column: at}
        )
        for at, ids in by_time.items()
    )


def _note_delivered(issue_id: int, events: list[Engagement]) -> int:
    """First deliveries; their readers' soft bounces are forgotten."""
    ids = {event.subscriber_id for event in events}
    Subscriber.objects.filter(pk__in=ids, soft_bounces__gt=0).update(soft_bounces=0)
    return _note_first(issue_id, "delivered_at", events)


def _settle_uncertain(issue_id: int, events: list[Engagement]) -> None:
    """Delivered, opened or clicked, by whomever: the mail had left, for its token came back."""
    ids = {event.subscriber_id for event in events}
    Delivery.objects.filter(issue_id=issue_id, subscriber_id__in=ids, outcome=Outcome.UNCERTAIN).update(
        outcome=Outcome.SUBMITTED, reason=""
    )


def _count_links(issue_id: int, clicks: list[Engagement], *, is_machine: bool) -> None:
    hits = Counter((event.link_number, event.subscriber_id) for event in clicks)
    if not hits:
        return
    first_at: dict[tuple[int, int], datetime] = {}
    for event in clicks:
        place = (event.link_number, event.subscriber_id)
        first_at[place] = min(event.at, first_at.get(place, event.at))
    links = dict(Link.objects.filter(issue_id=issue_id).values_list("number", "pk"))
    for (number, subscriber_id), count in sorted(hits.items()):
        if number not in links:
            continue
        click, created = Click.objects.get_or_create(
            link_id=links[number],
            subscriber_id=subscriber_id,
            is_machine=is_machine,
            defaults={"first_at": first_at[number, subscriber_id], "hits_count": count},
        )
        if not created:
            Click.objects.filter(pk=click.pk).update(hits_count=F("hits_count") + count)


def _count_hours(issue_id: int, opens: list[Engagement], clicks: list[Engagement], machines: list[Engagement]) -> None:
    hours: dict[datetime, Counter[str]] = defaultdict(Counter)
    for column, events in (("opens_count", opens), ("clicks_count", clicks), ("machine_count", machines)):
        for event in events:
            hours[event.at.replace(minute=0, second=0, microsecond=0)][column] += 1
    for hour_at, counts in sorted(hours.items()):
        hour, _ = EngagementHour.objects.get_or_create(issue_id=issue_id, hour_at=hour_at)
        EngagementHour.objects.filter(pk=hour.pk).update(**{name: F(name) + more for name, more in counts.items()})


def _note_engaged(events: list[Engagement]) -> None:
    by_day: dict[object, set[int]] = defaultdict(set)
    for event in events:
        by_day[event.at.date()].add(event.subscriber_id)
    for day, ids in by_day.items():
        Subscriber.objects.filter(pk__in=ids).exclude(last_engaged_on__gte=day).update(last_engaged_on=day)
