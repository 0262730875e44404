"""Sending at each reader's own hour: one wall-clock time, as many instants as there are zones.

A reader's zone is Subscriber.timezone; where that is empty or unknown, their list's. A time that a zone's clocks jump over comes as
much later as they jump (02:30 becomes 03:30); of one that comes twice the first is meant. The issue starts when the first zone on
earth gets there, and each batch has a due_at of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.utils import timezone

from newsletter.models import Issue
from subscribers.audience import count_zones

_ROOM = 1000  # batch numbers an instant at least: 3007 is the seventh batch of the fourth instant


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment at which the clocks of some readers show the wall time."""

    at: datetime  # UTC
    zones: tuple[str, ...]  # those of readers, and the list's for readers without one of their own
    readers_count: int
    is_past: bool  # these readers get it at once
    is_moved: bool  # in one of these zones the clocks jump over the time


@dataclass(frozen=True, slots=True)
class Hours:
    """How an audience is cut by its readers' hours: groups in the order of their instants, numbered from 0."""

    due_at: tuple[datetime | None, ...]  # of each group; empty: at once
    zones: tuple[tuple[str, ...], ...]  # of each group
    default: int  # the group of readers without a zone, and of zones that appear while the audience is being frozen
    room: int  # batch numbers a group

    def due_at_of(self, batch_number: int) -> datetime | None:
        """When this batch is due."""
        return self.due_at[(batch_number - 1) // self.room]


def instant_in(zone: str, wall: datetime) -> datetime:
    """When clocks in `zone` show the naive time `wall`: in UTC, the first if it comes twice, after the jump if it never comes."""
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def is_skipped(zone: str, wall: datetime) -> bool:
    """Whether the clocks in `zone` jump over `wall`."""
    return instant_in(zone, wall).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != wall


@lru_cache(maxsize=64)
def span_of(wall: datetime) -> tuple[datetime, datetime]:
    """When the first and the last zone on earth get there; about 26 hours lie between."""
    instants = [instant_in(zone, wall) for zone in available_zones()]
    return min(instants), max(instants)


def preview_instants(issue: Issue, wall: datetime) -> list[Instant]:
    """When how many readers would get the issue as its list stands now; nothing is changed."""
    now = timezone.now()
    groups = _group_by_instant(issue, wall, count_zones(issue.mailing_list, issue.segment))
    return [
        Instant(
            at=at,
            zones=tuple(sorted({zone or issue.mailing_list.timezone for zone in zones})),
            readers_count=sum(zones.values()),
            is_past=at <= now,
            is_moved=any(is_skipped(_known(zone, issue), wall) for zone in zones),
        )
        for at, zones in sorted(groups.items())
        if sum(zones.values())
    ]


def plan_hours(issue: Issue) -> Hours | None:
    """How to cut the audience of an issue that goes out by local hours; None for any other."""
    if not issue.local_time:
        return None
    wall, now = datetime.fromisoformat(issue.local_time), timezone.now()
    counts = count_zones(issue.mailing_list, issue.segment)
    # Whose instant has passed gets it at once: one group, in front.
    groups: dict[datetime | None, list[str]] = {}
    for at, zones in sorted(_group_by_instant(issue, wall, counts).items()):
        groups.setdefault(None if at <= now else at, []).extend(zones)
    default = next(number for number, zones in enumerate(groups.values()) if "" in zones)
    batches_at_most = sum(counts.values()) // settings.BATCH_SIZE + 1
    room = _ROOM
    while room < 2 * batches_at_most:  # twice: people sign up while this is being computed
        room *= 10
    return Hours(
        due_at=tuple(groups),
        zones=tuple(tuple(zone for zone in zones if zone) for zones in groups.values()),
        default=default,
        room=room,
    )


def has_passed_everywhere(wall: datetime) -> bool:
    """Whether no zone on earth has this time still before it."""
    return span_of(wall)[1] <= timezone.now()


def start_of(wall: datetime) -> datetime:
    """When an issue for this time starts: with the first zone on earth, or, if that has passed, once it can no longer be undone."""
    return max(span_of(wall)[0], timezone.now() + timedelta(seconds=settings.UNDO_SECONDS))


def _group_by_instant(issue: Issue, wall: datetime, counts: dict[str, int]) -> dict[datetime, dict[str, int]]:
    """The zones of readers and how many are in each, by instant; "" (the list's own) is always among them."""
    groups: dict[datetime, dict[str, int]] = {}
    for zone, count in ({"": 0} | counts).items():
        groups.setdefault(instant_in(_known(zone, issue), wall), {})[zone] = count
    return groups


def _known(zone: str, issue: Issue) -> str:
    return zone if zone in available_zones() else issue.mailing_list.timezone


@lru_cache(maxsize=1)
def available_zones() -> frozenset[str]:
    """Every zone's name; asked once a process, for the question walks through a folder."""
    return frozenset(available_timezones())
