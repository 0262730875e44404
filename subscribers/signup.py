"""Signing up: asked for on a page, confirmed from the mailbox. What the page answers never tells who is known here.

request_subscription -> signal opt_in_requested -> (newsletter sends the confirmation mail) -> mark_confirmation_sent
-> the reader presses the button -> confirm_subscription -> signal subscribed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now as current_time

from subscribers.addresses import fingerprint, normalise_address
from subscribers.consent import record
from subscribers.models import ConsentEvent, MailingList, Subscriber, Subscription, Suppression
from subscribers.signals import opt_in_requested, subscribed
from subscribers.suppression import LIFTED_BY_OPT_IN, lift_by_opt_in, suppression_reason
from subscribers.tokens import read_pair, sign_pair

# A stranger may type anybody's address: so much mail, over all lists, can one address be made to receive.
MINUTES_BETWEEN_CONFIRMATIONS = 10
CONFIRMATIONS_PER_DAY = 3

_Status = Subscription.Status
_Kind = ConsentEvent.Kind


def request_subscription(
    mailing_list: MailingList,
    address: str,
    *,
    source: str,
    ip: str,
    wording: str,
    locale: str = "",
    timezone: str = "",
    name: str = "",
) -> None:
    """Takes a stranger's word that this address wants the list. Raises AddressError; otherwise says nothing, whatever it found.

    A row that exists is not changed by what the stranger typed: only the mailbox's owner may do that.
    """
    email = normalise_address(address)
    key = fingerprint(email)
    with transaction.atomic():
        reason = suppression_reason(key)
        if reason is not None and reason not in LIFTED_BY_OPT_IN:
            return  # a mailbox that does not exist, or an editor's decision: no mail could change it
        # The lock makes requests for one address stand in line, so that two at once do not both find the limit unused.
        subscriber, _ = Subscriber.objects.select_for_update().get_or_create(
            fingerprint=key,
            defaults={"email": email, "name": name[:120], "locale": locale[:16], "timezone": timezone[:64]},
        )
        _take_request(mailing_list, subscriber, reason, source=source, ip=ip, wording=wording)


def _take_request(
    mailing_list: MailingList,
    subscriber: Subscriber,
    suppressed_for: Suppression.Reason | None,
    *,
    source: str,
    ip: str,
    wording: str,
) -> None:
    rows = Subscription.objects.filter(mailing_list=mailing_list, subscriber=subscriber)
    status = rows.values_list("status", flat=True).first()
    now = current_time()
    # Only a complaint makes a confirmed reader confirm anew: for them nothing is lost that a stranger could take away.
    if status == _Status.CONFIRMED and suppressed_for != Suppression.Reason.COMPLAINT:
        return
    if _is_throttled(subscriber, now):
        return
    if status is None:
        subscription_id = rows.create(
            mailing_list=mailing_list, subscriber=subscriber, source=source[:60], requested_at=now
        ).pk
    else:
        moved = rows.filter(status=status).update(
            status=_Status.PENDING, source=source[:60], requested_at=now, confirmation_sent_at=None
        )
        if not moved:
            return
        subscription_id = rows.values_list("pk", flat=True).get()
    record(_Kind.REQUESTED, subscriber.pk, mailing_list.pk, source=source, ip=ip, wording=wording, at=now)
    # A list without confirmation still asks those who left or complained: a stranger must not bring them back.
    if mailing_list.opt_in == MailingList.OptIn.SINGLE and status is None and suppressed_for is None:
        _confirm(subscription_id, subscriber.pk, mailing_list.pk, source=source, ip=ip)
        return
    transaction.on_commit(partial(opt_in_requested.send, Subscription, subscription_id=subscription_id), robust=True)


def _is_throttled(subscriber: Subscriber, now: datetime) -> bool:
    requests = ConsentEvent.objects.filter(subscriber=subscriber, kind=_Kind.REQUESTED, at__gt=now - timedelta(days=1))
    times = list(requests.values_list("at", flat=True))
    pause_began = now - timedelta(minutes=MINUTES_BETWEEN_CONFIRMATIONS)
    return len(times) >= CONFIRMATIONS_PER_DAY or any(at > pause_began for at in times)


def confirmation_token(subscription: Subscription) -> str:
    """What the confirmation mail's link carries."""
    return sign_pair("confirm", subscription.mailing_list_id, subscription.subscriber_id)


def find_by_confirmation_token(token: str) -> Subscription | None:
    """The subscription a confirmation link speaks of, whatever its status; None for a token we did not make."""
    pair = read_pair("confirm", token)
    if pair is None:
        return None
    list_id, subscriber_id = pair
    return (
        Subscription.objects.select_related("mailing_list")
        .filter(mailing_list_id=list_id, subscriber_id=subscriber_id)
        .first()
    )


def confirm_subscription(token: str, *, source: str = "confirmation link", ip: str = "") -> Subscription | None:
    """The confirmed subscription, or None when the token is not ours or its reader has left since. Safe to run twice."""
    subscription = find_by_confirmation_token(token)
    if subscription is None:
        return None
    with transaction.atomic():
        _confirm(subscription.pk, subscription.subscriber_id, subscription.mailing_list_id, source=source, ip=ip)
    subscription.refresh_from_db(fields=["status", "confirmed_at"])
    return subscription if subscription.status == _Status.CONFIRMED else None


def _confirm(subscription_id: int, subscriber_id: int, list_id: int, *, source: str, ip: str) -> bool:
    now = current_time()
    confirmed = Subscription.objects.filter(pk=subscription_id, status=_Status.PENDING).update(
        status=_Status.CONFIRMED, confirmed_at=now, unsubscribed_at=None, paused_until=None
    )
    if not confirmed:
        return False
    record(_Kind.CONFIRMED, subscriber_id, list_id, source=source, ip=ip, at=now)
    key = Subscriber.objects.values_list("fingerprint", flat=True).get(pk=subscriber_id)
    if lift_by_opt_in(key) == Suppression.Reason.COMPLAINT:
        _end_other_lists(subscriber_id, list_id, now)
    transaction.on_commit(partial(subscribed.send, Subscription, subscription_id=subscription_id), robust=True)
    return True


def _end_other_lists(subscriber_id: int, list_id: int, at: datetime) -> None:
    """A complaint silenced every list; coming back to one is no word about the others."""
    others = Subscription.objects.filter(subscriber_id=subscriber_id, status=_Status.CONFIRMED).exclude(
        mailing_list_id=list_id
    )
    for subscription_id, other_id in list(others.values_list("pk", "mailing_list_id")):
        if others.filter(pk=subscription_id).update(status=_Status.UNSUBSCRIBED, unsubscribed_at=at):
            record(_Kind.UNSUBSCRIBED, subscriber_id, other_id, source="earlier complaint", at=at)


def mark_confirmation_sent(subscription_id: int) -> bool:
    """Notes that the confirmation mail has left; True when one was due."""
    due = Subscription.objects.filter(pk=subscription_id, status=_Status.PENDING, confirmation_sent_at__isnull=True)
    return due.update(confirmation_sent_at=current_time()) == 1


def confirmations_due(requested_before: datetime) -> QuerySet[Subscription]:
    """The subscriptions whose confirmation mail has not left though it was asked for before this time, oldest first."""
    return Subscription.objects.filter(
        status=_Status.PENDING, confirmation_sent_at__isnull=True, requested_at__lt=requested_before
    ).order_by("requested_at")
