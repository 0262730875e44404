"""What can be done with an issue, and what each act will do to how many people: said before it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from newsletter.models import Issue
from newsletter.tracking.stats import BalanceSheet, balance_sheet
from subscribers.audience import PAUSED, SUPPRESSED, candidates, with_reasons

Status = Issue.Status
Tone = Literal["go", "plain", "stop"]


@dataclass(frozen=True, slots=True)
class Act:
    """A button on an issue: where it is offered and how it looks. Its name is its address."""

    name: str
    label: str | Promise
    offered_in: frozenset[str]
    tone: Tone = "plain"


_SENDS_AGAIN = frozenset({Status.SENT, Status.PAUSED})
_OF_DELIVERIES = {"retry", "resend", "accept"}
_JUST_STARTED_HIDES = {"unschedule", "schedule", "send", "test", "cancel"}
ACTS = {
    act.name: act
    for act in (
        Act("resume", gettext_lazy("Resume"), frozenset({Status.PAUSED}), "go"),
        Act("pause", gettext_lazy("Pause"), frozenset({Status.SENDING})),
        Act("test", gettext_lazy("Send a test"), frozenset({Status.DRAFT, Status.SCHEDULED})),
        Act("schedule", gettext_lazy("Schedule"), frozenset({Status.DRAFT, Status.SCHEDULED, Status.FAILED})),
        Act("send", gettext_lazy("Send now"), frozenset({Status.DRAFT, Status.SCHEDULED, Status.FAILED}), "go"),
        Act("undo", gettext_lazy("Undo"), frozenset({Status.SCHEDULED, Status.PREPARING}), "go"),
        Act(
            "unschedule",
            gettext_lazy("Back to draft"),
            frozenset({Status.SCHEDULED, Status.FAILED, Status.CANCELLED}),
        ),
        Act(
            "cancel",
            gettext_lazy("Cancel the issue"),
            frozenset({Status.SCHEDULED, Status.PREPARING, Status.SENDING, Status.PAUSED}),
            "stop",
        ),
        Act("retry", gettext_lazy("Send again to the failed"), _SENDS_AGAIN),
        Act("resend", gettext_lazy("Send again to the uncertain"), _SENDS_AGAIN, "stop"),
        Act("accept", gettext_lazy("Count the uncertain as submitted"), _SENDS_AGAIN | {Status.CANCELLED}),
    )
}


def acts_for(issue: Issue, sheet: BalanceSheet | None = None) -> list[Act]:
    """The buttons this issue shows. What has mailed anybody never becomes a draft again.

    `sheet` spares the counting where it is at hand.
    """
    acts = [act for act in ACTS.values() if issue.status in act.offered_in]
    if issue.status == Status.SCHEDULED:
        acts = [replace(act, label=_("Change the time")) if act.name == "schedule" else act for act in acts]
    if issue.candidates_count is not None:
        acts = [act for act in acts if act.name not in ("unschedule", "schedule", "send")]
    hidden = _JUST_STARTED_HIDES if is_just_started(issue) else {"undo"}
    if any(act.name in _OF_DELIVERIES for act in acts):
        hidden = hidden | _pointless(issue, sheet or balance_sheet(issue))
    return [act for act in acts if act.name not in hidden]


def _pointless(issue: Issue, sheet: BalanceSheet) -> set[str]:
    """The acts upon deliveries that would find nobody."""
    if issue.candidates_count is None or issue.pruned_at is not None:
        return _OF_DELIVERIES
    found = {"retry": sheet.failed + sheet.rejected, "resend": sheet.uncertain, "accept": sheet.uncertain}
    return {name for name, people in found.items() if not people}


def is_just_started(issue: Issue) -> bool:
    """Whether it starts within UNDO_SECONDS or is being prepared: one button then takes it back, and no other is in its way."""
    if issue.status == Status.PREPARING:
        return True
    soon = timezone.now() + timedelta(seconds=settings.UNDO_SECONDS)
    return issue.status == Status.SCHEDULED and issue.scheduled_at is not None and issue.scheduled_at <= soon


@dataclass(frozen=True, slots=True)
class Audience:
    """Who would get an issue if it went out now."""

    reachable: int
    suppressed: int
    paused: int

    @property
    def left_out(self) -> int:
        return self.suppressed + self.paused


def count_audience(issue: Issue) -> Audience:
    """One query over the list's confirmed subscriptions."""
    rows = with_reasons(candidates(issue.mailing_list, issue.segment), issue.mailing_list)
    counts = rows.aggregate(
        reachable=Count("pk", filter=Q(reason="")),
        suppressed=Count("pk", filter=Q(reason=SUPPRESSED)),
        paused=Count("pk", filter=Q(reason=PAUSED)),
    )
    return Audience(**counts)


