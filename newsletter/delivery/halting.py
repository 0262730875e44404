"""Halts an issue whose bounces, complaints or errors are more than a list in order has. Who resumes it is believed.

The thresholds are settings; their sources, read in November 2026:
Amazon SES, "sending review process FAQs": bounces reviewed at 5 %, stopped at 10 %; complaints reviewed at 0.1 %, stopped at 0.5 %.
Gmail, "Email sender guidelines" (support.google.com/a/answer/81126) and Yahoo's sender best practices: spam reports below 0.1 %,
never 0.3 %. The error rate is our own: what Sosik gave up, or what a server left without an answer.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Q, Sum
from django.utils.translation import gettext as _

from newsletter.delivery.claims import Claim
from newsletter.delivery.lifecycle import NotAllowed, pause_issue
from newsletter.models import Batch, Delivery, Issue, IssueStats, Outcome

log = logging.getLogger(__name__)

LEAST_EVENTS = 4  # three bounces halt nobody, however few have been written to
_BELIEVED = 1.5  # who resumed at 6 % is asked again at 9 %: the same figures, a little older, must not halt it twice
WORKER_STOPPED = "worker stopped"  # recovery's word for what a killed worker leaves: no fault of the list or the server


@dataclass(frozen=True, slots=True)
class Breach:
    """A rate above its threshold: `count` of `sample` recipients."""

    kind: str  # bounces, complaints, errors
    count: int
    sample: int
    setting: str
    threshold: float

    @property
    def percent(self) -> float:
        """The rate."""
        return 100 * self.count / self.sample


def halt_issues() -> list[int]:
    """The clock: pauses every issue being sent that has a breach; gives their ids. Safe to run twice."""
    halted = []
    for issue in Issue.objects.filter(status=Issue.Status.SENDING).only("pk", "halt_percents"):
        breach = find_breach(issue)
        if breach is not None and _halt(issue, breach):
            halted.append(issue.pk)
    # While it is paused the figures go on growing: whoever resumes it accepts those of that moment.
    for issue in Issue.objects.filter(status=Issue.Status.PAUSED).exclude(halt_percents={}):
        current = {breach.kind: round(breach.percent, 3) for breach in _rates(issue.pk)}
        grown = {kind: max(percent, current.get(kind, 0)) for kind, percent in issue.halt_percents.items()}
        if grown != issue.halt_percents:
            Issue.objects.filter(pk=issue.pk, status=Issue.Status.PAUSED).update(halt_percents=grown)
    return halted


def find_breach(issue: Issue) -> Breach | None:
    """The rate for which this issue should not go on; none below the sample, and none that a person has accepted."""
    for rate in _rates(issue.pk):
        threshold = max(rate.threshold, _BELIEVED * issue.halt_percents.get(rate.kind, 0))
        if rate.threshold and rate.count >= LEAST_EVENTS and rate.percent > threshold:
            return rate
    return None


def count_troubles(claim: Claim) -> dict[str, int]:
    """A batch's refused and failed deliveries, for its row: a million deliveries are not counted at every tick."""
    rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number)
    unanswered = Q(outcome=Outcome.UNCERTAIN) & ~Q(reason=WORKER_STOPPED)
    return {
        "refused_count": rows.filter(outcome=Outcome.REJECTED).count(),
        "failed_count": rows.filter(Q(outcome=Outcome.FAILED) | unanswered).count(),
    }


def _rates(issue_id: int) -> list[Breach]:
    batches = Batch.objects.filter(issue_id=issue_id)
    sums = batches.aggregate(refused=Sum("refused_count", default=0), failed=Sum("failed_count", default=0))
    done = batches.filter(status=Batch.Status.SUBMITTED).aggregate(sum=Sum("recipients_count", default=0))["sum"]
    open_states = [Batch.Status.PENDING, Batch.Status.SUBMITTING]
    for number, position in batches.filter(status__in=open_states, position__gt=0).values_list("number", "position"):
        rows = Delivery.objects.filter(issue_id=issue_id, batch_number=number, subscriber_id__lte=position)
        done += rows.count()
    if done < settings.HALT_SAMPLE:
        return []
    stats = IssueStats.objects.filter(pk=issue_id).first() or IssueStats(pk=issue_id)
    # An address refused in the SMTP dialogue has bounced as surely as one that a webhook names.
    bounces = stats.hard_bounces_count + sums["refused"]
    counts = (
        ("bounces", bounces, "HALT_BOUNCE_PERCENT"),
        ("complaints", stats.complaints_count, "HALT_COMPLAINT_PERCENT"),
        ("errors", sums["failed"], "HALT_ERROR_PERCENT"),
    )
    return [Breach(kind, count, done, name, getattr(settings, name)) for kind, count, name in counts]


def _halt(issue: Issue, breach: Breach) -> bool:
    try:
        with transaction.atomic():
            Issue.objects.filter(pk=issue.pk).update(
                halt_percents=issue.halt_percents | {breach.kind: round(breach.percent, 3)}
            )
            pause_issue(issue.pk, _say(breach))
    except NotAllowed:  # paused, cancelled or sent in this very moment
        return False
    log.error("issue.halted issue=%d kind=%s count=%d sample=%d", issue.pk, breach.kind, breach.count, breach.sample)
    return True


def _say(breach: Breach) -> str:
    what = {
        "bounces": _("Halted: %(percent).2f %% of its mails bounced (%(count)d of %(sample)d)"),
        "complaints": _("Halted: %(percent).2f %% of its readers called it spam (%(count)d of %(sample)d)"),
        "errors": _("Halted: %(percent).2f %% of its mails failed (%(count)d of %(sample)d)"),
    }[breach.kind] % {"percent": breach.percent, "count": breach.count, "sample": breach.sample}
    limit = _("allowed are %(threshold)g %% (%(setting)s)") % {"threshold": breach.threshold, "setting": breach.setting}
    advice = _("See who they are. Resume it and these figures are accepted; or cancel it.")
    return f"{what}; {limit}. {advice}"
