"""Asking before an issue moves, and moving it. GET asks and changes nothing; only POST acts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo, available_timezones

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from kombu.exceptions import OperationalError

from newsletter import tasks
from newsletter.delivery.lifecycle import (
    NotAllowed,
    cancel_issue,
    pause_issue,
    resume_issue,
    schedule_by_local_hours,
    schedule_issue,
    start_issue_now,
    undo_issue,
    unschedule_issue,
)
from newsletter.delivery.local_hours import preview_instants
from newsletter.delivery.mending import accept_uncertain, resend_uncertain, retry_failed
from newsletter.delivery.preflight import look_over
from newsletter.desk.forms import RetryForm, ScheduleForm, TestMailForm
from newsletter.desk.questions import ACTS, acts_for, consequences
from newsletter.desk.schedule_times import editors_zone
from newsletter.models import Issue
from newsletter.rendering.errors import Finding, RenderError

log = logging.getLogger(__name__)
_USUAL_HOUR = 8  # when a newsletter is scheduled for, unless the editor says otherwise


@require_safe
def ask(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """What the act will do to how many people, with the button that does it."""
    issue = _issue(pk)
    if action not in ACTS:
        raise Http404
    if action not in {act.name for act in acts_for(issue)}:
        messages.error(request, _("That cannot be done while the issue is in this state."))
        return redirect("desk:issue", pk=pk)
    if action == "schedule":
        times = ScheduleForm(request.GET) if "day" in request.GET else ScheduleForm(initial=_usual_time(issue))
        return _ask_schedule(request, issue, times)
    return _ask(request, issue, action, form=_form_of(request, action))


@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Sends the saved text to one address."""
    issue = _issue(pk)
    form = TestMailForm(request.POST)
    if not form.is_valid():
        return _ask(request, issue, "test", status=422, form=form)
    try:
        tasks.send_test.delay(pk, form.cleaned_data["address"])
    except OperationalError:
        messages.error(request, _("The queue cannot be reached, so no test was sent. Is Redis running?"))
    else:
        messages.success(request, _("A test is on its way to %(address)s.") % form.cleaned_data)
    return redirect("desk:issue", pk=pk)


