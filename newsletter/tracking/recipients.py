"""Who got an issue and who did not, and why: for one address, and for everyone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from newsletter.delivery.mending import ACCEPTED
from newsletter.models import Batch, Delivery, FeedbackEvent, Issue, Outcome
from newsletter.tracking.words import say_reason, show_time
from subscribers.addresses import fingerprint, normalise_address
from subscribers.audience import unreachable_reason
from subscribers.models import Subscriber, Subscription, Suppression
from subscribers.suppression import active

BOUNCED = "bounced"  # submitted, and the receiving server gave it back
CONFIRMED_LATER = "confirmed later"  # on the list, yet not when the audience was frozen

_CHUNK = 1000  # rows whose addresses are looked up at once
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one issue for one address. `kind` is for machines: an outcome's name, or one of the words below."""

    kind: str
    sentences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Missing:
    """One person who did not get the issue. The address is empty for somebody erased since."""

    subscriber_id: int
    address: str
    kind: str
    reason: str


# --- one address ------------------------------------------------------------------------------------------------------


def explain(issue: Issue, address: str) -> Answer:
    """Whether this address got the issue, or why not. Raises AddressError for what is no address.

    The address is looked for by its fingerprint: a suppression answers for somebody who is gone.
    """
    key = fingerprint(normalise_address(address))
    suppression = active().filter(fingerprint=key).first()
    person = Subscriber.objects.filter(fingerprint=key).first()
    said = []
    if suppression is not None:
        reason = Suppression.Reason(suppression.reason)
        said.append(_("The address is suppressed: %(reason)s.") % {"reason": reason.label})
    if person is None:
        kind, sentence = _of_nobody(issue, suppression)
        return Answer(kind, [*said, sentence])
    subscription = Subscription.objects.filter(mailing_list=issue.mailing_list, subscriber=person).first()
    said.append(_tell_standing(issue, subscription))
    if issue.candidates_count is None:
        return Answer("not frozen", [*said, *_tell_prospect(issue, person)])
    if issue.pruned_at:
        pruned = _("Its deliveries were pruned on %(time)s: who got it is no longer known.")
        return Answer("pruned", [*said, pruned % {"time": show_time(issue.pruned_at, issue)}])
    delivery = Delivery.objects.filter(issue_id=issue.pk, subscriber_id=person.pk).first()
    if delivery is None:
        kind, sentence = _why_not_in_audience(issue, subscription)
        return Answer(kind, [*said, sentence])
    return Answer(_kind_of(delivery), [*said, *_tell_delivery(issue, delivery)])


def _of_nobody(issue: Issue, suppression: Suppression | None) -> tuple[str, str]:
    if suppression is None or suppression.reason != Suppression.Reason.ERASED:
        return "unknown", _("Nobody with this address is known here.")
    erased_on = {"time": show_time(suppression.created_at, issue)}
    if issue.sending_at is None or suppression.created_at < issue.sending_at:
        return "erased", _(
            "They were erased at their wish on %(time)s, before it went out: it did not go to them."
        ) % erased_on
    return "erased", _(
        "They were erased at their wish on %(time)s, after its audience was frozen: what they got is no longer known."
    ) % erased_on


def _tell_standing(issue: Issue, subscription: Subscription | None) -> str:
    if subscription is None:
        return _("Never subscribed to “%(list)s”.") % {"list": issue.mailing_list.name}
    return _("On “%(list)s”: %(status)s.") % {
        "list": issue.mailing_list.name,
        "status": subscription.get_status_display(),
    }


def _tell_prospect(issue: Issue, person: Subscriber) -> Iterator[str]:
    yield _("The issue's audience is not frozen yet.")
    why_not = unreachable_reason(person, issue.mailing_list)
    if why_not:
        yield _("As things stand, they would not get it: %(why)s.") % {"why": say_reason(why_not)}
    else:
        yield _("As things stand, they would get it.")


def _why_not_in_audience(issue: Issue, subscription: Subscription | None) -> tuple[str, str]:
    frozen_at = issue.sending_at
    assert frozen_at is not None, "a frozen issue has begun to be sent"
    frozen = {"frozen": show_time(frozen_at, issue)}
    if subscription is None:
        return "never on the list", _(
            "They were not in its audience, frozen on %(frozen)s: they were never on the list."
        ) % frozen
    left, confirmed = subscription.unsubscribed_at, subscription.confirmed_at
    if subscription.status == Subscription.Status.PENDING:
        return "unconfirmed", _(
            "They were not in its audience, frozen on %(frozen)s: they asked on %(time)s and have not confirmed."
        ) % (frozen | {"time": show_time(subscription.requested_at, issue)})
    if subscription.status == Subscription.Status.UNSUBSCRIBED and left and left <= frozen_at:
        return "left before", _("They were not in its audience, frozen on %(frozen)s: they had left on %(time)s.") % (
            frozen | {"time": show_time(left, issue)}
        )
    if confirmed and confirmed > frozen_at:
        return CONFIRMED_LATER, _(
            "They were not in its audience, frozen on %(frozen)s: they confirmed on %(time)s, after that."
        ) % (frozen | {"time": show_time(confirmed, issue)})
    return "not in audience", _(
        "They were not in its audience: no confirmed subscription when it was frozen, on %(frozen)s."
    ) % frozen


