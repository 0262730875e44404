"""What became of each message, written on its delivery."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from newsletter.delivery.claims import Claim
from newsletter.delivery.compose import Recipient
from newsletter.delivery.fates import Fate
from newsletter.models import Batch, Delivery, Outcome

_OUTCOMES = {
    Fate.ACCEPTED: Outcome.SUBMITTED,
    Fate.DEFERRED: Outcome.DEFERRED,
    Fate.REFUSED: Outcome.REJECTED,
    Fate.FAILED: Outcome.FAILED,
    Fate.UNCERTAIN: Outcome.UNCERTAIN,
}

# Columns that say that the mail has left: something has come back.
ECHOES = tuple(
    f"{column}__isnull"
    for column in (
        "delivered_at",
        "opened_at",
        "machine_opened_at",
        "clicked_at",
        "machine_clicked_at",
        "bounced_at",
        "complained_at",
        "unsubscribed_at",
    )
)


def deliveries_of(claim: Claim, subscriber_ids: list[int]) -> QuerySet[Delivery]:
    """The rows of these people in the claimed batch."""
    return Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number, subscriber_id__in=subscriber_ids)


def record_fates(claim: Claim, recipients: list[Recipient], fates: Iterable[tuple[int, Fate, str]]) -> None:
    """Writes each delivery's own outcome; accepted ones within the position need none."""
    groups: dict[tuple[Fate, str], list[int]] = {}
    for index, fate, words in fates:
        reason = "" if fate is Fate.ACCEPTED else words[:200]
        groups.setdefault((fate, reason), []).append(recipients[index].subscriber_id)
    for (fate, reason), ids in groups.items():
        rows = deliveries_of(claim, ids)
        if fate is Fate.UNCERTAIN:  # not those of whom a webhook has told already
            rows = rows.filter(**dict.fromkeys(ECHOES, True))
        rows.update(outcome=_OUTCOMES[fate], reason=reason)


def call_uncertain(batch: Batch, reason: str) -> int:
    """Calls the readers between position and reserved uncertain, but for those from whom something has come back."""
    return unanswered(batch).update(outcome=Outcome.UNCERTAIN, reason=reason)


def unanswered(batch: Batch) -> QuerySet[Delivery]:
    """The deliveries that may be on the wire and of which nothing has been heard."""
    return on_the_wire(batch).filter(**dict.fromkeys(ECHOES, True))


def on_the_wire(batch: Batch) -> QuerySet[Delivery]:
    """The deliveries between position and reserved that have no outcome of their own."""
    return Delivery.objects.filter(
        issue_id=batch.issue_id,
        batch_number=batch.number,
        outcome=Outcome.WITH_BATCH,
        subscriber_id__gt=batch.position,
        subscriber_id__lte=batch.reserved,
    )