@require_POST
def schedule(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes the text and sets the time."""
    issue = _issue(pk)
    form = ScheduleForm(request.POST)
    if not form.is_valid() or _errors(_findings_of(issue)):
        return _ask_schedule(request, issue, form, status=422)

    def act() -> None:
        if form.wall is not None:
            schedule_by_local_hours(pk, form.wall)
        elif form.moment is not None:
            schedule_issue(pk, form.moment.at, form.moment.zone)

    return _move(request, pk, act, _("Scheduled."), ring=True)


@require_POST
def send(request: HttpRequest, pk: int) -> HttpResponse:
    """Starts the issue at once."""
    issue = _issue(pk)
    if _errors(_findings_of(issue)):
        return _ask(request, issue, "send", status=422)
    return _move(request, pk, lambda: start_issue_now(pk), _("It is starting."), ring=True)


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a start or a schedule back, or says that it is too late."""
    return _move(request, pk, lambda: undo_issue(pk), _("Undone. Nobody has got anything, and it is a draft again."))


@require_POST
def unschedule(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes it a draft again."""
    return _move(request, pk, lambda: unschedule_issue(pk), _("It is a draft again."))


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Stops it where it is."""
    reason = _("Paused by %(name)s") % {"name": request.user.get_username()}
    return _move(request, pk, lambda: pause_issue(pk, reason), _("Paused."))


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """Lets it go on."""
    return _move(request, pk, lambda: resume_issue(pk), _("It goes on."), ring=True)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ends it for good."""
    reason = _("Cancelled by %(name)s") % {"name": request.user.get_username()}
    return _move(request, pk, lambda: cancel_issue(pk, reason), _("Cancelled."))


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Sends again to the failed."""
    form = RetryForm(request.POST)
    with_rejected = form.is_valid() and form.cleaned_data["with_rejected"]

    def act() -> None:
        retry_failed(pk, by=_by(request), with_rejected=with_rejected)

    return _move(request, pk, act, _("It goes again to those who did not get it."), ring=True)


@require_POST
def resend(request: HttpRequest, pk: int) -> HttpResponse:
    """Sends again to the uncertain."""

    def act() -> None:
        resend_uncertain(pk, by=_by(request))

    return _move(request, pk, act, _("It goes again to those of whom it was uncertain."), ring=True)


@require_POST
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Counts the uncertain as submitted."""

    def act() -> None:
        accept_uncertain(pk, by=_by(request))

    return _move(request, pk, act, _("They count as submitted, by your decision."))


def _by(request: HttpRequest) -> str:
    return f"editor:{request.user.pk}"  # a number: names at the desk are addresses, and this stands in the log


def _issue(pk: int) -> Issue:
    return get_object_or_404(Issue.objects.select_related("mailing_list", "segment"), pk=pk)


def _move(request: HttpRequest, pk: int, act: Callable[[], None], done: str, *, ring: bool = False) -> HttpResponse:
    get_object_or_404(Issue.objects.only("pk"), pk=pk)
    try:
        act()
    except (NotAllowed, RenderError) as error:
        messages.error(request, f"{error.what} {error.advice}")
    else:
        messages.success(request, done)
        if ring:
            transaction.on_commit(_ring)
    return redirect("desk:issue", pk=pk)


def _ring() -> None:
    """Rings the doorbell so that a due issue starts now. If nobody hears it, the clock rings again within seconds."""
    try:
        tasks.start_due_issues.delay()
    except OperationalError:
        log.warning("desk.bell_unheard advice=%s", "the clock will start the issue; check REDIS_URL")


def _ask(
    request: HttpRequest, issue: Issue, action: str, *, status: int = 200, form: Form | None = None
) -> HttpResponse:
    found = _findings_of(issue) if action == "send" else []
    context = {
        "issue": issue,
        "act": ACTS[action],
        "act_url": reverse(f"desk:{action}", args=[issue.pk]),
        "lines": consequences(action, issue),
        "form": form,
        "findings": found,
        "is_blocked": bool(_errors(found)),
    }
    return render(request, "desk/ask.html", context, status=status)


def _form_of(request: HttpRequest, action: str) -> Form | None:
    match action:
        case "test":
            return TestMailForm(initial={"address": _own_address(request)})
        case "retry":
            return RetryForm()
        case _:
            return None


def _ask_schedule(request: HttpRequest, issue: Issue, form: ScheduleForm, status: int = 200) -> HttpResponse:
    """First the form; once it holds a good time, that time in words and the button."""
    found = _findings_of(issue)
    is_ready = form.is_bound and form.is_valid() and not _errors(found)
    context = {
        "issue": issue,
        "act": ACTS["schedule"],
        "form": form,
        "moment": form.moment if is_ready else None,
        "wall": form.wall if is_ready else None,
        "instants": preview_instants(issue, form.wall) if is_ready and form.wall else [],
        "lines": consequences("schedule", issue),
        "zones": sorted(available_timezones()),
        "findings": found,
        "is_blocked": bool(_errors(found)),
    }
    return render(request, "desk/schedule.html", context, status=status)


def _findings_of(issue: Issue) -> list[Finding]:
    """What can be said of the saved text and of the mail it would become; a text that cannot become one is one error."""
    return list(look_over(issue).findings)


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "error"]


def _usual_time(issue: Issue) -> dict[str, str]:
    """The time it is scheduled for or its file asked for; otherwise tomorrow morning in the list's zone."""
    zone = editors_zone(issue)
    at = issue.scheduled_at.astimezone(ZoneInfo(zone)) if issue.scheduled_at else None
    if at is None or at <= timezone.now():
        at = timezone.now().astimezone(ZoneInfo(zone)) + timedelta(days=1)
        at = at.replace(hour=_USUAL_HOUR, minute=0)
    if issue.local_time:
        day, _separator, clock = issue.local_time.partition("T")
        return {"day": day, "clock": clock, "zone": zone, "is_local": "on"}
    return {"day": f"{at:%Y-%m-%d}", "clock": f"{at:%H:%M}", "zone": zone}


def _own_address(request: HttpRequest) -> str:
    return request.user.email if isinstance(request.user, User) else ""
