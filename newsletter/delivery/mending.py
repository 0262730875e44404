"""What a person decides about deliveries that failed or that nobody knows of: send them again, or call them submitted.

Each act is one transaction of conditional UPDATEs that count, so that two people pressing the same button do it once. Only batches
that are done are touched: what is on the wire, or will go with the same idempotency key, is not a person's to decide yet.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection

from django.db import transaction
from django.db.models import F, Max, QuerySet
from django.utils.translation import gettext as _

from newsletter.delivery.lifecycle import NotAllowed, move_issue
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)
Status = Issue.Status

ACCEPTED = "accepted"  # the reason on a delivery that a person has called submitted
RESENT = "resent"  # the reason on one that waits to go again by a person's decision, though it may have left before
_DONE = [Batch.Status.SUBMITTED, Batch.Status.FAILED, Batch.Status.UNCERTAIN]  # every delivery in one has its outcome


def retry_failed(issue_id: int, *, by: str, with_rejected: bool = False) -> int:
    """Sends once more to those whose delivery failed, and if asked to those a server refused; to nobody else. Says to how many.

    `by` names in the log who decided it, without an address. Raises NotAllowed when there is nobody, or the issue cannot go on.
    """
    outcomes = [Outcome.FAILED, Outcome.REJECTED] if with_rejected else [Outcome.FAILED]
    rows = Delivery.objects.filter(issue_id=issue_id, outcome__in=outcomes)
    # The server's last words stay on the row until the next ones come.
    count = _send_again(issue_id, rows, nobody=_("Nobody's delivery of “%(slug)s” has failed for good."))
    log.info("deliveries.retried issue=%d count=%d by=%s", issue_id, count, by)
    return count


def resend_uncertain(issue_id: int, *, by: str, subscriber_ids: Collection[int] | None = None) -> int:
    """Sends again to those of whom nobody knows whether they got it: some will get it twice, and a person has decided so.

    To `subscriber_ids`, or to all. Whoever has answered in any way proves to have got it and is left out. Says to how many it goes.
    Raises as retry_failed does.
    """
    rows = uncertain_deliveries(issue_id, subscriber_ids).filter(**without_echo())
    count = _send_again(issue_id, rows, nobody=_nobody_uncertain(), reason=RESENT)
    log.info("deliveries.resent issue=%d count=%d by=%s", issue_id, count, by)
    return count


def accept_uncertain(issue_id: int, *, by: str, subscriber_ids: Collection[int] | None = None) -> int:
    """Calls those of whom nobody knows submitted, by a person's decision: no mail leaves. Says how many.

    Raises NotAllowed when there is nobody.
    """
    busy = Batch.objects.filter(issue_id=issue_id, status=Batch.Status.SUBMITTING).values("number")
    rows = uncertain_deliveries(issue_id, subscriber_ids).exclude(batch_number__in=busy)
    count = rows.update(outcome=Outcome.SUBMITTED, reason=ACCEPTED)
    if not count:
        raise _nobody(Issue.objects.get(pk=issue_id), _nobody_uncertain())
    log.info("deliveries.accepted issue=%d count=%d by=%s", issue_id, count, by)
    return count


def uncertain_deliveries(issue_id: int, subscriber_ids: Collection[int] | None = None) -> QuerySet[Delivery]:
    """The issue's deliveries of which nobody knows, of these people or of all."""
    rows = Delivery.objects.filter(issue_id=issue_id, outcome=Outcome.UNCERTAIN)
    return rows if subscriber_ids is None else rows.filter(subscriber_id__in=list(subscriber_ids))


def without_echo() -> dict[str, bool]:
    """A filter for deliveries from which nothing has come back; whatever has proves that the mail had left."""
    return dict.fromkeys((f"{column}__isnull" for column in ECHO_COLUMNS), True)


ECHO_COLUMNS = (
    "delivered_at",
    "opened_at",
    "machine_opened_at",
    "clicked_at",
    "machine_clicked_at",
    "bounced_at",
    "complained_at",
    "unsubscribed_at",
)


def _send_again(issue_id: int, rows: QuerySet[Delivery], *, nobody: str, **fields: str) -> int:
    with transaction.atomic():
        issue = _reopen(issue_id)
        count = 0
        # The batch first: while its row is ours, no worker can claim it and read deliveries that are about to change.
        numbers = list(rows.order_by("batch_number").values_list("batch_number", flat=True).distinct())
        for number in numbers:
            if number is not None and _reopen_batch(issue_id, number):
                count += rows.filter(batch_number=number).update(outcome=Outcome.DEFERRED, **fields)
        if not count:
            raise _nobody(issue, nobody)  # and with it the issue stays as it was
    return count


def _reopen(issue_id: int) -> Issue:
    """Lets a sent issue go on, and tells finish_issues that what it has counted until now no longer holds."""
    again = {"retries_count": F("retries_count") + 1}
    reopened = move_issue(
        issue_id, Status.SENDING, only_from={Status.SENT}, where={"pruned_at": None}, finished_at=None, **again
    )
    moving = Issue.objects.filter(pk=issue_id, status__in=[Status.SENDING, Status.PAUSED])
    if reopened or moving.update(**again):
        return Issue.objects.get(pk=issue_id)
    issue = Issue.objects.get(pk=issue_id)
    if issue.pruned_at is not None:
        raise NotAllowed(
            _("The deliveries of “%(slug)s” were pruned: who did not get it is no longer known.")
            % {"slug": issue.slug},
            _("Publish it as a new issue to send it again."),
        )
    raise NotAllowed(
        _("“%(slug)s” is in the state “%(state)s”: nothing of it can be sent again.")
        % {"slug": issue.slug, "state": issue.get_status_display()},
        _("Only an issue that is being sent, or was sent, can send to some people again."),
    )


def _reopen_batch(issue_id: int, number: int) -> bool:
    of_batch = Delivery.objects.filter(issue_id=issue_id, batch_number=number)
    last = of_batch.aggregate(last=Max("subscriber_id"))["last"]
    return bool(
        Batch.objects.filter(issue_id=issue_id, number=number, status__in=_DONE).update(
            status=Batch.Status.PENDING,
            position=last,  # the batch was done: whoever has no outcome of their own has got it, and goes nowhere again
            reserved=last,
            key=uuid.uuid4(),  # under the old one a provider would answer what it answered before, and send nothing
            provider="",  # the one that failed need not be the one that tries again
            errors_count=1,  # above zero: its deferred deliveries are not of the coming claim, so it sends them
            error="",
            retry_at=None,
            rung_at=None,
            finished_at=None,
        )
    )


def _nobody(issue: Issue, what: str) -> NotAllowed:
    return NotAllowed(
        what % {"slug": issue.slug},
        _("Nothing was changed. If batches are still under way, wait until they are done."),
    )


def _nobody_uncertain() -> str:
    return _("Of nobody among these is it uncertain whether “%(slug)s” reached them.")
