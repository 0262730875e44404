"""What the clock does for the engine: rings for waiting batches, sweeps up after dead workers, closes what is finished."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from newsletter.delivery.accounts import count_outcomes
from newsletter.delivery.doubt import NO_CALL, UNANSWERED, is_in_doubt
from newsletter.delivery.lifecycle import move_issue
from newsletter.delivery.recording import call_uncertain
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)

RING_AHEAD = 16  # bells in the queue an issue: enough for every worker, few enough to be cheap when they ring in vain
_BELL_SECONDS = 60.0  # a bell unheard for so long (Redis emptied, worker killed) is rung again


def batches_to_ring(issue_id: int | None = None) -> list[int]:
    """Marks the next waiting batches as rung and gives their ids: at most RING_AHEAD bells an issue hang in the queue."""
    issues = Issue.objects.filter(status=Issue.Status.SENDING)
    if issue_id is not None:
        issues = issues.filter(pk=issue_id)
    ids: list[int] = []
    heard_before = timezone.now() - timedelta(seconds=_BELL_SECONDS)
    for pk in issues.order_by("sending_at").values_list("pk", flat=True):
        pending = Batch.objects.filter(issue_id=pk, status=Batch.Status.PENDING)
        hanging = pending.filter(rung_at__gte=heard_before).count()
        silent = pending.filter(Q(rung_at__isnull=True) | Q(rung_at__lt=heard_before))
        due = silent.filter(Q(retry_at__isnull=True) | Q(retry_at__lte=Now())).order_by("number")
        next_ids = list(due.values_list("pk", flat=True)[: max(0, RING_AHEAD - hanging)])
        ids += [batch_id for batch_id in next_ids if silent.filter(pk=batch_id).update(rung_at=Now())]
    return ids


def sweep_batches(*, everything: bool = False) -> int:
    """Takes back the batches whose lease is over: what may have been on the wire is called uncertain, the rest waits again.

    `everything` is for a start at which no other worker can exist: no lease is waited for. Says how many were taken back.
    """
    held = Batch.objects.filter(status=Batch.Status.SUBMITTING)
    if everything:
        # Every bell hung in the memory of the process that died: ring for all that waits, not a minute later.
        Batch.objects.filter(status=Batch.Status.PENDING, rung_at__isnull=False).update(rung_at=None)
    else:
        held = held.filter(lease_until__lt=Now())
    swept = sum(_take_back(batch) for batch in held)
    swept_issues = _give_back_preparing(everything=everything)
    if swept or swept_issues:
        log.warning("sweeper.took_back batches=%d issues=%d", swept, swept_issues)
    return swept


def _take_back(batch: Batch) -> bool:
    in_doubt = is_in_doubt(batch)  # the provider knows the call again by its key: whoever claims the batch next asks it
    settled: dict[str, Any] = {} if in_doubt else {"position": F("reserved"), **NO_CALL}
    with transaction.atomic():
        # The fence first: if the worker has written since, the row has changed and nothing here is believed.
        taken = Batch.objects.filter(
            pk=batch.pk,
            status=Batch.Status.SUBMITTING,
            attempts=batch.attempts,
            lease_until=batch.lease_until,
            position=batch.position,
            reserved=batch.reserved,
        ).update(status=Batch.Status.PENDING, attempts=F("attempts") + 1, lease_until=None, rung_at=None, **settled)
        if not taken:
            return False
        uncertain = 0 if in_doubt else call_uncertain(batch, "worker stopped")
    log.warning("batch.swept issue=%d batch=%d uncertain=%d", batch.issue_id, batch.number, uncertain)
    return True


def _give_back_preparing(*, everything: bool) -> int:
    """Issues whose preparing died go back to the clock: the freeze is one transaction, so nothing of it is left."""
    # Ten leases: a freeze of a million takes seconds, and a second one would only wait for the first's lock.
    # (Compared, never equated: SQLite's NOW has milliseconds, Python's times have microseconds.)
    long_ago = timezone.now() - timedelta(seconds=10 * settings.LEASE_SECONDS)
    died = {} if everything else {"claimed_at__lt": long_ago}
    stuck = Issue.objects.filter(status=Issue.Status.PREPARING, **died).values_list("pk", flat=True)
    return sum(
        move_issue(pk, Issue.Status.SCHEDULED, only_from={Issue.Status.PREPARING}, where=died) for pk in list(stuck)
    )


def close_cancelled() -> None:
    """Writes off what a cancelled issue has not sent: its waiting deliveries become skipped."""
    batches = Batch.objects.filter(issue__status=Issue.Status.CANCELLED, status=Batch.Status.PENDING)
    for batch in batches:
        with transaction.atomic():
            closed = Batch.objects.filter(pk=batch.pk, status=Batch.Status.PENDING, attempts=batch.attempts).update(
                status=Batch.Status.CANCELLED, finished_at=Now()
            )
            if closed:
                call_uncertain(batch, UNANSWERED)
                Batch.objects.filter(pk=batch.pk).update(position=F("reserved"), **NO_CALL)
                batch.position = batch.reserved
                rows = Delivery.objects.filter(issue_id=batch.issue_id, batch_number=batch.number)
                waiting = Q(outcome=Outcome.WITH_BATCH, subscriber_id__gt=batch.position) | Q(outcome=Outcome.DEFERRED)
                rows.filter(waiting).update(outcome=Outcome.SKIPPED, reason="cancelled")


def finish_issues() -> list[int]:
    """Moves to sent every issue with no open batch whose accounts balance; gives their ids. Never guesses."""
    close_cancelled()
    open_states = [Batch.Status.PENDING, Batch.Status.SUBMITTING]
    finished = []
    for issue in Issue.objects.filter(status=Issue.Status.SENDING):
        if Batch.objects.filter(issue=issue, status__in=open_states).exists():
            continue
        counts = count_outcomes(issue.pk)
        if counts.waiting or counts.total != issue.candidates_count:
            log.error("issue.accounts_open issue=%d waiting=%d total=%d", issue.pk, counts.waiting, counts.total)
            continue
        if move_issue(issue.pk, Issue.Status.SENT, finished_at=Now(), status_reason=""):
            finished.append(issue.pk)
    return finished
