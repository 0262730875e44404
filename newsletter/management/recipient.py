"""What became of one issue for one person: got it, did not, why, and what came back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from newsletter.desk.watching import say_reason
from newsletter.management.standing import show_time
from newsletter.models import Batch, Delivery, Issue, Outcome
from subscribers.addresses import fingerprint, normalise_address
from subscribers.audience import unreachable_reason
from subscribers.models import Subscriber, Subscription
from subscribers.suppression import suppression_reason

_ECHOES = {
    "delivered_at": gettext_lazy("delivered"),
    "opened_at": gettext_lazy("opened"),
    "machine_opened_at": gettext_lazy("opened by a machine"),
    "clicked_at": gettext_lazy("clicked"),
    "machine_clicked_at": gettext_lazy("clicked by a machine"),
    "bounced_at": gettext_lazy("bounced"),
    "complained_at": gettext_lazy("complained"),
    "unsubscribed_at": gettext_lazy("unsubscribed"),
}


def tell_who(issue: Issue, address: str) -> Iterator[str]:
    """Lines about the address and this issue. Raises AddressError for what is no address."""
    key = fingerprint(normalise_address(address))
    reason = suppression_reason(key)
    if reason is not None:
        yield _("The address is suppressed: %(reason)s.") % {"reason": reason.label}
    person = Subscriber.objects.filter(fingerprint=key).first()
    if person is None:
        yield _("Nobody with this address is known here.")
        return
    yield from _tell_standing(issue, person)
    if issue.candidates_count is None:
        yield _("The issue's audience is not frozen yet.")
        why_not = unreachable_reason(person, issue.mailing_list)
        yield (
            _("As things stand, they would not get it: %(why)s.") % {"why": say_reason(why_not)}
            if why_not
            else _("As things stand, they would get it.")
        )
        return
    if issue.pruned_at:
        yield _("Its deliveries were pruned on %(time)s: who got it is no longer known.") % {
            "time": show_time(issue.pruned_at, issue)
        }
        return
    delivery = Delivery.objects.filter(issue_id=issue.pk, subscriber_id=person.pk).first()
    if delivery is None:
        yield _("They were not in its audience: no confirmed subscription when it was frozen, on %(time)s.") % {
            "time": show_time(issue.sending_at, issue)
        }
        return
    yield from _tell_delivery(issue, delivery)


def _tell_standing(issue: Issue, person: Subscriber) -> Iterator[str]:
    subscription = Subscription.objects.filter(mailing_list=issue.mailing_list, subscriber=person).first()
    if subscription is None:
        yield _("Never subscribed to “%(list)s”.") % {"list": issue.mailing_list.name}
        return
    yield _("On “%(list)s”: %(status)s.") % {
        "list": issue.mailing_list.name,
        "status": subscription.get_status_display(),
    }


def _tell_delivery(issue: Issue, delivery: Delivery) -> Iterator[str]:
    outcome, because = _settled_outcome(delivery), f" ({say_reason(delivery.reason)})" if delivery.reason else ""
    match outcome:
        case Outcome.SUBMITTED:
            yield _("Submitted, in batch %(number)d: the mail server accepted it.") % {"number": delivery.batch_number}
        case Outcome.UNCERTAIN:
            yield _("Uncertain%(because)s, in batch %(number)d: it may have left. Nobody sends it again unasked.") % {
                "because": because,
                "number": delivery.batch_number,
            }
        case Outcome.WITH_BATCH | Outcome.DEFERRED:
            yield _("Waiting%(because)s, in batch %(number)d.") % {
                "because": because,
                "number": delivery.batch_number,
            }
        case Outcome.SKIPPED | Outcome.REJECTED | Outcome.FAILED:
            yield _("Did not get it: %(outcome)s%(because)s.") % {"outcome": outcome.label, "because": because}
        case _:
            assert_never(outcome)
    for column, label in _ECHOES.items():
        at = getattr(delivery, column)
        if at:
            yield f"  {label}: {show_time(at, issue)}"


def _settled_outcome(delivery: Delivery) -> Outcome:
    """The delivery's outcome; one that goes with its batch is submitted once the batch's position has passed it."""
    if delivery.outcome != Outcome.WITH_BATCH:
        return Outcome(delivery.outcome)
    assert delivery.batch_number is not None, "only a skipped delivery has no batch"
    batch = Batch.objects.get(issue_id=delivery.issue_id, number=delivery.batch_number)
    is_past = batch.status == Batch.Status.SUBMITTED or delivery.subscriber_id <= batch.position
    return Outcome.SUBMITTED if is_past else Outcome.WITH_BATCH
