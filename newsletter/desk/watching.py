"""Watching an issue: the balance sheet while it moves, who did not get it and why, and what its links did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from newsletter.desk.questions import acts_for
from newsletter.desk.schedule_times import editors_zone
from newsletter.models import Issue, Link
from newsletter.tracking.stats import BalanceSheet, balance_sheet, not_delivered, reasons
from subscribers.audience import ERASED, PAUSED, SUPPRESSED, UNSUBSCRIBED

_SHOWN_UNDELIVERED = 100  # rows; the reasons above them count all
_ECHO_DAYS = 3  # for so long after the last batch answers still come in quickly
Status = Issue.Status
_MOVING = frozenset({Status.SCHEDULED, Status.PREPARING, Status.SENDING, Status.PAUSED})


# The reasons delivery writes, in words; a server's own answer is shown as it came.
_REASONS = {
    UNSUBSCRIBED: _("has unsubscribed"),
    SUPPRESSED: _("is suppressed"),
    PAUSED: _("is taking a break"),
    ERASED: _("was erased"),
    "cancelled": _("the issue was cancelled first"),
    "worker stopped": _("a worker stopped in mid-sending"),
    "the provider did not answer": _("the provider did not answer"),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an issue goes and how long it still takes."""

    seconds: float
    per_second: float | None
    seconds_left: float | None


def pace_of(issue: Issue, sheet: BalanceSheet, now: datetime) -> Pace | None:
    """The mean since sending began; None where that says nothing: before it, and while the issue is paused or has been stopped."""
    if issue.sending_at is None or issue.status not in (Status.SENDING, Status.SENT):
        return None
    seconds = max(((issue.finished_at or now) - issue.sending_at).total_seconds(), 0.001)
    per_second = sheet.submitted / seconds if sheet.submitted else None
    left = sheet.waiting / per_second if per_second and issue.status == Status.SENDING else None
    return Pace(seconds, per_second, left)


def say_reason(reason: str) -> str:
    """The reason in the reader's language, where it is one of ours."""
    return str(_REASONS.get(reason, reason))


@require_safe
def watch(request: HttpRequest, pk: int) -> HttpResponse:
    """The whole page."""
    issue = _issue(pk)
    if issue.status == Status.DRAFT:
        return redirect("desk:write", pk=pk)
    return render(request, "desk/watch.html", _progress_of(issue) | _details_of(issue))


@require_safe
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The live part of the page, asked for anew every few seconds while anything can change."""
    issue = _issue(pk)
    if issue.status != request.GET.get("was", issue.status):
        return HttpResponseClientRefresh()  # the rest of the page is of the state before
    return render(request, "desk/progress.html", _progress_of(issue))


@require_safe
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """The mail as it was or will be sent, closed to changes."""
    view = request.GET.get("view", "desktop")
    context = {"issue": _issue(pk), "view": view if view in ("desktop", "phone", "text") else "desktop"}
    return render(request, "desk/read.html", context)


def _issue(pk: int) -> Issue:
    rows = Issue.objects.select_related("mailing_list", "stats").defer("body_markdown", "html", "text", "web_html")
    return get_object_or_404(rows, pk=pk)


def _progress_of(issue: Issue) -> dict[str, object]:
    now = timezone.now()
    sheet = balance_sheet(issue)
    has_echo = issue.finished_at is not None and now - issue.finished_at < timedelta(days=_ECHO_DAYS)
    return {
        "issue": issue,
        "zone": editors_zone(issue),
        "sheet": sheet,
        "acts": acts_for(issue),
        "pace": pace_of(issue, sheet, now),
        "bar": _bar_of(sheet),
        "poll_seconds": 2 if issue.status in _MOVING else 10 if has_echo else None,
        "now": now,
    }


def _bar_of(sheet: BalanceSheet) -> list[tuple[str, float, float]]:
    """(outcome, where it begins, how wide it is), in thousandths of the audience: an SVG needs no inline style."""
    if not sheet.audience:
        return []
    begin, parts = 0.0, []
    for outcome in ("submitted", "skipped", "rejected", "failed", "uncertain"):
        width = 1000 * getattr(sheet, outcome) / sheet.audience
        if width:
            parts.append((outcome, round(begin, 2), round(width, 2)))
        begin += width
    return parts


def _details_of(issue: Issue) -> dict[str, object]:
    return {
        "reasons": [(outcome, say_reason(reason), count) for outcome, reason, count in reasons(issue)],
        "undelivered": [(row, say_reason(row.reason)) for row in not_delivered(issue, _SHOWN_UNDELIVERED)],
        "shown_limit": _SHOWN_UNDELIVERED,
        "links": _links_of(issue),
    }


def _links_of(issue: Issue) -> QuerySet[Link]:
    return (
        Link.objects.filter(issue=issue)
        .annotate(
            readers_count=Count("clicks", filter=Q(clicks__is_machine=False)),
            machines_count=Count("clicks", filter=Q(clicks__is_machine=True)),
            hits_count=Sum("clicks__hits_count", filter=Q(clicks__is_machine=False)),
        )
        .order_by("-readers_count", "number")
    )
