"""The states of an issue and the only ways between them. A move is one conditional UPDATE that counts its rows."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from newsletter.delivery import witness
from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.local_hours import has_passed_everywhere, start_of
from newsletter.models import Batch, Issue
from newsletter.rendering.errors import Finding
from newsletter.rendering.render import save_render

log = logging.getLogger(__name__)
Status = Issue.Status

# from -> to; whatever is not written here cannot happen.
MOVES: dict[str, frozenset[str]] = {
    Status.DRAFT: frozenset({Status.SCHEDULED}),
    Status.SCHEDULED: frozenset({Status.SCHEDULED, Status.DRAFT, Status.PREPARING, Status.CANCELLED}),
    Status.PREPARING: frozenset({Status.DRAFT, Status.SCHEDULED, Status.SENDING, Status.FAILED, Status.CANCELLED}),
    Status.SENDING: frozenset({Status.PAUSED, Status.SENT, Status.CANCELLED}),
    Status.PAUSED: frozenset({Status.SENDING, Status.CANCELLED}),
    Status.SENT: frozenset({Status.SENDING}),  # by a person's decision, to those who did not get it
    Status.CANCELLED: frozenset({Status.DRAFT}),
    Status.FAILED: frozenset({Status.DRAFT, Status.SCHEDULED}),
}


# What a person can do from each state: the way on for whoever asked for something else.
_POSSIBLE = {
    Status.DRAFT: gettext_lazy("schedule it, or send it"),
    Status.SCHEDULED: gettext_lazy("give it another time, make it a draft again, or cancel it"),
    Status.PREPARING: gettext_lazy("undo its start, or cancel it"),
    Status.SENDING: gettext_lazy("pause it, or cancel it"),
    Status.PAUSED: gettext_lazy("resume it, or cancel it"),
    Status.SENT: gettext_lazy("send again to those who did not get it"),
    Status.CANCELLED: gettext_lazy("make it a draft again, if nobody has got it"),
    Status.FAILED: gettext_lazy("schedule it anew, or make it a draft again"),
}


class NotAllowed(Exception):  # noqa: N818  (reads as a sentence where it is caught)
    """The issue is in a state from which this cannot be done."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what} {advice}")
        self.what = what
        self.advice = advice


def move_issue(issue_id: int, to: Issue.Status, *, only_from: set[str] | None = None, **fields: Any) -> bool:
    """Moves the issue if it stands where `to` can be reached from; says whether this call was the one that did it."""
    sources = {source for source, targets in MOVES.items() if to in targets}
    if only_from is not None:
        sources &= only_from
    conditions = fields.pop("where", {})
    if to == Status.SENDING:  # a pause is no standstill: the watch begins anew
        fields = {"progressed_at": Now(), "stalled_at": None, "stall_told_at": None} | fields
    changed = Issue.objects.filter(pk=issue_id, status__in=sources, **conditions).update(
        status=to, updated_at=Now(), **fields
    )
    if changed:
        log.info("issue.%s issue=%d", to, issue_id)
    return bool(changed)


def schedule_issue(issue_id: int, at: datetime, zone: str, *, local_time: str = "") -> None:
    """Renders the issue once more, closes its content, and sets the time at which the clock will start it.

    `at` is aware; `zone` is the name of the zone the editor thought in; `local_time` is for schedule_by_local_hours. Raises NotAllowed
    when the issue has left draft, has been edited while it was rendered, or has a finding that is an error, and RenderError when it
    cannot be rendered.
    """
    if at.tzinfo is None:
        raise ValueError("schedule_issue needs an aware time")
    issue = Issue.objects.select_related("mailing_list").get(pk=issue_id)
    sources = {Status.DRAFT, Status.SCHEDULED, Status.FAILED}
    if issue.status not in sources:
        raise _left(issue)
    if issue.status != Status.SCHEDULED:
        _refuse_errors(issue.slug, save_render(issue).findings)
    moved = move_issue(
        issue_id,
        Status.SCHEDULED,
        only_from={str(source) for source in sources},
        scheduled_at=at.astimezone(ZoneInfo("UTC")),
        schedule_timezone=zone,
        local_time=local_time,
        status_reason="",
        where={"revision": issue.revision},
    )
    if not moved:
        issue.refresh_from_db()
        raise _left(issue)


def schedule_by_local_hours(issue_id: int, wall: datetime) -> None:
    """Schedules the issue for this naive time of each reader's own clock. Raises as schedule_issue does, and once it has passed everywhere.

    It starts, and its audience is frozen, when the first zone on earth gets there.
    """
    issue = Issue.objects.select_related("mailing_list").only("slug", "mailing_list__timezone").get(pk=issue_id)
    if has_passed_everywhere(wall):
        raise NotAllowed(
            _("%(time)s has passed everywhere on earth.") % {"time": f"{wall:%Y-%m-%d %H:%M}"},
            _("Choose a later time, or send the issue now."),
        )
    local_time = wall.isoformat(timespec="minutes")
    schedule_issue(issue_id, start_of(wall), issue.mailing_list.timezone, local_time=local_time)


def start_issue_now(issue_id: int, undo_seconds: int | None = None) -> None:
    """Schedules the issue for UNDO_SECONDS from now: until then undo_issue brings it back. Raises as schedule_issue does."""
    wait = settings.UNDO_SECONDS if undo_seconds is None else undo_seconds
    zone = Issue.objects.values_list("mailing_list__timezone", flat=True).get(pk=issue_id)
    schedule_issue(issue_id, datetime.now(ZoneInfo("UTC")) + timedelta(seconds=wait), zone)


