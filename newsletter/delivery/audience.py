"""Freezes whom an issue goes to: one Delivery row for every confirmed subscription, with the reason where it is skipped."""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django.db.models import Case, F, IntegerField, Sum, Value, When, Window
from django.db.models.functions import RowNumber

from newsletter.delivery.local_hours import Hours
from newsletter.delivery.partitions import open_partition
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.audience import candidates, with_reasons


class AudienceMismatchError(Exception):
    """The frozen rows do not add up: nothing is sent."""


def freeze_audience(issue: Issue, hours: Hours | None = None) -> None:
    """Writes the issue's candidates in one INSERT ... SELECT, cut into batches by the order of their ids.

    With `hours` first by the readers' zones: each group's batch numbers begin at a multiple of `hours.room`. Belongs into the
    transaction that opens the sending; a second run finds the rows and fails on their key.
    """
    open_partition(issue.pk)
    chosen = with_reasons(candidates(issue.mailing_list, issue.segment), issue.mailing_list)
    chosen = chosen.annotate(hour_group=_group_by_zone(hours))
    # Two numberings side by side: of all rows with a reason, and of those without, which are cut into batches.
    parts = [F("reason"), F("hour_group")] if hours else [F("reason")]
    numbered = chosen.annotate(place=Window(RowNumber(), partition_by=parts, order_by=F("subscriber_id").asc())).values(
        "subscriber_id", "reason", "hour_group", "place"
    )
    sql, params = numbered.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO newsletter_delivery (subscriber_id, issue_id, batch_number, outcome, reason, provider_message_id) "
            "SELECT subscriber_id, %s, CASE WHEN reason = '' THEN hour_group * %s + (place - 1) / %s + 1 END, "
            "CASE WHEN reason = '' THEN %s ELSE %s END, reason, '' "
            f"FROM ({sql}) AS chosen ORDER BY subscriber_id",  # the ORM's own statement, its values apart
            [
                issue.pk,
                hours.room if hours else 0,
                settings.BATCH_SIZE,
                Outcome.WITH_BATCH.value,
                Outcome.SKIPPED.value,
                *params,
            ],
        )


def _group_by_zone(hours: Hours | None) -> Case | Value:
    """The number of the group that a reader's zone belongs to."""
    if hours is None:
        return Value(0)
    named = [
        When(subscriber__timezone__in=zones, then=Value(group)) for group, zones in enumerate(hours.zones) if zones
    ]
    return Case(*named, default=Value(hours.default), output_field=IntegerField())


def verify_audience(issue: Issue) -> tuple[int, int]:
    """(candidates, recipients) of the frozen issue; raises AudienceMismatchError when rows and batches disagree."""
    rows = Delivery.objects.filter(issue_id=issue.pk)
    candidates_count = rows.count()
    recipients_count = rows.exclude(outcome=Outcome.SKIPPED).count()
    in_batches = Batch.objects.filter(issue=issue).aggregate(total=Sum("recipients_count"))["total"] or 0
    if in_batches != recipients_count:
        raise AudienceMismatchError(f"issue {issue.pk}: {recipients_count} recipients, but {in_batches} in batches")
    return candidates_count, recipients_count
