"""Who holds a batch: claims with a lease on the database's clock and a fence against workers that wake up too late.

A batch's `attempts` counts its claims. Every write names the claim's number; when it no longer fits, somebody else has taken the
batch over, and the late one stops without being believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
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


def is_due() -> Q:
    """Batches that may go now: their readers' hour has come, and so has the time of the next attempt."""
    due = Q(due_at__isnull=True) | Q(due_at__lte=Now())
    return due & (Q(retry_at__isnull=True) | Q(retry_at__lte=Now()))


def claim_batch(batch_id: int, provider: str) -> Claim | None:
    """Takes a pending batch of an issue that is being sent, for this provider; of several workers exactly one gets it.

    A batch stays with the provider that was the first to claim it: only that one knows what it has taken of it.
    """
    # EXISTS, not a join: Django would turn a join into `id IN (subquery)`, which PostgreSQL does not check again for the
    # second of two racing workers, and both would hold the batch.
    is_sending = Exists(
        Issue.objects.filter(pk=OuterRef("issue_id"), status=Issue.Status.SENDING, stage__gte=OuterRef("stage"))
    )
    with transaction.atomic():
        claimed = Batch.objects.filter(
            is_due(),
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


def renew_lease(claim: Claim, **values: Any) -> None:
    """write_batch, and the lease runs anew.

    With plain values it runs at every checkpoint, while the thread that sends waits for Python's lock: with the ORM building the
    statement each time it took 0.6 ms of CPU, a third of what sending the mails between two checkpoints takes.
    """
    if not all(value is None or isinstance(value, int | str) for value in values.values()):
        write_batch(claim, lease_until=from_now(settings.LEASE_SECONDS), **values)
        return
    sql, lease = _renewal(connection.vendor, tuple(values), settings.LEASE_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*lease, *values.values(), claim.batch_id, Batch.Status.SUBMITTING, claim.fence])
        if not cursor.rowcount:
            raise LeaseLostError(f"batch {claim.batch_id}: claim {claim.fence} is over")


@lru_cache(maxsize=16)
def _renewal(_vendor: str, names: tuple[str, ...], seconds: int) -> tuple[str, tuple[Any, ...]]:
    """The UPDATE with a place for each named value, and the parameters of the new lease, which come first."""
    compiler = Batch.objects.all().query.get_compiler(connection=connection)
    until, lease = compiler.compile(from_now(seconds).resolve_expression(compiler.query))
    column = {field.name: connection.ops.quote_name(field.column or "") for field in Batch._meta.local_fields}
    changes = ", ".join([f"{column['lease_until']} = {until}", *(f"{column[name]} = %s" for name in names)])
    table = connection.ops.quote_name(Batch._meta.db_table)
    where = f"{column['id']} = %s AND {column['status']} = %s AND {column['attempts']} = %s"
    return f"UPDATE {table} SET {changes} WHERE {where}", tuple(lease)