def consequences(act: str, issue: Issue) -> list[str]:
    """Sentences that say what the act will do to how many people."""
    return _CONSEQUENCES[act](issue)


def _people(count: int) -> str:
    return ngettext("%(count)s person", "%(count)s people", count) % {"count": f"{count:,}"}


def _of_sending(issue: Issue) -> list[str]:
    audience = count_audience(issue)
    lines = [
        _("It goes to %(people)s on “%(list)s”.")
        % {"people": _people(audience.reachable), "list": issue.mailing_list.name}
    ]
    if audience.left_out:
        lines.append(
            _("%(people)s will not get it: %(suppressed)s suppressed, %(paused)s taking a break.")
            % {
                "people": _people(audience.left_out),
                "suppressed": f"{audience.suppressed:,}",
                "paused": f"{audience.paused:,}",
            }
        )
    lines.append(_("Its text is closed from now on. Who unsubscribes before it leaves does not get it."))
    return lines


def _of_sending_now(issue: Issue) -> list[str]:
    lines = _of_sending(issue)
    seconds = settings.UNDO_SECONDS
    if seconds:
        lines.append(
            ngettext(
                "It starts in %(seconds)d second: until then you can undo it. Mail that has left cannot be called back.",
                "It starts in %(seconds)d seconds: until then you can undo it. Mail that has left cannot be called back.",
                seconds,
            )
            % {"seconds": seconds}
        )
    else:
        lines.append(_("It starts within seconds. You can pause it, but mail that has left cannot be called back."))
    return lines


def _of_test(_issue: Issue) -> list[str]:
    return [
        _("One mail goes to this address and to nobody else. Its subject begins with [TEST]."),
        _("Its links are not counted, and the issue stays as it is."),
    ]


def _of_unscheduling(_issue: Issue) -> list[str]:
    return [_("Nobody has got anything yet, and nobody will."), _("You can write on, and schedule it again.")]


def _of_pausing(issue: Issue) -> list[str]:
    sheet = balance_sheet(issue)
    return [
        _("%(done)s already left. %(waiting)s wait until you resume.")
        % {"done": _people(sheet.submitted), "waiting": _people(sheet.waiting)},
        _("A few mails that are on the wire at this moment still leave."),
    ]


def _of_resuming(issue: Issue) -> list[str]:
    sheet = balance_sheet(issue)
    lines = [
        _("It goes on with the %(waiting)s who still wait. Nobody gets it twice.") % {"waiting": _people(sheet.waiting)}
    ]
    if issue.status_reason:
        lines.append(_("It was paused because: %(reason)s") % {"reason": issue.status_reason})
    return lines


def _of_cancelling(issue: Issue) -> list[str]:
    if issue.candidates_count is None:
        return [
            _("Nobody has got anything yet, and nobody will."),
            _("You can make it a draft again later."),
        ]
    sheet = balance_sheet(issue)
    return [
        _("%(waiting)s who still wait will never get this issue.") % {"waiting": _people(sheet.waiting)},
        _("%(done)s have it already; that cannot be undone.") % {"done": _people(sheet.submitted)},
        _("This is final. To stop for a while, pause it instead."),
    ]


def _of_retrying(issue: Issue) -> list[str]:
    sheet = balance_sheet(issue)
    return [
        _("It goes once more to the %(people)s whose delivery failed, and to nobody else.")
        % {"people": _people(sheet.failed)},
        _("A server refused %(people)s: they get it only if you ask for them, too.")
        % {"people": _people(sheet.rejected)},
        _("Who has left or was suppressed since does not get it."),
    ]


def _of_resending(issue: Issue) -> list[str]:
    sheet = balance_sheet(issue)
    return [
        _("It goes again to the %(people)s of whom nobody knows whether they got it.")
        % {"people": _people(sheet.uncertain)},
        _("Those whose first mail had left after all get it twice. Who has answered in any way is left out."),
        _("Your mail server's log may know: then count them as submitted instead."),
    ]


def _of_accepting(issue: Issue) -> list[str]:
    sheet = balance_sheet(issue)
    return [
        _("%(people)s of whom nobody knows count as submitted from now on, by your decision.")
        % {"people": _people(sheet.uncertain)},
        _("No mail leaves. If one of them never got it, they will not get it."),
    ]


_CONSEQUENCES: dict[str, Callable[[Issue], list[str]]] = {
    "test": _of_test,
    "schedule": _of_sending,
    "send": _of_sending_now,
    "undo": _of_unscheduling,
    "unschedule": _of_unscheduling,
    "pause": _of_pausing,
    "resume": _of_resuming,
    "cancel": _of_cancelling,
    "retry": _of_retrying,
    "resend": _of_resending,
    "accept": _of_accepting,
}
