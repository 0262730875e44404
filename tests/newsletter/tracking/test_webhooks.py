"""Mailgun's events through the real URL, signed as Mailgun signs them: in any order, any number of times."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import clear_url_caches, set_urlconf

import config.urls
import newsletter.urls
from newsletter.models import Delivery, FeedbackEvent, Issue, IssueStats
from newsletter.tokens import message_token
from newsletter.tracking.fold import fold_engagement
from subscribers.models import Subscriber, Subscription, Suppression
from tests.newsletter.delivery.conftest import make_sending_issue

pytestmark = pytest.mark.django_db

KEY = "a-signing-key-of-this-test"
_tokens = itertools.count(1)


@pytest.fixture(autouse=True)
def hooks(settings: LazySettings) -> Iterator[None]:
    """The URL map as it is when an operator has named Mailgun."""
    import importlib

    settings.WEBHOOK_PROVIDERS = ["mailgun"]
    settings.ANYMAIL = {"MAILGUN_WEBHOOK_SIGNING_KEY": KEY}

    def reload() -> None:
        importlib.reload(newsletter.urls)
        importlib.reload(config.urls)
        clear_url_caches()
        set_urlconf(None)

    reload()
    yield
    settings.WEBHOOK_PROVIDERS = []
    reload()


def payload(issue_id: int, subscriber_id: int, event: str, **data: Any) -> dict[str, Any]:
    token = f"{next(_tokens):050d}"
    timestamp = "1795000000"
    signature = hmac.new(KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    address = Subscriber.objects.values_list("email", flat=True).filter(pk=subscriber_id).first() or "x@y.test"
    return {
        "signature": {"timestamp": timestamp, "token": token, "signature": signature},
        "event-data": {
            "event": event,
            "id": token,
            "timestamp": 1795000000.5,
            "recipient": address,
            "message": {"headers": {"message-id": f"{message_token(issue_id, subscriber_id)}@news.example.org"}},
            **data,
        },
    }


def bounce(issue_id: int, subscriber_id: int, severity: str, words: str, reason: str = "bounce") -> dict[str, Any]:
    status = {"code": 550, "message": words, "description": ""}
    return payload(issue_id, subscriber_id, "failed", severity=severity, reason=reason, **{"delivery-status": status})


def post(event: dict[str, Any]) -> int:
    return Client().post("/hooks/mailgun/tracking/", json.dumps(event), content_type="application/json").status_code


def state(issue: Issue) -> tuple[Any, ...]:
    fold_engagement()
    rows = Delivery.objects.filter(issue_id=issue.pk).order_by("subscriber_id")
    return (
        list(rows.values_list("subscriber_id", "delivered_at", "bounced_at", "complained_at", "outcome")),
        list(Suppression.objects.order_by("fingerprint").values_list("fingerprint", "reason")),
        list(Subscriber.objects.order_by("pk").values_list("pk", "soft_bounces")),
        IssueStats.objects.filter(pk=issue.pk).values().get(),
    )


def test_a_dead_address_is_suppressed_at_once_and_counted_once() -> None:
    issue = make_sending_issue(2)
    dead = Subscriber.objects.order_by("pk")[0]
    event = bounce(issue.pk, dead.pk, "permanent", f"550 5.1.1 <{dead.email}>: no such user")
    assert [post(event), post(event)] == [200, 200]
    assert Suppression.objects.get().fingerprint == dead.fingerprint
    assert IssueStats.objects.get(pk=issue.pk).hard_bounces_count == 1
    assert dead.email not in FeedbackEvent.objects.get().detail
    assert dead.email not in Suppression.objects.get().evidence


@pytest.mark.parametrize(
    "words",
    [
        "550 5.7.1 message rejected as spam",
        "550 5.7.26 This mail is unauthenticated (DMARC)",
        "554 5.7.1 Service unavailable; client host blocked using a blocklist",
        "552 5.2.2 mailbox full",
    ],
)
def test_policy_spam_and_full_mailboxes_suppress_nobody_though_called_permanent(words: str) -> None:
    issue = make_sending_issue(1)
    assert post(bounce(issue.pk, Subscriber.objects.get().pk, "permanent", words)) == 200
    assert not Suppression.objects.exists()
    assert IssueStats.objects.get(pk=issue.pk).soft_bounces_count == 1


def test_the_fifth_soft_bounce_in_a_row_suppresses_and_a_delivery_in_between_forgives() -> None:
    issue = make_sending_issue(1)
    reader = Subscriber.objects.get().pk
    for _ in range(4):
        post(bounce(issue.pk, reader, "temporary", "421 4.2.1 try later", "generic"))
    post(payload(issue.pk, reader, "delivered"))
    fold_engagement()
    for _ in range(4):
        post(bounce(issue.pk, reader, "temporary", "421 4.2.1 try later", "generic"))
    assert not Suppression.objects.exists()
    post(bounce(issue.pk, reader, "temporary", "421 4.2.1 try later", "generic"))
    assert Suppression.objects.get().reason == Suppression.Reason.SOFT_BOUNCES


def test_a_complaint_suppresses_and_a_provider_unsubscribe_takes_off_the_list() -> None:
    issue = make_sending_issue(2)
    complains, leaves = Subscriber.objects.order_by("pk")
    post(payload(issue.pk, complains.pk, "complained"))
    post(payload(issue.pk, leaves.pk, "unsubscribed"))
    assert Suppression.objects.get().reason == Suppression.Reason.COMPLAINT
    assert Subscription.objects.get(subscriber=leaves).status == Subscription.Status.UNSUBSCRIBED
    counts = IssueStats.objects.get(pk=issue.pk)
    assert counts.complaints_count == 1


def test_any_order_any_number_of_times_ends_in_the_same_state() -> None:
    issue = make_sending_issue(5)
    ids = list(Subscriber.objects.order_by("pk").values_list("pk", flat=True))
    events = [
        payload(issue.pk, ids[0], "delivered"),
        bounce(issue.pk, ids[1], "permanent", "550 5.1.1 unknown user"),
        bounce(issue.pk, ids[2], "temporary", "450 4.2.0 later", "generic"),
        payload(issue.pk, ids[3], "delivered"),
        payload(issue.pk, ids[3], "complained"),
        payload(issue.pk, 987_654, "delivered"),
        payload(987_654, ids[4], "complained"),
    ]
    chance = random.Random(7)
    states = []
    for _ in range(6):
        FeedbackEvent.objects.all().delete()
        Suppression.objects.all().delete()
        IssueStats.objects.all().delete()
        Subscriber.objects.update(soft_bounces=0)
        Delivery.objects.filter(issue_id=issue.pk).update(delivered_at=None, bounced_at=None, complained_at=None)
        replay = [event for event in events for _ in range(chance.randint(1, 4))]
        chance.shuffle(replay)
        assert {post(event) for event in replay} == {200}
        states.append(state(issue))
    assert all(other == states[0] for other in states[1:])


def test_a_forged_event_writes_nothing() -> None:
    issue = make_sending_issue(1)
    event = payload(issue.pk, Subscriber.objects.get().pk, "complained")
    event["signature"]["signature"] = "0" * 64
    assert post(event) == 400
    assert not FeedbackEvent.objects.exists()
    assert not Suppression.objects.exists()


def test_a_provider_nobody_named_has_no_address() -> None:
    assert Client().post("/hooks/postmark/tracking/", "{}", content_type="application/json").status_code == 404
