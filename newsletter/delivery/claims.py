"""Who holds a batch: claims with a lease on the database's clock and a fence against workers that wake up too late.

A batch's `attempts` counts its claims. Every write names the claim's number; when it no longer fits, somebody else has taken the
batch over, and the late one stops without being believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from newsletter.models import Batch, Issue


class LeaseLostError(Exception):
    """Somebody else holds the batch now: stop, write nothing more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """This worker's hold on one batch."""

    batch_id: int
    issue_id: int
    number: int
    fence: int
    provider: str
    position: int  # the subscriber id up to which the batch was settled when it was claimed
    errors_count: int


def from_now(seconds: float) -> ExpressionWrapper[CombinedExpression]:
    """The database's time, so many seconds ahead."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


def claim_batch(batch_id: int, provider: str) -> Claim | None:
    """Takes a pending batch of an issue that is being sent, for this provider; of several workers exactly one gets it.

    A batch stays with the provider that was the first to claim it: only that one knows what it has taken of it.
    """
    # EXISTS, not a join: Django would turn a join into `id IN (subquery)`, which PostgreSQL does not check again for the
    # second of two racing workers, and both would hold the batch.
    is_sending = Exists(Issue.objects.filter(pk=OuterRef("issue_id"), status=Issue.Status.SENDING))
    with transaction.atomic():
        claimed = Batch.objects.filter(
            Q(retry_at__isnull=True) | Q(retry_at__lte=Now()),
            Q(provider="") | Q(provider=provider),
            is_sending,
            pk=batch_id,
            status=Batch.Status.PENDING,
        ).update(
            status=Batch.Status.SUBMITTING,
            provider=provider,
            attempts=F("attempts") + 1,
            lease_until=from_now(settings.LEASE_SECONDS),
            retry_at=None,
        )
        if not claimed:
            return None
        batch = Batch.objects.get(pk=batch_id)
    return Claim(
        batch.pk, batch.issue_id, batch.number, batch.attempts, batch.provider, batch.position, batch.errors_count
    )


def write_batch(claim: Claim, **fields: Any) -> None:
    """Writes to the batch if this claim still holds it; raises LeaseLostError if not."""
    changed = Batch.objects.filter(pk=claim.batch_id, status=Batch.Status.SUBMITTING, attempts=claim.fence).update(
        **fields
    )
    if not changed:
        raise LeaseLostError(f"batch {claim.batch_id}: claim {claim.fence} is over")


def renew_lease(claim: Claim, **fields: Any) -> None:
    """write_batch, and the lease runs anew."""
    write_batch(claim, lease_until=from_now(settings.LEASE_SECONDS), **fields)
