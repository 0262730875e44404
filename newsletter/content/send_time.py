"""Reads `send_at`: a time without a zone is no time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]+(\d{1,2}:\d{2}(?::\d{2})?)\s*(\S*)")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998  # beyond them a zone's offset leads out of what datetime can hold
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


class SendTimeError(ValueError):
    """What is wrong with a send_at, and what to write. `is_of_form`: it is not written as a time is, so that other doors than a
    file's front matter have other advice."""

    def __init__(self, what: str, advice: str, *, is_of_form: bool = True) -> None:
        super().__init__(what, advice)
        self.is_of_form = is_of_form
        self.what = what
        self.advice = advice


def read_send_time(value: str, zone: str) -> tuple[datetime, str]:
    """The aware moment and the zone it was thought in.

    `value` like `2026-11-24 09:00 +09:00` or `2026-11-24 09:00 Asia/Seoul`, or without a zone where `zone` names one.
    Raises SendTimeError, also for a time that a change of clocks skips.
    """
    match = _TIME.fullmatch(value)
    if match is None:
        raise SendTimeError(_("“%(key)s” is not a time."), _("Write 2026-11-24 09:00 +09:00."))
    day, clock, written_zone = match.groups()
    zone = written_zone or zone
    if not zone:
        advice = _("Write %(time)s +09:00, or add a line timezone: Asia/Seoul.") % {"time": f"{day} {clock}"}
        raise SendTimeError(_("“%(key)s” has no time zone."), advice)
    tzinfo = _read_zone(zone)
    try:
        moment = datetime.fromisoformat(f"{day}T{clock.zfill(5) if clock.count(':') == 1 else clock.zfill(8)}")
    except ValueError as error:
        raise SendTimeError(_("“%(key)s” is not a time."), _("Write 2026-11-24 09:00 +09:00.")) from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise SendTimeError(_("“%(key)s” is not a time."), _("Write 2026-11-24 09:00 +09:00."))
    aware = moment.replace(tzinfo=tzinfo)
    shown = aware.astimezone(UTC).astimezone(tzinfo)
    if shown.replace(tzinfo=None) != moment:
        what = _("“%(key)s” names a time that does not exist in %(zone)s: the clocks jump over it.")
        advice = _("Choose %(time)s instead, or another day.") % {"time": f"{shown:%H:%M}"}
        raise SendTimeError(what.replace("%(zone)s", zone), advice, is_of_form=False)
    return aware, zone


def happens_twice(moment: datetime) -> bool:
    """Whether the clocks of its zone are set back over this time, so that it comes twice; the first of the two is meant."""
    return moment.utcoffset() != moment.replace(fold=1).utcoffset()


def _read_zone(zone: str) -> timezone | ZoneInfo:
    if zone.upper() in ("Z", "UTC"):
        return UTC
    if match := _OFFSET.fullmatch(zone):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset < timedelta(hours=24):
            return timezone(-offset if sign == "-" else offset)
    else:
        try:
            return ZoneInfo(zone)
        except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
            pass
        except KeyError:
            pass
    what = _("“%(key)s” names a time zone nobody knows: %(zone)s.")
    raise SendTimeError(what.replace("%(zone)s", zone), _("Write +09:00 or a name like Asia/Seoul."), is_of_form=False)
