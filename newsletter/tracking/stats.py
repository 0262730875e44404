"""The balance sheet of an issue, its reasons, and who did not get it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, QuerySet

from newsletter.delivery.accounts import Outcomes, count_outcomes
from newsletter.models import Delivery, Issue, IssueStats, Outcome
from subscribers.models import Subscriber


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """audience = submitted + skipped + rejected + failed + uncertain + waiting; delivered and bounced lie within submitted."""

    audience: int
    submitted: int
    skipped: int
    rejected: int
    failed: int
    uncertain: int
    waiting: int
    delivered: int
    hard_bounces: int
    soft_bounces: int
    complaints: int
    unsubscribes: int
    opens: int
    machine_opens: int
    clicks: int
    machine_clicks: int
    raw_opens: int
    raw_clicks: int
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One person who did not get the issue, and why. The address is empty for somebody erased since."""

    subscriber_id: int
    address: str
    outcome: Outcome
    reason: str


def balance_sheet(issue: Issue) -> BalanceSheet:
    """The issue's accounts as they stand now; before the freeze everything is zero."""
    stats = IssueStats.objects.filter(pk=issue.pk).first() or IssueStats(pk=issue.pk)
    counts = count_outcomes(issue.pk) if issue.pruned_at is None else _kept_outcomes(stats)
    audience = issue.candidates_count or 0
    return BalanceSheet(
        audience=audience,
        submitted=counts.submitted,
        skipped=counts.skipped,
        rejected=counts.rejected,
        failed=counts.failed,
        uncertain=counts.uncertain,
        waiting=counts.waiting,
        delivered=stats.delivered_count,
        hard_bounces=stats.hard_bounces_count,
        soft_bounces=stats.soft_bounces_count,
        complaints=stats.complaints_count,
        unsubscribes=stats.unsubscribes_count,
        opens=stats.opens_count,
        machine_opens=stats.machine_opens_count,
        clicks=stats.clicks_count,
        machine_clicks=stats.machine_clicks_count,
        raw_opens=stats.raw_opens_count,
        raw_clicks=stats.raw_clicks_count,
        adds_up=counts.adds_up and counts.total == audience,
    )


def reasons(issue: Issue) -> list[tuple[Outcome, str, int]]:
    """(outcome, reason, count) of everyone who was skipped, rejected, failed, deferred or is uncertain; most first."""
    rows = (
        _apart(issue)
        .order_by()
        .values_list("outcome", "reason")
        .annotate(size=Count("*"))
        .order_by("-size", "outcome", "reason")
    )
    return [(Outcome(outcome), reason, size) for outcome, reason, size in rows]


def not_delivered(issue: Issue, limit: int = 100, outcome: Outcome | None = None) -> list[Undelivered]:
    """The people behind `reasons`, uncertain ones first, at most `limit`."""
    rows = _apart(issue)
    if outcome is not None:
        rows = rows.filter(outcome=outcome)
    chosen = list(rows.order_by("-outcome", "subscriber_id").values_list("subscriber_id", "outcome", "reason")[:limit])
    addresses = dict(Subscriber.objects.filter(pk__in=[row[0] for row in chosen]).values_list("pk", "email"))
    return [Undelivered(pk, addresses.get(pk, ""), Outcome(number), reason) for pk, number, reason in chosen]


def _kept_outcomes(stats: IssueStats) -> Outcomes:
    parts = {
        name: getattr(stats, f"{name}_count") for name in ("submitted", "skipped", "rejected", "failed", "uncertain")
    }
    return Outcomes(total=sum(parts.values()), waiting=0, **parts)


def _apart(issue: Issue) -> QuerySet[Delivery]:
    return Delivery.objects.filter(issue_id=issue.pk).exclude(outcome__in=[Outcome.WITH_BATCH, Outcome.SUBMITTED])
