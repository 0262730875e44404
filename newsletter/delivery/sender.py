"""One batch: choose_provider, claim, submit, release. Nothing is written to a server that the database does not already know may
be on the wire.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db.models import F
from django.db.models.functions import Now

from newsletter.delivery.claims import Claim, LeaseLostError, claim_batch, from_now, write_batch
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import Ended
from newsletter.delivery.lifecycle import move_issue
from newsletter.delivery.merging import submit_merged
from newsletter.delivery.providers import choose_provider
from newsletter.delivery.stopping import must_stop
from newsletter.delivery.streaming import submit_deferred, submit_waiting
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)

_DEFERRALS_LIMIT = 8  # with doubling pauses from a minute up to an hour: about four hours of trying
_RETRY_FIRST_SECONDS, _RETRY_MOST_SECONDS = 15, 3600


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a claim on a batch ended; `finished` says that nothing of it is waiting any more."""

    issue_id: int
    finished: bool


def send_batch(batch_id: int) -> BatchResult | None:
    """Submits what is still to go of one batch; None when it was not this worker's to take. Safe to run twice."""
    batch = Batch.objects.filter(pk=batch_id).first()
    provider = choose_provider(batch) if batch else None
    claim = claim_batch(batch_id, provider.name) if provider else None
    if claim is None or provider is None:
        return None
    issue = Issue.objects.select_related("mailing_list").get(pk=claim.issue_id)
    try:
        ended = _submit(claim, issue, provider)
        return _release(claim, ended)
    except LeaseLostError:
        log.warning("batch.lease_lost issue=%d batch=%d", claim.issue_id, claim.number)
        return None


def _submit(claim: Claim, issue: Issue, provider: ProviderSettings) -> Ended:
    if provider.kind == "api":
        return submit_merged(claim, issue, provider)
    error = submit_waiting(claim, issue, provider)
    if not error and not must_stop(claim.issue_id):
        error = submit_deferred(claim, issue, provider)
    return Ended(error)


def _release(claim: Claim, ended: Ended) -> BatchResult:
    """Hands the batch back: submitted when nothing of it waits, else pending with the time of the next attempt."""
    rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number)
    batch = Batch.objects.get(pk=claim.batch_id)
    waiting = rows.filter(outcome=Outcome.WITH_BATCH, subscriber_id__gt=batch.position).exists()
    deferred = rows.filter(outcome=Outcome.DEFERRED)
    if deferred.exists() and batch.errors_count >= _DEFERRALS_LIMIT and not waiting:
        deferred.update(outcome=Outcome.FAILED)  # the reason on the row is the server's last word
    is_deferred = deferred.exists()
    if not waiting and not is_deferred:
        write_batch(claim, status=Batch.Status.SUBMITTED, lease_until=None, error="", finished_at=Now())
        log.info(
            "batch.submitted issue=%d batch=%d recipients=%d", claim.issue_id, claim.number, batch.recipients_count
        )
        return BatchResult(claim.issue_id, finished=True)
    fields: dict[str, object] = {"status": Batch.Status.PENDING, "lease_until": None, "rung_at": None}
    if ended.stop_reason:
        # The issue first: a batch that waits again in a running issue would be rung for and tried at once.
        move_issue(claim.issue_id, Issue.Status.PAUSED, status_reason=ended.stop_reason[:300])
        fields["error"] = ended.error[:500]
        log.error("batch.refused issue=%d batch=%d reason=%s", claim.issue_id, claim.number, ended.error)
    elif ended.error or is_deferred:
        pause = min(_RETRY_FIRST_SECONDS * 2**batch.errors_count, _RETRY_MOST_SECONDS)
        if ended.pause_seconds is not None:
            pause = ended.pause_seconds
        fields |= {
            "errors_count": F("errors_count") + 1,
            "error": ended.error[:500],
            "retry_at": from_now(pause),
            "rung_at": None,
        }
        log.warning(
            "batch.postponed issue=%d batch=%d seconds=%d reason=%s", claim.issue_id, claim.number, pause, ended.error
        )
    write_batch(claim, **fields)
    return BatchResult(claim.issue_id, finished=False)
