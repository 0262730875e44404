"""`manage.py issue schedule`: for one moment, or for each reader's own hour; with a preview."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from newsletter.content.send_time import SendTimeError, happens_twice, read_send_time
from newsletter.delivery import lifecycle
from newsletter.delivery.local_hours import has_passed_everywhere, preview_instants, start_of
from newsletter.models import Issue
from newsletter.tracking.words import show_time
from subscribers.audience import count_zones

Say = Callable[[str], object]


def schedule(issue: Issue, time: str, *, zone: str, is_local: bool, is_preview: bool, say: Say) -> None:
    """Sets the issue's time, or with `is_preview` only tells of it. Raises CommandError for a time that cannot be."""
    if is_local:
        _schedule_locally(issue, _read_wall(time, zone), is_preview=is_preview, say=say)
    else:
        _schedule_at(issue, time, zone, is_preview=is_preview, say=say)


def _schedule_at(issue: Issue, time: str, zone: str, *, is_preview: bool, say: Say) -> None:
    at, zone = _read_time(time, zone)
    if at <= timezone.now():
        raise CommandError(
            _("%(time)s has passed. Choose a later time, or: manage.py issue send %(slug)s")
            % {"time": time, "slug": issue.slug}
        )
    if is_preview:
        issue.schedule_timezone = zone
        count = sum(count_zones(issue.mailing_list, issue.segment).values())
        say(f"{show_time(at, issue)}  {_people(count)}")
    else:
        lifecycle.schedule_issue(issue.pk, at, zone)
        issue.refresh_from_db()
        say(_("Scheduled for %(time)s.") % {"time": show_time(issue.scheduled_at, issue)})
    if happens_twice(at):
        say(_("The clocks are set back that night, so this time comes twice. The first is meant."))


def _schedule_locally(issue: Issue, wall: datetime, *, is_preview: bool, say: Say) -> None:
    if is_preview and has_passed_everywhere(wall):
        raise CommandError(_("%(time)s has passed everywhere on earth.") % {"time": f"{wall:%Y-%m-%d %H:%M}"})
    if not is_preview:
        lifecycle.schedule_by_local_hours(issue.pk, wall)
        say(_("Scheduled for %(time)s of each reader's own clock.") % {"time": f"{wall:%Y-%m-%d %H:%M}"})
    start = start_of(wall).astimezone(ZoneInfo(issue.mailing_list.timezone))
    say(
        _("It starts, and its audience is counted, at %(time)s %(zone)s.")
        % {"time": f"{start:%Y-%m-%d %H:%M}", "zone": issue.mailing_list.timezone}
    )
    for line in _tell_instants(issue, wall):
        say(line)


def _tell_instants(issue: Issue, wall: datetime) -> Iterator[str]:
    """A line for each instant: in UTC, on the list's clock, to how many, in which zones."""
    list_zone = issue.mailing_list.timezone
    for instant in preview_instants(issue, wall):
        on_list_clock = instant.at.astimezone(ZoneInfo(list_zone))
        line = f"{instant.at:%Y-%m-%d %H:%M} UTC  {on_list_clock:%Y-%m-%d %H:%M} {list_zone}  "
        line += f"{_people(instant.readers_count)}  {', '.join(instant.zones)}"
        if instant.is_past:
            line += "  " + _("(has passed: at once)")
        if instant.is_moved:
            line += "  " + _("(the clocks there jump over this time: after the jump)")
        yield line


def _read_wall(time: str, zone: str) -> datetime:
    """A naive time; one with a zone is a contradiction."""
    wall, found = _read_time(time, "UTC")
    if zone or found != "UTC":
        raise CommandError(_("With --local the time is that of each reader's own clock: write it without a zone."))
    return wall.replace(tzinfo=None, second=0)


def _read_time(time: str, zone: str) -> tuple[datetime, str]:
    try:
        return read_send_time(time, zone)
    except SendTimeError as error:
        advice = _('Write it like "2026-11-24 09:00" --zone Asia/Seoul.') if error.is_of_form else error.advice
        raise CommandError(f"{error.what % {'key': time}} {advice}") from error


def _people(count: int) -> str:
    return ngettext("%(count)s person", "%(count)s people", count) % {"count": f"{count:,}"}
