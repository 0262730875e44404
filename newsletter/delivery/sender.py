"""One batch: choose_provider, claim, submit, release. Nothing is written to a server that the database does not already know may
be on the wire.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from newsletter.delivery import witness
from newsletter.delivery.breaker import Wait
from newsletter.delivery.claims import Claim, LeaseLostError, claim_batch, from_now, renew_lease, write_batch
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import Ended
from newsletter.delivery.halting import count_troubles
from newsletter.delivery.lifecycle import move_issue
from newsletter.delivery.merging import submit_merged
from newsletter.delivery.merging_held import submit_merged_held
from newsletter.delivery.pacing import Gate
from newsletter.delivery.providers import choose_provider
from newsletter.delivery.streaming import submit_deferred, submit_waiting
from newsletter.delivery.turns import Turns, held_of
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)

_DEFERRALS_LIMIT = 8  # with doubling pauses from a minute up to an hour: about four hours of trying
_RETRY_FIRST_SECONDS, _RETRY_MOST_SECONDS = 15, 3600
_WAIT_LEAST_SECONDS = 0.5  # a turn that is nearer than that is not worth another claim


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a claim on a batch ended; `finished` says that nothing of it is waiting any more."""

    issue_id: int
    finished: bool
    wait_seconds: float | None = None  # until the pace or the provider lets it go on


def send_batch(batch_id: int) -> BatchResult | None:
    """Submits what is still to go of one batch; None when it was not this worker's to take. Safe to run twice."""
    batch = Batch.objects.filter(pk=batch_id).first()
    provider = choose_provider(batch) if batch else None
    claim = claim_batch(batch_id, provider.name) if provider else None
    if batch is None or provider is None or claim is None:
        return None
    issue = Issue.objects.select_related("mailing_list").get(pk=claim.issue_id)
    if witness.has_been_claimed(issue, claim.number, claim.fence):
        return _hold_for_a_person(claim)
    gate = Gate(provider.name)
    try:
        turns = Turns(claim, gate)
        ended = _submit(claim, issue, provider, gate, turns) if not gate.is_shut else Ended()
        wait = gate.wait or gate.tomorrow or turns.wait
        return _release(claim, ended, wait, is_new=not batch.provider and not gate.has_granted)
    except LeaseLostError:
        log.warning("batch.lease_lost issue=%d batch=%d", claim.issue_id, claim.number)
        return None
    finally:
        gate.leave()


def _hold_for_a_person(claim: Claim) -> BatchResult:
    """This claim was made before, so the database is older than what was sent: nothing more leaves until a person has looked."""
    reason = _(
        "The database is older than what was sent: was it restored from a backup? "
        "Some have got this issue though they count as waiting. Resume it to send to them all the same, or cancel it."
    )
    move_issue(claim.issue_id, Issue.Status.PAUSED, status_reason=reason[:300])
    write_batch(claim, status=Batch.Status.PENDING, lease_until=None, rung_at=None)
    log.error("issue.restored issue=%d batch=%d", claim.issue_id, claim.number)
    return BatchResult(claim.issue_id, finished=False)


def _submit(claim: Claim, issue: Issue, provider: ProviderSettings, gate: Gate, turns: Turns) -> Ended:
    """First pass, then whose turn it is."""
    if provider.kind == "api":
        ended = submit_merged(claim, issue, provider, gate)
        while not ended.error and (ids := turns.next()):
            ended = submit_merged_held(claim, issue, provider, gate, ids)
        return ended
    error = submit_waiting(claim, issue, provider, gate)
    while not error and (ids := turns.next()):
        error = submit_deferred(claim, issue, provider, gate, ids)
    return Ended(error)


def _release(claim: Claim, ended: Ended, wait: Wait | None, *, is_new: bool) -> BatchResult:
    """Hands the batch back: submitted when nothing of it waits, else pending with the time of the next attempt."""
    rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number)
    batch = Batch.objects.get(pk=claim.batch_id)
    waiting = rows.filter(outcome=Outcome.WITH_BATCH, subscriber_id__gt=batch.position).exists()
    deferred = rows.filter(outcome=Outcome.DEFERRED)
    is_deferred = deferred.exists()
    is_held = is_deferred and held_of(claim).exists()
    if is_deferred and batch.errors_count >= _DEFERRALS_LIMIT and not waiting and not is_held and not wait:
        with transaction.atomic():
            renew_lease(claim)
            deferred.update(outcome=Outcome.FAILED)  # the reason on the row is the server's last word
    is_deferred = deferred.exists()
    if not waiting and not is_deferred:
        write_batch(
            claim,
            status=Batch.Status.SUBMITTED,
            lease_until=None,
            error="",
            finished_at=Now(),
            **count_troubles(claim),
        )
        log.info(
            "batch.submitted issue=%d batch=%d recipients=%d", claim.issue_id, claim.number, batch.recipients_count
        )
        return BatchResult(claim.issue_id, finished=True)
    fields, seconds = _put_off(batch, ended, wait, has_late=is_deferred and not is_held)
    if (
        is_new and wait is not None and not ended.error
    ):  # nothing of it has been given to this provider: another may have it
        fields["provider"] = ""
    write_batch(claim, status=Batch.Status.PENDING, lease_until=None, rung_at=None, **count_troubles(claim), **fields)
    return BatchResult(claim.issue_id, finished=False, wait_seconds=seconds)


def _put_off(batch: Batch, ended: Ended, wait: Wait | None, *, has_late: bool) -> tuple[dict[str, Any], float | None]:
    """(the batch's columns while it waits, seconds until its bell where they are known)."""
    if ended.stop_reason:
        # The issue first: a batch that waits again in a running issue would be rung for and tried at once.
        move_issue(batch.issue_id, Issue.Status.PAUSED, status_reason=ended.stop_reason[:300])
        log.error("batch.refused issue=%d batch=%d reason=%s", batch.issue_id, batch.number, ended.error)
        return {"error": ended.error[:500]}, None
    if wait is not None and not ended.error:  # nobody's fault: no error is counted
        retry_at = from_now(max(wait.seconds, _WAIT_LEAST_SECONDS))
        return {"error": wait.reason[:500], "retry_at": retry_at}, wait.seconds
    if not ended.error and not has_late:
        return {}, None
    pause = ended.pause_seconds
    if pause is None:
        pause = min(_RETRY_FIRST_SECONDS * 2**batch.errors_count, _RETRY_MOST_SECONDS)
    log.warning(
        "batch.postponed issue=%d batch=%d seconds=%d reason=%s", batch.issue_id, batch.number, pause, ended.error
    )
    fields = {"errors_count": F("errors_count") + 1, "error": ended.error[:500], "retry_at": from_now(pause)}
    return fields, ended.pause_seconds
