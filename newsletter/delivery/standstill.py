"""Issues that are being sent and do not move: noticed, with the reason, and told to a person once.

Progress is what the batches say: how many are done, and how far the others have come. Waiting that is meant is no standstill: a batch
whose readers' hour has not come, or that receiving servers have put off until later.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from newsletter.delivery import breaker
from newsletter.delivery.claims import from_now
from newsletter.delivery.transactional import send_alert
from newsletter.delivery.turns import HELD
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 120  # two lives of a bell: longer than any healthy system leaves a batch untouched
_OPEN = [Batch.Status.PENDING, Batch.Status.SUBMITTING]


def watch_progress() -> list[int]:
    """Notes which issues have moved since the last look, and gives those that now count as stalled. Safe to run twice and at once."""
    stalled = []
    for issue in Issue.objects.filter(status=Issue.Status.SENDING).only("pk", "progress_mark", "stalled_at"):
        mark = _read_mark(issue.pk)
        if mark != issue.progress_mark or _waits_on_purpose(issue.pk):
            _note_progress(issue, mark)
        elif _note_stall(issue, mark):
            stalled.append(issue.pk)
    return stalled


def tell_of_stalls() -> int:
    """Mails ALERT_EMAIL about each stalled issue, once a stall; says how many mails left. A server that is down is asked again later."""
    if not settings.ALERT_EMAIL:
        return 0
    untold = Issue.objects.filter(status=Issue.Status.SENDING, stalled_at__isnull=False, stall_told_at__isnull=True)
    told = 0
    for issue_id in list(untold.values_list("pk", flat=True)):
        if untold.filter(pk=issue_id).update(stall_told_at=Now()):
            told += _tell(issue_id)
    return told


def find_obstacles(issue: Issue, now: datetime) -> Iterator[str]:
    """Sentences: what keeps an issue that is being sent from moving, and what to look at."""
    batches = Batch.objects.filter(issue=issue)
    pending = batches.filter(status=Batch.Status.PENDING)
    submitting = batches.filter(status=Batch.Status.SUBMITTING)
    if issue.stalled_at is not None:
        minutes = max(1, round((now - (issue.progressed_at or issue.stalled_at)).total_seconds() / 60))
        text = ngettext("No progress for %(count)d minute.", "No progress for %(count)d minutes.", minutes)
        yield text % {"count": minutes}
    yield from _tell_waiting(pending, now)
    yield from _tell_gone_providers(pending)
    yield from _tell_doubts(pending)
    silent_since = now - timedelta(seconds=_SILENCE_SECONDS)
    if submitting.filter(lease_until__lt=silent_since).exists():
        yield _("A worker died in the middle of a batch and nobody has swept it. Is the clock running?")
    is_moving = (
        submitting.filter(lease_until__gte=now).exists() or batches.filter(finished_at__gt=silent_since).exists()
    )
    if is_moving or issue.updated_at > silent_since:
        return
    due = pending.filter(stage__lte=issue.stage).exclude(retry_at__gt=now).exclude(due_at__gt=now)
    if due.filter(rung_at__gt=silent_since).exists():
        yield _("Its batches are rung for and nobody takes them. Is a worker for “issues” running?")
    elif due.exists():
        yield _("Nobody rings for its batches. Is the clock running?")
    elif not pending.exists() and not submitting.exists():
        yield _("Every batch is done, yet nobody has closed the issue. Is the clock running?")


def _tell_waiting(pending: QuerySet[Batch], now: datetime) -> Iterator[str]:
    later = pending.filter(due_at__gt=now)
    people = later.aggregate(people=Sum("recipients_count"))["people"]
    if people:
        next_at = later.order_by("due_at").values_list("due_at", flat=True).first()
        yield ngettext(
            "%(people)s person waits for their local hour; the next mail leaves at %(time)s UTC.",
            "%(people)s people wait for their local hour; the next mails leave at %(time)s UTC.",
            people,
        ) % {"people": f"{people:,}", "time": f"{next_at:%Y-%m-%d %H:%M}"}
    postponed = pending.filter(retry_at__gt=now)
    count = postponed.count()
    if count:
        yield ngettext(
            "%(count)d batch waits for its next attempt.", "%(count)d batches wait for their next attempt.", count
        ) % {"count": count}
    error = pending.exclude(error="").order_by("-errors_count").values_list("error", flat=True).first()
    if error:
        yield _("The last error: %(error)s") % {"error": error}


def _tell_gone_providers(pending: QuerySet[Batch]) -> Iterator[str]:
    known = [provider.name for provider in settings.PROVIDERS]
    gone = pending.exclude(provider__in=["", *known]).order_by().values_list("provider").annotate(count=Count("*"))
    for name, count in gone:
        yield ngettext(
            "%(count)d batch belongs to %(name)s, which EMAIL_URL no longer names. Name it again, and it goes on.",
            "%(count)d batches belong to %(name)s, which EMAIL_URL no longer names. Name it again, and they go on.",
            count,
        ) % {"count": count, "name": name}


def _tell_doubts(pending: QuerySet[Batch]) -> Iterator[str]:
    count = pending.exclude(call_key="").filter(position__lt=F("reserved")).count()
    if count:
        yield ngettext(
            "%(count)d batch is in doubt: its provider did not answer, and is asked again by the call's key.",
            "%(count)d batches are in doubt: their provider did not answer, and is asked again by each call's key.",
            count,
        ) % {"count": count}


def _read_mark(issue_id: int) -> str:
    sums = Batch.objects.filter(issue_id=issue_id).aggregate(
        done=Count("pk", filter=~Q(status__in=_OPEN)), positions=Sum("position")
    )
    return f"{sums['done']}/{sums['positions'] or 0}"


def _waits_on_purpose(issue_id: int) -> bool:
    """Whether every open batch waits for something that is meant to take its time."""
    open_batches = Batch.objects.filter(issue_id=issue_id, status__in=_OPEN)
    is_pending = Q(status=Batch.Status.PENDING)
    before_its_hour = is_pending & Q(due_at__gt=Now())
    before_its_stage = is_pending & Q(stage__gt=F("issue__stage"))
    # No error of its own: servers have put single readers off, or a limit of ours says when to go on.
    put_off = is_pending & Q(retry_at__gt=Now(), error="")
    if not breaker.is_troubled():
        put_off |= is_pending & Q(retry_at__gt=Now(), errors_count=0)  # a pace, or a day's worth
    # The second pass, through those who were put off, settles them all at its end: until then its lease is the sign of life.
    second_pass = Q(status=Batch.Status.SUBMITTING, lease_until__gt=Now(), error="") & (
        Q(errors_count__gt=0) | Exists(_held())
    )
    on_purpose = before_its_hour | before_its_stage | put_off | second_pass
    return open_batches.exists() and not open_batches.exclude(on_purpose).exists()


def _held() -> QuerySet[Delivery]:
    of_batch = Delivery.objects.filter(issue_id=OuterRef("issue_id"), batch_number=OuterRef("number"))
    return of_batch.filter(outcome=Outcome.DEFERRED, reason__startswith=HELD)


def _note_progress(issue: Issue, mark: str) -> None:
    moved = {"progress_mark": mark, "progressed_at": Now(), "stalled_at": None, "stall_told_at": None}
    changed = Issue.objects.filter(pk=issue.pk, status=Issue.Status.SENDING).update(**moved)
    if changed and issue.stalled_at is not None:
        log.info("issue.moves_again issue=%d", issue.pk)


def _note_stall(issue: Issue, mark: str) -> bool:
    silent = Q(progressed_at__lt=from_now(-settings.STALL_SECONDS))
    same = Issue.objects.filter(silent, pk=issue.pk, status=Issue.Status.SENDING, progress_mark=mark)
    if not same.filter(stalled_at__isnull=True).update(stalled_at=Now()):
        return False
    log.error("issue.stalled issue=%d seconds=%d reason=%s", issue.pk, settings.STALL_SECONDS, _reason(issue.pk))
    return True


def _reason(issue_id: int) -> str:
    with translation.override("en"):
        found = list(find_obstacles(Issue.objects.get(pk=issue_id), timezone.now()))
    return " ".join(found[1:]) or "unknown"  # the first says only that it has stalled


def _tell(issue_id: int) -> bool:
    issue = Issue.objects.select_related("mailing_list").get(pk=issue_id)
    with translation.override(settings.LANGUAGE_CODE):
        lines = list(find_obstacles(issue, timezone.now()))
        try:
            send_alert(issue, lines)
        except (OSError, smtplib.SMTPException) as error:
            log.warning("alert.unsent issue=%d error=%s", issue_id, type(error).__name__)
            Issue.objects.filter(pk=issue_id).update(stall_told_at=None)
            return False
    return True
