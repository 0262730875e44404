"""What a person decides about deliveries that failed or that nobody knows of: send them again, or call them submitted.

Each act is one transaction of conditional UPDATEs that count, so that two people pressing the same button do it once. What a worker
holds at that moment is left alone: whether it is on the wire is not a person's to decide.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from newsletter.delivery.lifecycle import NotAllowed, move_issue
from newsletter.delivery.recording import without_echo
from newsletter.models import Batch, Delivery, Issue, Outcome

log = logging.getLogger(__name__)
Status = Issue.Status

ACCEPTED = "accepted"  # the reason on a delivery that a person has called submitted
RESENT = "resent"  # the reason on one that goes again by a person's decision, though it may have left before


def retry_failed(issue_id: int, *, by: str, with_rejected: bool = False) -> int:
    """Sends once more to those whose delivery failed, and if asked to those a server refused; to nobody else. Says to how many.

    `by` names in the log who decided it, without an address. Raises NotAllowed when there is nobody, or the issue cannot go on.
    """
    outcomes = [Outcome.FAILED, Outcome.REJECTED] if with_rejected else [Outcome.FAILED]
    rows = Delivery.objects.filter(issue_id=issue_id, outcome__in=outcomes)
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


def _send_again(issue_id: int, rows: QuerySet[Delivery], *, nobody: str, reason: str = "") -> int:
    """Moves the deliveries into batches of their own, which then go like any other: claimed, paced, with a window, by any provider."""
    count = 0
    with transaction.atomic():
        issue = _reopen(
            issue_id
        )  # its row is ours from here on: whoever presses the same button waits, and then finds nobody
        sources = _lock_idle_batches(issue_id, rows)
        free = rows.filter(batch_number__in=sources)
        number = Batch.objects.filter(issue_id=issue_id).aggregate(last=Max("number"))["last"] or 0
        while chunk := list(
            free.order_by("subscriber_id").values_list("subscriber_id", flat=True)[: settings.BATCH_SIZE]
        ):
            number += 1
            fields = {"outcome": Outcome.WITH_BATCH, "batch_number": number, "reason": reason}
            size = free.filter(subscriber_id__in=chunk).update(**fields)
            if not size:
                break
            Batch.objects.create(issue=issue, number=number, recipients_count=size, key=uuid.uuid4())
            count += size
        if not count:
            raise _nobody(issue, nobody)  # and with it the issue stays as it was
        _recount_batches(issue_id, sources)
    return count


def _lock_idle_batches(issue_id: int, rows: QuerySet[Delivery]) -> list[int]:
    """The numbers of the batches these deliveries are in and no worker holds; nobody can claim them until the transaction ends."""
    numbers = rows.order_by("batch_number").values_list("batch_number", flat=True).distinct()
    batches = Batch.objects.select_for_update().filter(issue_id=issue_id, number__in=list(numbers))
    idle = batches.exclude(status=Batch.Status.SUBMITTING).order_by("number")
    return list(idle.values_list("number", flat=True))


def _recount_batches(issue_id: int, numbers: list[int]) -> None:
    """Each of these batches says how many it has now; one that has nobody left stays, with nobody."""
    of_batch = Delivery.objects.filter(issue_id=issue_id, batch_number=OuterRef("number")).order_by()
    size = of_batch.values("batch_number").annotate(size=Count("*")).values("size")
    batches = Batch.objects.filter(issue_id=issue_id, number__in=numbers)
    batches.update(recipients_count=Coalesce(Subquery(size), 0))


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


def _nobody(issue: Issue, what: str) -> NotAllowed:
    return NotAllowed(
        what % {"slug": issue.slug},
        _("Nothing was changed. If batches are still under way, wait until they are done."),
    )


def _nobody_uncertain() -> str:
    return _("Of nobody among these is it uncertain whether “%(slug)s” reached them.")
