"""One batch: claim, load_recipients, drop_unreachable, submit, record. Nothing is written to a server that the database does not
already know may be on the wire.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from newsletter.delivery.claims import Claim, LeaseLostError, claim_batch, from_now, renew_lease, write_batch
from newsletter.delivery.compose import Recipient
from newsletter.delivery.smtp import Fate
from newsletter.delivery.smtp_pool import start_connections
from newsletter.delivery.window import Window
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.addresses import wire_address
from subscribers.audience import ERASED, unreachable_reasons
from subscribers.models import MailingList, Subscriber

log = logging.getLogger(__name__)

_GLANCE_SECONDS = 0.5  # how often a running batch looks whether its issue has been paused or cancelled
_DEFERRALS_LIMIT = 8  # with doubling pauses from a minute up to an hour: about four hours of trying
_RETRY_FIRST_SECONDS, _RETRY_MOST_SECONDS = 15, 3600

_OUTCOMES = {
    Fate.ACCEPTED: Outcome.SUBMITTED,
    Fate.DEFERRED: Outcome.DEFERRED,
    Fate.REFUSED: Outcome.REJECTED,
    Fate.FAILED: Outcome.FAILED,
    Fate.UNCERTAIN: Outcome.UNCERTAIN,
}

_CHECKPOINT_SECONDS = (
    0.05  # aimed at between two checkpoints: a slow server gets a small window, so a kill leaves few uncertain
)

_stopping = threading.Event()


def request_stop() -> None:
    """Lets every running batch of this process stop at its next checkpoint; it goes on where it stopped later."""
    _stopping.set()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How a claim on a batch ended; `finished` says that nothing of it is waiting any more."""

    issue_id: int
    finished: bool


def send_batch(batch_id: int) -> BatchResult | None:
    """Submits what is still to go of one batch; None when it was not this worker's to take. Safe to run twice."""
    claim = claim_batch(batch_id)
    if claim is None:
        return None
    issue = Issue.objects.select_related("mailing_list").get(pk=claim.issue_id)
    try:
        error = _submit_waiting(claim, issue)
        if not error and not _must_stop(claim.issue_id):
            error = _submit_deferred(claim, issue)
        return _release(claim, error)
    except LeaseLostError:
        log.warning("batch.lease_lost issue=%d batch=%d", claim.issue_id, claim.number)
        return None


def load_recipients(subscriber_ids: Iterable[int], mailing_list: MailingList) -> list[Recipient]:
    """The people behind the ids, in that order of ids, with the merge fields the list declares."""
    fields = mailing_list.merge_fields
    # Plain tuples: a model instance a reader costs more than composing his mail.
    people = Subscriber.objects.filter(pk__in=list(subscriber_ids)).order_by("pk")
    columns = ("pk", "email", "name", "attributes") if fields else ("pk", "email", "name")
    return [
        Recipient(
            subscriber_id,
            wire_address(email),
            {**{field: str(attributes[0].get(field) or "") for field in fields}, "name": name, "email": email},
        )
        for subscriber_id, email, name, *attributes in people.values_list(*columns)
    ]


def drop_unreachable(claim: Claim, subscriber_ids: list[int], mailing_list: MailingList) -> list[int]:
    """Asks once more whom we may write to; whoever has left since the freeze is recorded as skipped, with the reason."""
    reasons = unreachable_reasons(subscriber_ids, mailing_list)
    by_reason: dict[str, list[int]] = {}
    for subscriber_id, reason in reasons.items():
        by_reason.setdefault(reason, []).append(subscriber_id)
    for reason, ids in by_reason.items():
        _deliveries(claim, ids).update(outcome=Outcome.SKIPPED, reason=reason)
    return [subscriber_id for subscriber_id in subscriber_ids if subscriber_id not in reasons]


def _load_reachable(claim: Claim, subscriber_ids: list[int], mailing_list: MailingList) -> list[Recipient]:
    reachable = drop_unreachable(claim, subscriber_ids, mailing_list)
    recipients = load_recipients(reachable, mailing_list)
    if len(recipients) < len(reachable):  # erased between the two queries: must not count as submitted
        gone = set(reachable) - {recipient.subscriber_id for recipient in recipients}
        _deliveries(claim, list(gone)).update(outcome=Outcome.SKIPPED, reason=ERASED)
    return recipients


class _Pace:
    """How many recipients may be on the wire at once: what this server takes in two checkpoints' time, within bounds."""

    _reached = (
        0  # the last batch's size: each batch would else begin anew with five small windows, and a commit for each
    )

    def __init__(self) -> None:
        self._position = 0
        self._at = time.monotonic()
        # Each connection holds one message and opens the next.
        self._least = min(2 * settings.SMTP_CONNECTIONS, settings.SMTP_WINDOW)
        self._size = max(self._least, min(_Pace._reached, settings.SMTP_WINDOW))

    def window_size(self, position: int) -> int:
        """The size from here on, given that everything below `position` is settled by now."""
        now = time.monotonic()
        if position > self._position:
            rate = (position - self._position) / max(now - self._at, 0.001)
            fitting = int(2 * rate * _CHECKPOINT_SECONDS)
            # At most doubled at a time: one lucky burst must not open the whole window.
            self._size = max(self._least, min(fitting, 2 * self._size, settings.SMTP_WINDOW))
            self._position, self._at = position, now
            _Pace._reached = self._size
        return self._size


