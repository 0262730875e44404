"""A date and a clock time in a named zone become one moment, or a reason why they cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, available_timezones

from django.utils import timezone
from django.utils.translation import gettext as _

from newsletter.delivery.local_hours import has_passed_everywhere
from newsletter.models import Issue

_FIRST_DAY = date(1970, 1, 2)  # earlier ones have passed all the same, and the first year has no UTC in every zone


class WrongTimeError(Exception):
    """No issue can be scheduled for this."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what} {advice}")
        self.what = what
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Moment:
    """When an issue goes out: aware, in the editor's zone."""

    at: datetime
    zone: str
    happens_twice: bool  # the clock is set back over it: the first of the two is meant

    @property
    def utc(self) -> datetime:
        return self.at.astimezone(UTC)


def editors_zone(issue: Issue) -> str:
    """The zone to show this issue's times in: the one its editor thought in, or its list's."""
    return issue.schedule_timezone if issue.schedule_timezone in available_timezones() else issue.mailing_list.timezone


def read_wall(day: date, clock: time) -> datetime:
    """The naive time that each reader's own clock is to show. Raises WrongTimeError once it has passed everywhere."""
    wall = datetime.combine(max(day, _FIRST_DAY), clock.replace(second=0, microsecond=0))
    if has_passed_everywhere(wall):
        raise WrongTimeError(
            _("%(time)s has passed everywhere on earth.") % {"time": f"{wall:%Y-%m-%d %H:%M}"},
            _("Choose a later time, or send the issue now."),
        )
    return wall


def read_moment(day: date, clock: time, zone: str) -> Moment:
    """The moment at which clocks in `zone` show `day` and `clock`.

    Raises WrongTimeError for a zone nobody knows, a time the clocks there jump over, and a time that has passed.
    """
    if zone not in available_timezones():
        raise WrongTimeError(
            _("“%(zone)s” is not a time zone.") % {"zone": zone},
            _("Choose one from the list, such as Asia/Seoul or Europe/Berlin."),
        )
    day = max(day, _FIRST_DAY)
    local = datetime.combine(day, clock).replace(tzinfo=ZoneInfo(zone), fold=0)
    shown = local.astimezone(UTC).astimezone(ZoneInfo(zone))
    if shown.replace(tzinfo=None) != local.replace(tzinfo=None):
        raise WrongTimeError(
            _("%(time)s does not exist on %(day)s in %(zone)s: the clocks are set forward over it.")
            % {"time": f"{clock:%H:%M}", "day": f"{day:%Y-%m-%d}", "zone": zone},
            _("Choose %(time)s instead, or another day.") % {"time": f"{shown:%H:%M}"},
        )
    if local.astimezone(UTC) <= timezone.now():
        raise WrongTimeError(
            _("%(day)s %(time)s in %(zone)s has passed.")
            % {"time": f"{clock:%H:%M}", "day": f"{day:%Y-%m-%d}", "zone": zone},
            _("Choose a later time, or send the issue now."),
        )
    return Moment(local, zone, happens_twice=local.utcoffset() != local.replace(fold=1).utcoffset())
