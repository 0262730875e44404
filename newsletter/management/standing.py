"""Where an issue stands and why it does not move: for `manage.py issue status`, as a page of text or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from wcwidth import wcswidth

from newsletter.desk.watching import say_reason
from newsletter.models import Batch, Issue, Outcome
from newsletter.tracking.stats import BalanceSheet, Undelivered, balance_sheet, not_delivered, reasons

Status = Issue.Status

SHOWN_UNCERTAIN = 1000  # more than one killed worker leaves at SMTP_WINDOW's upper bound
_SHOWN_BATCHES = 20
_SILENCE_SECONDS = 120  # two lives of a bell: longer than any healthy system leaves a batch untouched
_PARTS = ("submitted", "skipped", "rejected", "failed", "uncertain", "waiting")
_ECHOES = ("delivered", "hard_bounces", "soft_bounces", "complaints", "unsubscribes", "opens", "clicks")
_MACHINES = ("machine_opens", "machine_clicks", "raw_opens", "raw_clicks")
_LABELS = {
    "audience": gettext_lazy("audience"),
    "submitted": gettext_lazy("submitted"),
    "skipped": gettext_lazy("skipped"),
    "rejected": gettext_lazy("rejected"),
    "failed": gettext_lazy("failed"),
    "uncertain": gettext_lazy("uncertain"),
    "waiting": gettext_lazy("waiting"),
    "delivered": gettext_lazy("delivered"),
    "hard_bounces": gettext_lazy("hard bounces"),
    "soft_bounces": gettext_lazy("soft bounces"),
    "complaints": gettext_lazy("complaints"),
    "unsubscribes": gettext_lazy("unsubscribes"),
    "opens": gettext_lazy("opens"),
    "clicks": gettext_lazy("clicks"),
    "machine_opens": gettext_lazy("machine opens"),
    "machine_clicks": gettext_lazy("machine clicks"),
    "raw_opens": gettext_lazy("raw opens"),
    "raw_clicks": gettext_lazy("raw clicks"),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """An issue's accounts at one moment. `obstacles` are sentences: what stands in its way and what to do."""

    issue: Issue
    sheet: BalanceSheet
    reasons: list[tuple[Outcome, str, int]]
    uncertain: list[Undelivered]
    open_batches: list[Batch]
    open_batches_count: int
    obstacles: list[str]


def read_standing(issue: Issue) -> Standing:
    """Everything there is to say about an issue that is on its way, or was."""
    is_open = [Batch.Status.PENDING, Batch.Status.SUBMITTING]
    batches = Batch.objects.filter(issue=issue, status__in=is_open).order_by("-errors_count", "number")
    shown = list(batches[:_SHOWN_BATCHES])
    return Standing(
        issue=issue,
        sheet=balance_sheet(issue),
        reasons=reasons(issue),
        uncertain=not_delivered(issue, SHOWN_UNCERTAIN, Outcome.UNCERTAIN),
        open_batches=shown,
        open_batches_count=batches.count(),
        obstacles=list(_find_obstacles(issue, timezone.now())),
    )


def _find_obstacles(issue: Issue, now: datetime) -> Iterator[str]:
    silence = timedelta(seconds=_SILENCE_SECONDS)
    match issue.status:
        case Status.DRAFT:
            yield _("It is a draft. Schedule it, or send it now.")
        case Status.SCHEDULED if issue.scheduled_at and now - issue.scheduled_at > silence:
            yield _("Its time has come and nobody has started it. Are the clock and a worker for “issues” running?")
        case Status.SCHEDULED if issue.scheduled_at:
            yield _("It waits for its time: %(time)s.") % {"time": show_time(issue.scheduled_at, issue)}
        case Status.PREPARING if issue.claimed_at and now - issue.claimed_at > silence:
            yield _("A worker began to freeze its audience and has not finished. If it died, the clock starts it anew.")
        case Status.PAUSED:
            reason = f" ({issue.status_reason})" if issue.status_reason else ""
            yield _("It is paused%(reason)s. Resume it, or cancel it.") % {"reason": reason}
        case Status.FAILED:
            yield _("It failed: %(reason)s") % {"reason": issue.status_reason or _("no reason was recorded.")}
        case Status.CANCELLED if issue.status_reason:
            yield _("It was cancelled: %(reason)s") % {"reason": issue.status_reason}
        case Status.SENDING:
            yield from _find_batch_obstacles(issue, now)


def _find_batch_obstacles(issue: Issue, now: datetime) -> Iterator[str]:
    batches = Batch.objects.filter(issue=issue)
    pending = batches.filter(status=Batch.Status.PENDING)
    submitting = batches.filter(status=Batch.Status.SUBMITTING)
    postponed = pending.filter(retry_at__gt=now).count()
    if postponed:
        yield ngettext(
            "%(count)d batch waits for its next attempt: see its error below.",
            "%(count)d batches wait for their next attempt: see their errors below.",
            postponed,
        ) % {"count": postponed}
    known = [provider.name for provider in settings.PROVIDERS]
    gone = pending.exclude(provider__in=["", *known]).order_by().values_list("provider").annotate(count=Count("*"))
    for name, count in gone:
        yield ngettext(
            "%(count)d batch belongs to %(name)s, which EMAIL_URL no longer names. Name it again, and it goes on.",
            "%(count)d batches belong to %(name)s, which EMAIL_URL no longer names. Name it again, and they go on.",
            count,
        ) % {"count": count, "name": name}
    silent_since = now - timedelta(seconds=_SILENCE_SECONDS)
    if submitting.filter(lease_until__lt=silent_since).exists():
        yield _("A worker died in the middle of a batch and nobody has swept it. Is the clock running?")
    is_moving = (
        submitting.filter(lease_until__gte=now).exists() or batches.filter(finished_at__gt=silent_since).exists()
    )
    if is_moving or issue.updated_at > silent_since:
        return
    due = pending.exclude(retry_at__gt=now)
    if due.filter(rung_at__gt=silent_since).exists():
        yield _("Its batches are rung for and nobody takes them. Is a worker for “issues” running?")
    elif due.exists():
        yield _("Nobody rings for its batches. Is the clock running?")
    elif not pending.exists() and not submitting.exists():
        yield _("Every batch is done, yet nobody has closed the issue. Is the clock running?")


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


