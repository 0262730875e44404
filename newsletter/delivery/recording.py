"""What became of each message, written on its delivery."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from newsletter.delivery.claims import Claim
from newsletter.delivery.compose import Recipient
from newsletter.delivery.fates import Fate
from newsletter.models import Delivery, Outcome

_OUTCOMES = {
    Fate.ACCEPTED: Outcome.SUBMITTED,
    Fate.DEFERRED: Outcome.DEFERRED,
    Fate.REFUSED: Outcome.REJECTED,
    Fate.FAILED: Outcome.FAILED,
    Fate.UNCERTAIN: Outcome.UNCERTAIN,
}


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
        deliveries_of(claim, ids).update(outcome=_OUTCOMES[fate], reason=reason)