def _submit_waiting(claim: Claim, issue: Issue) -> str:
    """First pass: everyone above the batch's position. Gives the error that ended it early, or an empty text."""
    ids = list(
        Delivery.objects.filter(
            issue_id=claim.issue_id,
            batch_number=claim.number,
            outcome=Outcome.WITH_BATCH,
            subscriber_id__gt=claim.position,
        )
        .order_by("subscriber_id")
        .values_list("subscriber_id", flat=True)
    )
    recipients = _load_reachable(claim, ids, issue.mailing_list)
    if not recipients:
        return ""
    window = Window(len(recipients))
    pace = _Pace()

    def checkpoint() -> None:
        position, fates = window.settled_since()
        size = pace.window_size(position)
        limit = min(position + size, len(recipients))
        settled_id = recipients[position - 1].subscriber_id if position else claim.position
        with transaction.atomic():
            reserved = max(settled_id, recipients[limit - 1].subscriber_id)
            renew_lease(claim, position=settled_id, reserved=reserved, **_progress(position))
            _record(
                claim, recipients, ((index, *fate) for index, fate in fates.items() if fate[0] is not Fate.ACCEPTED)
            )
        window.open_up_to(limit, wake_every=size // 2)

    _run(claim, issue, recipients, window, checkpoint)
    # What was settled beyond a gap is written one by one: the gap waits, its neighbours do not go again.
    with transaction.atomic():
        position, fates = window.settled_since()
        settled_id = recipients[position - 1].subscriber_id if position else claim.position
        renew_lease(claim, position=settled_id, reserved=settled_id, **_progress(position))
        _record(claim, recipients, ((index, *fate) for index, fate in fates.items() if fate[0] is not Fate.ACCEPTED))
        _record(claim, recipients, window.leftovers())
    return window.error if window.position < window.count else ""


def _submit_deferred(claim: Claim, issue: Issue) -> str:
    """Second pass: those whom a server put off at an earlier claim. Called uncertain before they go on the wire."""
    rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number, outcome=Outcome.DEFERRED)
    if claim.errors_count == 0:  # they were put off a moment ago, in this very claim
        return ""
    ids = list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))
    recipients = _load_reachable(claim, ids, issue.mailing_list)
    if not recipients:
        return ""
    with transaction.atomic():
        renew_lease(claim)
        _deliveries(claim, [r.subscriber_id for r in recipients]).update(
            outcome=Outcome.UNCERTAIN, reason="worker stopped"
        )
    window = Window(len(recipients))
    window.open_up_to(len(recipients), wake_every=len(recipients))
    _run(claim, issue, recipients, window, lambda: renew_lease(claim))
    with transaction.atomic():
        renew_lease(claim)
        _, fates = window.settled_since()
        known = [(index, *fate) for index, fate in fates.items()] + list(window.leftovers())
        _record(claim, recipients, known)
        unsent = set(range(len(recipients))) - {index for index, *_ in known}
        _record(claim, recipients, [(index, Fate.DEFERRED, window.error) for index in unsent])
    return window.error if unsent else ""


def _run(
    claim: Claim, issue: Issue, recipients: list[Recipient], window: Window, checkpoint: Callable[[], None]
) -> None:
    """Opens the connections and watches them until all have ended; checkpoints as they go."""
    connections = start_connections(issue, recipients, window)  # they open while the first checkpoint is written
    try:
        checkpoint()
        renewed = looked = time.monotonic()
        while window.wait(_GLANCE_SECONDS):
            now = time.monotonic()
            if now - looked >= _GLANCE_SECONDS:
                looked = now
                if _must_stop(claim.issue_id):
                    window.close()
            if window.has_progress() or now - renewed > settings.LEASE_SECONDS / 3:
                checkpoint()
                renewed = now
    finally:
        window.close()
        for connection in connections:
            connection.join()


def _release(claim: Claim, error: str) -> BatchResult:
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
    if error or is_deferred:
        pause = min(_RETRY_FIRST_SECONDS * 2**batch.errors_count, _RETRY_MOST_SECONDS)
        fields |= {
            "errors_count": F("errors_count") + 1,
            "error": error[:500],
            "retry_at": from_now(pause),
            "rung_at": None,
        }
        log.warning(
            "batch.postponed issue=%d batch=%d seconds=%d reason=%s", claim.issue_id, claim.number, pause, error
        )
    write_batch(claim, **fields)
    return BatchResult(claim.issue_id, finished=False)


def _must_stop(issue_id: int) -> bool:
    if _stopping.is_set():
        return True
    return not Issue.objects.filter(pk=issue_id, status=Issue.Status.SENDING).exists()


def _progress(position: int) -> dict[str, int | str]:
    return {"errors_count": 0, "error": ""} if position else {}


def _deliveries(claim: Claim, subscriber_ids: list[int]) -> QuerySet[Delivery]:
    return Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number, subscriber_id__in=subscriber_ids)


def _record(claim: Claim, recipients: list[Recipient], fates: Iterable[tuple[int, Fate, str]]) -> None:
    """Writes each delivery's own outcome; accepted ones within the position need none."""
    groups: dict[tuple[Fate, str], list[int]] = {}
    for index, fate, words in fates:
        reason = "" if fate is Fate.ACCEPTED else words[:200]
        groups.setdefault((fate, reason), []).append(recipients[index].subscriber_id)
    for (fate, reason), ids in groups.items():
        _deliveries(claim, ids).update(outcome=_OUTCOMES[fate], reason=reason)