def as_json(standing: Standing) -> dict[str, Any]:
    """The same for machines; times are ISO 8601 in UTC."""
    issue = standing.issue
    return {
        "slug": issue.slug,
        "list": issue.mailing_list.slug,
        "subject": issue.subject,
        "status": issue.status,
        "status_reason": issue.status_reason,
        **{name: _iso(getattr(issue, name)) for name in ("scheduled_at", "sending_at", "finished_at", "pruned_at")},
        "accounts": asdict(standing.sheet),
        "reasons": [
            {"outcome": outcome.name.lower(), "reason": reason, "count": count}
            for outcome, reason, count in standing.reasons
        ],
        "uncertain": [
            {"subscriber": person.subscriber_id, "address": person.address, "reason": person.reason}
            for person in standing.uncertain
        ],
        "open_batches_count": standing.open_batches_count,
        "open_batches": [
            {
                "number": batch.number,
                "provider": batch.provider,
                "status": batch.status,
                "recipients": batch.recipients_count,
                "attempts": batch.attempts,
                "error": batch.error,
                "retry_at": _iso(batch.retry_at),
            }
            for batch in standing.open_batches
        ],
        "obstacles": standing.obstacles,
    }


def as_text(standing: Standing) -> str:
    """A page for a terminal."""
    return "\n".join(
        [
            *_head(standing.issue),
            *standing.obstacles,
            *_accounts(standing.sheet),
            *_reasons(standing),
            *_uncertain(standing),
            *_batches(standing),
        ]
    )


def _head(issue: Issue) -> Iterator[str]:
    yield f"{issue.slug}  [{issue.mailing_list.slug}]  {issue.get_status_display()}"
    yield issue.subject
    for label, at in (
        (_("Scheduled"), issue.scheduled_at),
        (_("Sending since"), issue.sending_at),
        (_("Finished"), issue.finished_at),
    ):
        if at:
            yield f"{label}: {show_time(at, issue)}"


def _accounts(sheet: BalanceSheet) -> Iterator[str]:
    if not sheet.audience and sheet.adds_up:
        yield _("Its audience is not frozen yet.")
        return
    yield ""
    yield _figure("audience", sheet)
    yield from (_figure(name, sheet, indent="  ") for name in _PARTS)
    if sheet.adds_up:
        yield _("The six add up to the audience.")
    else:
        yield _("THE SIX DO NOT ADD UP TO THE AUDIENCE. Nothing more is guessed; keep the log and report this.")
    yield ""
    yield from (_figure(name, sheet) for name in _ECHOES)
    yield "(" + ", ".join(f"{_LABELS[name]} {getattr(sheet, name):,}" for name in _MACHINES) + ")"


def _figure(name: str, sheet: BalanceSheet, indent: str = "") -> str:
    label = indent + str(_LABELS[name])
    # Korean letters are two columns wide.
    return label + " " * max(1, 18 - wcswidth(label)) + f"{getattr(sheet, name):>10,}"


def _reasons(standing: Standing) -> Iterator[str]:
    if standing.reasons:
        yield ""
        yield _("Who did not get it, by reason:")
    for outcome, reason, count in standing.reasons:
        yield f"  {count:>8,}  {outcome.label}: {say_reason(reason) or '-'}"


def _uncertain(standing: Standing) -> Iterator[str]:
    if not standing.uncertain:
        return
    yield ""
    yield _("Uncertain: the mail may have left. Nobody sends it again unasked; a provider's webhook settles it.")
    for person in standing.uncertain:
        address = person.address or _("(erased)")  # xgettext does not look into f-strings
        yield f"  {person.subscriber_id:>8}  {address}  {say_reason(person.reason)}"


def _batches(standing: Standing) -> Iterator[str]:
    if not standing.open_batches:
        return
    yield ""
    yield _("Open batches (%(shown)d of %(count)d):") % {
        "shown": len(standing.open_batches),
        "count": standing.open_batches_count,
    }
    for batch in standing.open_batches:
        line = _("%(number)d: %(status)s, %(recipients)d recipients, attempt %(attempts)d") % {
            "number": batch.number,
            "status": batch.get_status_display(),
            "recipients": batch.recipients_count,
            "attempts": batch.attempts,
        }
        if batch.retry_at:
            line += ", " + _("next at %(time)s") % {"time": show_time(batch.retry_at, standing.issue)}
        yield f"  {line}{': ' + batch.error if batch.error else ''}"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
