"""The people of a batch, asked for once more at the moment of sending: whom we may still write to, and their merge fields."""

from __future__ import annotations

from collections.abc import Iterable

from newsletter.delivery.claims import Claim
from newsletter.delivery.compose import Recipient
from newsletter.delivery.recording import deliveries_of
from newsletter.models import Outcome
from subscribers.addresses import wire_address
from subscribers.audience import ERASED, unreachable_reasons
from subscribers.models import MailingList, Subscriber


def load_recipients(subscriber_ids: Iterable[int], mailing_list: MailingList) -> list[Recipient]:
    """The people behind the ids, in that order of ids, with the merge fields the list declares."""
    fields = mailing_list.merge_fields
    # Four columns and no objects: a third of the time. Attributes are JSON, read only where a field needs them.
    columns = ("pk", "email", "name", "attributes") if fields else ("pk", "email", "name")
    rows = Subscriber.objects.filter(pk__in=list(subscriber_ids)).order_by("pk").values_list(*columns)
    return [
        Recipient(
            pk,
            wire_address(email),
            {
                **{field: str(attributes[0].get(field) or "") for field in fields},
                "name": name,
                "email": email,
            },
        )
        for pk, email, name, *attributes in rows
    ]


def drop_unreachable(claim: Claim, subscriber_ids: list[int], mailing_list: MailingList) -> list[int]:
    """Asks once more whom we may write to; whoever has left since the freeze is recorded as skipped, with the reason."""
    reasons = unreachable_reasons(subscriber_ids, mailing_list)
    by_reason: dict[str, list[int]] = {}
    for subscriber_id, reason in reasons.items():
        by_reason.setdefault(reason, []).append(subscriber_id)
    for reason, ids in by_reason.items():
        deliveries_of(claim, ids).update(outcome=Outcome.SKIPPED, reason=reason)
    return [subscriber_id for subscriber_id in subscriber_ids if subscriber_id not in reasons]


def load_reachable(claim: Claim, subscriber_ids: list[int], mailing_list: MailingList) -> list[Recipient]:
    """Those of the ids we may still write to, in that order; the others are recorded as skipped."""
    reachable = drop_unreachable(claim, subscriber_ids, mailing_list)
    recipients = load_recipients(reachable, mailing_list)
    if len(recipients) < len(reachable):  # erased between the two queries: must not count as submitted
        gone = set(reachable) - {recipient.subscriber_id for recipient in recipients}
        deliveries_of(claim, list(gone)).update(outcome=Outcome.SKIPPED, reason=ERASED)
    return recipients
