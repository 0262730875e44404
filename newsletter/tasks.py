"""The conductor: every Celery task of Sosik. Each claims, calls a station, and rings the next bell.

The queue is only a doorbell: a task may run twice, come late, or not at all, and the clock rings again. Who reads this file has
read the system.
"""

from __future__ import annotations

import logging
import smtplib
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from newsletter.delivery import halting, lifecycle, preparing, recovery, sender, staging, standstill, transactional
from newsletter.tracking import fold, retention
from subscribers.signup import confirmations_due

log = logging.getLogger(__name__)

_RESEND_LIMIT = 200  # confirmations a minute at most: a broken mail server must not make a flood when it is back
_RESEND_HOURS = 24
_COUNTDOWN_SECONDS = 60  # no task waits longer in the queue: the clock reads the database
_LATER_SECONDS = 0.1  # than the row's own time, so that the bell does not ring before it


@shared_task
def start_due_issues() -> None:
    """The clock: every issue whose time has come is prepared."""
    for issue_id in lifecycle.due_issue_ids():
        prepare_issue.delay(issue_id)


@shared_task
def prepare_issue(issue_id: int) -> None:
    """Freezes the audience, cuts the batches, opens the sending."""
    if preparing.prepare_issue(issue_id):
        _ring(issue_id)


@shared_task
def ring_batches() -> None:
    """The clock: batches that wait and have not been rung for lately."""
    _ring()


@shared_task
def send_batch(batch_id: int) -> None:
    """Submits one batch, then rings for the next, or for the end; one that has to wait is rung for when its turn has come."""
    result = sender.send_batch(batch_id)
    if result is None:
        return
    if result.wait_seconds is None:
        _ring(result.issue_id)
    elif result.wait_seconds < _COUNTDOWN_SECONDS:
        ring_batches.apply_async(countdown=result.wait_seconds + _LATER_SECONDS)
    finish_issues.delay()


@shared_task
def sweep_batches() -> None:
    """The clock: what a dead worker held is taken back."""
    if recovery.sweep_batches():
        _ring()


@shared_task
def finish_issues() -> None:
    """The clock, and the last batch: issues whose accounts balance are sent."""
    recovery.finish_issues()


@shared_task
def watch_progress() -> None:
    """The clock: an issue that does not move is noticed, and a person is told."""
    standstill.watch_progress()
    standstill.tell_of_stalls()


@shared_task
def halt_issues() -> None:
    """The clock: issues that bounce, annoy or fail too much are paused."""
    halting.halt_issues()


@shared_task
def release_stages() -> None:
    """The clock: the next stage of an issue whose sample has come back in order."""
    for issue_id in staging.release_due_stages():
        _ring(issue_id)


@shared_task
def fold_engagement() -> None:
    """The clock: opens, clicks and deliveries become columns and counters."""
    while fold.fold_engagement() == fold.CHUNK_SIZE:
        pass


@shared_task(autoretry_for=(OSError, smtplib.SMTPException), retry_backoff=10, max_retries=3)
def send_confirmation(subscription_id: int) -> None:
    """Asks a mailbox's owner to confirm: its own queue, never behind an issue."""
    transactional.send_confirmation_mail(subscription_id)


@shared_task
def resend_confirmations() -> None:
    """The clock: confirmations whose bell was lost, or whose server was down."""
    now = timezone.now()
    due = confirmations_due(now - timedelta(minutes=2)).filter(requested_at__gt=now - timedelta(hours=_RESEND_HOURS))
    for subscription_id in due.values_list("pk", flat=True)[:_RESEND_LIMIT]:
        send_confirmation.delay(subscription_id)


@shared_task(autoretry_for=(OSError, smtplib.SMTPException), retry_backoff=5, max_retries=2)
def send_test(issue_id: int, address: str) -> None:
    """Sends an editor's test mail."""
    transactional.send_test(issue_id, address)


@shared_task
def prune() -> None:
    """The night: old rows go, counters stay."""
    retention.prune()


def _ring(issue_id: int | None = None) -> None:
    for batch_id in recovery.batches_to_ring(issue_id):
        send_batch.delay(batch_id)
