"""Single mails: the confirmation, and an editor's test."""

from __future__ import annotations

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from newsletter.delivery.transactional import send_confirmation_mail, send_test
from newsletter.models import Delivery, Link
from subscribers.models import Subscription
from subscribers.signup import request_subscription
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db


def test_a_confirmation_is_sent_once_in_the_lists_language_and_holds_nothing_the_visitor_typed() -> None:
    mailing_list = make_list(name="아침 소식")
    typed = "FREE-MONEY http://evil.test"
    request_subscription(mailing_list, "me@example.net", source="page", ip="203.0.113.9", wording="ok", name=typed)
    subscription = Subscription.objects.get()
    assert send_confirmation_mail(subscription.pk)
    assert not send_confirmation_mail(subscription.pk)
    message = mail.outbox[0]
    assert isinstance(message, EmailMultiAlternatives)
    html = str(message.alternatives[0][0])
    assert len(mail.outbox) == 1
    assert message.to == ["me@example.net"]
    assert "/confirm/" in str(message.body)
    assert "/confirm/" in html
    assert "아침 소식" in html
    assert "FREE-MONEY" not in message.message().as_string() + str(message.body) + html


def test_nobody_is_asked_who_has_confirmed_or_gone() -> None:
    mailing_list = make_list()
    request_subscription(mailing_list, "me@example.net", source="page", ip="", wording="ok")
    subscription = Subscription.objects.get()
    Subscription.objects.update(status=Subscription.Status.UNSUBSCRIBED, unsubscribed_at="2026-11-22T00:00:00Z")
    assert not send_confirmation_mail(subscription.pk)
    assert not send_confirmation_mail(999_999)
    assert mail.outbox == []


def test_a_test_mail_says_so_tracks_nothing_and_leaves_no_trace() -> None:
    issue = make_issue(make_list())
    send_test(issue.pk, "editor@example.net")
    message = mail.outbox[0]
    assert isinstance(message, EmailMultiAlternatives)
    html = str(message.alternatives[0][0])
    assert message.subject == f"[TEST] {issue.subject}"
    assert "https://example.org/a?x=1&amp;y=2#top" in html
    assert "/c/" not in html
    assert "/o/" not in html
    assert "0s0s1k" not in html + str(message.body)
    assert not Delivery.objects.exists()
    assert not Link.objects.exists()