def undo_issue(issue_id: int) -> None:
    """Takes a start or a schedule back, before anything has left: the issue is a draft again.

    Raises NotAllowed when it comes too late, saying how many mails have left and what still helps.
    """
    # A freeze under way is undone with it: open_sending finds the issue no longer preparing, and its transaction ends in nothing.
    if not _back_to_draft(issue_id, only_from={Status.SCHEDULED, Status.PREPARING}):
        raise _too_late(Issue.objects.get(pk=issue_id))


def unschedule_issue(issue_id: int) -> None:
    """Makes a scheduled (or cancelled before it started, or failed) issue a draft again."""
    if not _back_to_draft(issue_id, only_from={Status.SCHEDULED, Status.CANCELLED, Status.FAILED}):
        raise _left(Issue.objects.get(pk=issue_id))


def claim_due_issue(issue_id: int) -> bool:
    """Takes a due issue for preparing; of several workers exactly one gets True."""
    return move_issue(
        issue_id,
        Status.PREPARING,
        claimed_at=Now(),
        where={"scheduled_at__lte": Now()},
    )


def due_issue_ids() -> list[int]:
    """The scheduled issues whose time has come, first come first; what was missed by hours waits for a person instead."""
    due = Issue.objects.filter(status=Status.SCHEDULED, scheduled_at__lte=Now())
    oldest = datetime.now(ZoneInfo("UTC")) - timedelta(hours=settings.MISSED_SCHEDULE_HOURS)
    for issue_id in due.filter(scheduled_at__lt=oldest).values_list("pk", flat=True):
        reason = ngettext(
            "Its time passed more than %(hours)d hour before Sosik could start it, so it waits for you. "
            "Nobody has got it. Schedule it anew, or send it now.",
            "Its time passed more than %(hours)d hours before Sosik could start it, so it waits for you. "
            "Nobody has got it. Schedule it anew, or send it now.",
            settings.MISSED_SCHEDULE_HOURS,
        ) % {"hours": settings.MISSED_SCHEDULE_HOURS}
        log.warning("issue.missed issue=%d hours=%d", issue_id, settings.MISSED_SCHEDULE_HOURS)
        # Through preparing, so that no tick can start it between the two.
        if move_issue(issue_id, Status.PREPARING, where={"scheduled_at__lt": oldest}):
            move_issue(issue_id, Status.FAILED, status_reason=reason)
    return list(due.filter(scheduled_at__gte=oldest).order_by("scheduled_at").values_list("pk", flat=True))


def pause_issue(issue_id: int, reason: str = "") -> None:
    """Stops the issue at the next checkpoint of each batch; nothing is lost."""
    if not move_issue(issue_id, Status.PAUSED, status_reason=reason[:300]):
        raise _left(Issue.objects.get(pk=issue_id))


def resume_issue(issue_id: int) -> None:
    """Lets a paused issue go on where it stopped, at the next tick."""
    if not move_issue(issue_id, Status.SENDING, only_from={Status.PAUSED}, status_reason=""):
        raise _left(Issue.objects.get(pk=issue_id))
    witness.let_go_on(Issue.objects.only("pk", "created_at", "scheduled_at").get(pk=issue_id))
    # The bells that rang during the pause were in vain: nobody must wait a minute until they count as lost.
    Batch.objects.filter(issue_id=issue_id, status=Batch.Status.PENDING).update(rung_at=None)


def cancel_issue(issue_id: int, reason: str = "") -> None:
    """Ends the issue: whoever has not been written to by the next checkpoint of each batch will not be."""
    if not move_issue(issue_id, Status.CANCELLED, status_reason=reason[:300]):
        raise _left(Issue.objects.get(pk=issue_id))


def _back_to_draft(issue_id: int, *, only_from: set[str]) -> bool:
    before_start = {"candidates_count": None}  # what has mailed anybody never becomes a draft again
    return move_issue(
        issue_id,
        Status.DRAFT,
        only_from=only_from,
        where=before_start,
        scheduled_at=None,
        local_time="",
        status_reason="",
    )


def _too_late(issue: Issue) -> NotAllowed:
    if issue.status not in {Status.SENDING, Status.PAUSED}:
        return _left(issue)
    left = count_outcomes(issue.pk).submitted
    what = ngettext(
        "It is too late to undo “%(slug)s”: it has started, and %(count)s mail has left.",
        "It is too late to undo “%(slug)s”: it has started, and %(count)s mails have left.",
        left,
    ) % {"slug": issue.slug, "count": f"{left:,}"}
    return NotAllowed(what, _("Cancel it: whoever has not got it by then never will. Or pause it first, and look."))


def _refuse_errors(slug: str, findings: tuple[Finding, ...]) -> None:
    """What the pre-flight check calls an error blocks by every door, not at the desk alone."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        line = _("line %(line)d: ") % {"line": errors[0].line} if errors[0].line else ""
        what = ngettext(
            "“%(slug)s” cannot go out, for %(count)d error was found: %(message)s",
            "“%(slug)s” cannot go out, for %(count)d errors were found, the first: %(message)s",
            len(errors),
        ) % {"slug": slug, "count": len(errors), "message": line + errors[0].message}
        raise NotAllowed(what, errors[0].remedy or _("Mend it, and repeat."))


def _left(issue: Issue) -> NotAllowed:
    return NotAllowed(
        _("“%(slug)s” is in the state “%(state)s”, or was changed in this moment.")
        % {"slug": issue.slug, "state": issue.get_status_display()},
        _("Nothing was changed. What can be done now: %(acts)s.") % {"acts": _POSSIBLE[Status(issue.status)]},
    )
