"""Reasons and moments, as a person reads them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from newsletter.delivery.mending import ACCEPTED, RESENT
from newsletter.delivery.turns import HELD
from newsletter.models import Issue
from subscribers.audience import ERASED, PAUSED, SUPPRESSED, UNSUBSCRIBED

# The reasons delivery writes, in words; a server's own answer is shown as it came.
_REASONS = {
    UNSUBSCRIBED: _("has unsubscribed"),
    SUPPRESSED: _("is suppressed"),
    PAUSED: _("is taking a break"),
    ERASED: _("was erased"),
    "cancelled": _("the issue was cancelled first"),
    "worker stopped": _("a worker stopped in mid-sending"),
    "the provider did not answer": _("the provider did not answer"),
    ACCEPTED: _("counted as submitted by a person's decision"),
    RESENT: _("goes again by a person's decision"),
}


def say_reason(reason: str) -> str:
    """The reason in the reader's language, where it is one of ours."""
    if reason.startswith(HELD):
        return gettext("waits for its turn: %(domain)s has a pace of its own") % {"domain": reason.removeprefix(HELD)}
    return str(_REASONS.get(reason, reason))


def show_time(at: datetime | None, issue: Issue) -> str:
    """A moment on the clock of the editor who scheduled the issue, with the zone's name."""
    if at is None:
        return "-"
    zone = issue.schedule_timezone or issue.mailing_list.timezone
    try:
        local = at.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):  # an offset such as +09:00, as a post may say
        local, zone = at.astimezone(ZoneInfo(settings.TIME_ZONE)), settings.TIME_ZONE
    return f"{local:%Y-%m-%d %H:%M:%S} {zone}"