def _tell_delivery(issue: Issue, delivery: Delivery) -> Iterator[str]:
    outcome, because = settled_outcome(delivery), f" ({say_reason(delivery.reason)})" if delivery.reason else ""
    values = {"because": because, "number": delivery.batch_number}
    match outcome:
        case Outcome.SUBMITTED if delivery.reason == ACCEPTED:
            yield _("Counted as submitted by a person's decision, in batch %(number)d: nobody knows it.") % values
        case Outcome.SUBMITTED:
            yield _("Submitted, in batch %(number)d: the mail server accepted it.") % values
        case Outcome.UNCERTAIN:
            yield (
                _("Uncertain%(because)s, in batch %(number)d: it may have left. Nobody sends it again unasked.")
                % values
            )
        case Outcome.WITH_BATCH | Outcome.DEFERRED:
            yield _("Waiting%(because)s, in batch %(number)d.") % values
        case _:
            yield _("Did not get it: %(outcome)s%(because)s.") % (values | {"outcome": outcome.label})
    for column, label in _ECHOES.items():
        at = getattr(delivery, column)
        if at:
            words = f" ({_bounce_words(delivery)})" if column == "bounced_at" and _bounce_words(delivery) else ""
            yield f"  {label}: {show_time(at, issue)}{words}"


def _bounce_words(delivery: Delivery) -> str:
    """What the receiving server said, as the provider passed it on."""
    events = FeedbackEvent.objects.filter(issue_id=delivery.issue_id, subscriber_id=delivery.subscriber_id)
    bounces = events.filter(kind__in=["bounced", "rejected"]).order_by("-occurred_at")
    return bounces.values_list("detail", flat=True).first() or ""


def settled_outcome(delivery: Delivery) -> Outcome:
    """The delivery's outcome; one that goes with its batch is submitted once the batch's position has passed it."""
    if delivery.outcome != Outcome.WITH_BATCH:
        return Outcome(delivery.outcome)
    assert delivery.batch_number is not None, "only a skipped delivery has no batch"
    batch = Batch.objects.get(issue_id=delivery.issue_id, number=delivery.batch_number)
    is_past = batch.status == Batch.Status.SUBMITTED or delivery.subscriber_id <= batch.position
    return Outcome.SUBMITTED if is_past else Outcome.WITH_BATCH


def _kind_of(delivery: Delivery) -> str:
    outcome = settled_outcome(delivery)
    if outcome == Outcome.SUBMITTED and delivery.bounced_at:
        return BOUNCED
    return "waiting" if outcome in (Outcome.WITH_BATCH, Outcome.DEFERRED) else outcome.name.lower()


# --- everyone ---------------------------------------------------------------------------------------------------------


def who_is_missing(issue: Issue) -> Iterator[Missing]:
    """Everyone who did not get the issue, or not yet: of its audience, and those on its list who were not in it.

    Reads in chunks, so that a million stand in nobody's memory. Empty before the freeze, and once the deliveries are pruned.
    """
    if issue.candidates_count is None or issue.pruned_at is not None:
        return
    yield from _with_addresses(_undelivered(issue.pk))
    yield from _confirmed_later(issue)


def _undelivered(issue_id: int) -> Iterator[tuple[int, str, str]]:
    rows = Delivery.objects.filter(issue_id=issue_id)
    own = rows.exclude(outcome__in=[Outcome.WITH_BATCH, Outcome.SUBMITTED]) | rows.filter(bounced_at__isnull=False)
    columns = ("subscriber_id", "outcome", "reason", "bounced_at")
    for pk, outcome, reason, bounced_at in own.order_by("subscriber_id").values_list(*columns).iterator(_CHUNK):
        if bounced_at and outcome in (Outcome.WITH_BATCH, Outcome.SUBMITTED):
            yield pk, BOUNCED, ""
        else:
            yield pk, "waiting" if outcome == Outcome.DEFERRED else Outcome(outcome).name.lower(), reason
    unfinished = Batch.objects.filter(issue_id=issue_id).exclude(status=Batch.Status.SUBMITTED).order_by("number")
    for number, position in unfinished.values_list("number", "position"):
        waiting = rows.filter(batch_number=number, outcome=Outcome.WITH_BATCH, subscriber_id__gt=position)
        for pk in waiting.order_by("subscriber_id").values_list("subscriber_id", flat=True):
            yield pk, "waiting", ""


def _with_addresses(rows: Iterable[tuple[int, str, str]]) -> Iterator[Missing]:
    rest = iter(rows)
    while chunk := list(islice(rest, _CHUNK)):
        found = dict(Subscriber.objects.filter(pk__in=[pk for pk, *_ in chunk]).values_list("pk", "email"))
        for pk, kind, reason in chunk:
            yield Missing(pk, found.get(pk, ""), kind, reason)


def _confirmed_later(issue: Issue) -> Iterator[Missing]:
    """Who is on the list now and was not when the audience was frozen."""
    has_delivery = Exists(Delivery.objects.filter(issue_id=issue.pk, subscriber_id=OuterRef("subscriber_id")))
    late = Subscription.objects.filter(
        ~has_delivery, mailing_list=issue.mailing_list, status=Subscription.Status.CONFIRMED
    )
    for pk, email in late.order_by("subscriber_id").values_list("subscriber_id", "subscriber__email").iterator(_CHUNK):
        yield Missing(pk, email, CONFIRMED_LATER, "")
