"""From due to sending, in one transaction: freeze_audience, cut_batches, verify_audience, open_sending."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils.translation import gettext as _

from newsletter.delivery import witness
from newsletter.delivery.audience import AudienceMismatchError, freeze_audience, verify_audience
from newsletter.delivery.batching import cut_batches, open_sending
from newsletter.delivery.freeze_lock import hold_freeze_lock
from newsletter.delivery.lifecycle import NotAllowed, claim_due_issue, move_issue
from newsletter.delivery.local_hours import plan_hours
from newsletter.models import Issue

log = logging.getLogger(__name__)


def prepare_issue(issue_id: int) -> bool:
    """Prepares a due issue; False when another worker had it, it was not due, or it was taken back meanwhile. Safe to run twice.

    A worker that dies in here leaves the issue in `preparing` and no rows; the sweeper gives it back to the clock.
    """
    if not claim_due_issue(issue_id):
        return False
    issue = Issue.objects.select_related("mailing_list", "segment").get(pk=issue_id)
    if witness.has_started(issue):
        _hold_for_a_person(issue)
        return False
    try:
        with transaction.atomic():
            hold_freeze_lock(issue_id)
            hours = plan_hours(issue)
            freeze_audience(issue, hours)
            batches_count = cut_batches(issue, hours)
            candidates_count, recipients_count = verify_audience(issue)
            open_sending(issue, candidates_count, recipients_count)
    except AudienceMismatchError as error:
        move_issue(issue_id, Issue.Status.FAILED, only_from={Issue.Status.PREPARING}, status_reason=str(error)[:300])
        log.exception("issue.audience_mismatch issue=%d", issue_id)
        return False
    except NotAllowed:  # undone or cancelled in these seconds: nothing of the freeze is left
        return False
    witness.note_start(issue)
    log.info("issue.frozen issue=%d candidates=%d batches=%d", issue_id, candidates_count, batches_count)
    return True


def _hold_for_a_person(issue: Issue) -> None:
    reason = _(
        "It was started at this time before, and the database does not know it: was it restored from a backup? "
        "Nothing was sent now. See who has got it before you schedule it anew."
    )
    move_issue(issue.pk, Issue.Status.FAILED, only_from={Issue.Status.PREPARING}, status_reason=reason[:300])
    log.error("issue.started_before issue=%d", issue.pk)
