"""Single mails: the confirmation, and an editor's test."""

from __future__ import annotations

from email import message_from_bytes

import html5lib
import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from lxml import html

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.delivery.transactional import send_confirmation_mail, send_test
from newsletter.models import Delivery, Link
from newsletter.rendering.colours import palettes
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
    page = str(message.alternatives[0][0])
    assert len(mail.outbox) == 1
    assert message.to == ["me@example.net"]
    assert "/confirm/" in str(message.body)
    assert "/confirm/" in page
    assert "아침 소식" in page
    assert "FREE-MONEY" not in message.message().as_string() + str(message.body) + page


def test_a_sender_in_a_korean_domain_is_written_in_ascii() -> None:
    mailing_list = make_list(from_email="news@소식.kr", reply_to="me@소식.kr")
    request_subscription(mailing_list, "me@example.net", source="page", ip="203.0.113.9", wording="ok")
    assert send_confirmation_mail(Subscription.objects.get().pk)
    headers = message_from_bytes(mail.outbox[0].message().as_bytes())
    assert headers["From"].endswith("<news@xn--9l4b4x.kr>")
    issue = make_issue(mailing_list)
    template = IssueTemplate(issue, eight_bit=True)
    headers = message_from_bytes(template.message_for(Recipient(1, "me@example.net", {})))
    assert template.envelope_sender == "news@xn--9l4b4x.kr"
    assert headers["From"].endswith("<news@xn--9l4b4x.kr>")
    assert headers["Reply-To"] == "me@xn--9l4b4x.kr"
    assert headers["Message-ID"].endswith("@xn--9l4b4x.kr>")


def test_a_line_break_in_a_lists_name_neither_adds_a_header_nor_keeps_the_mail_back() -> None:
    hostile = "x\r\nBcc: evil@evil.test"
    mailing_list = make_list(name=hostile, from_name=hostile, language="en")
    request_subscription(mailing_list, "me@example.net", source="page", ip="203.0.113.9", wording="ok")
    assert send_confirmation_mail(Subscription.objects.get().pk)
    send_test(make_issue(mailing_list, subject=hostile).pk, "me@example.net")
    for sent in mail.outbox:
        headers = message_from_bytes(sent.message().as_bytes())
        assert headers["Bcc"] is None
        assert headers["From"] == '"x Bcc: evil@evil.test" <news@news.example.org>'
        assert headers["Subject"].endswith("x Bcc: evil@evil.test")


@pytest.mark.parametrize("language", ["ko", "en", "ar"])
def test_a_confirmation_has_the_look_of_its_list(language: str) -> None:
    mailing_list = make_list(language=language, accent_color="#d9480f", logo_url="https://example.org/logo.png")
    request_subscription(mailing_list, "me@example.net", source="page", ip="", wording="ok")
    assert send_confirmation_mail(Subscription.objects.get().pk)
    message = mail.outbox[0]
    assert isinstance(message, EmailMultiAlternatives)
    page = str(message.alternatives[0][0])
    tree = html.document_fromstring(page)
    html5lib.HTMLParser(strict=True).parse(page)
    light, dark, _bar = palettes("#d9480f")
    button = tree.find_class("button")[0]
    assert f"background-color:{light.accent}" in button.get("style")
    assert f"color:{light.on_accent}" in button.find("a").get("style")
    assert f".button {{ background-color: {dark.accent} !important; }}" in page
    assert tree.find_class("logo")[0].get("alt") == mailing_list.name
    assert (tree.get("dir"), tree.body[0].get("dir")) == (("rtl",) * 2 if language == "ar" else ("ltr",) * 2)
    assert [heading.text_content() for heading in tree.iter("h1", "h2")] == [message.subject]
    assert len(page.encode()) < 20_000


def test_a_confirmation_is_the_same_tree_to_every_parser() -> None:
    request_subscription(make_list(postal_address="서울"), "me@example.net", source="page", ip="", wording="ok")
    assert send_confirmation_mail(Subscription.objects.get().pk)
    message = mail.outbox[0]
    assert isinstance(message, EmailMultiAlternatives)
    page = str(message.alternatives[0][0])
    ours = [element.tag for element in html.document_fromstring(page).iter() if isinstance(element.tag, str)]
    other = html5lib.parse(page, treebuilder="lxml", namespaceHTMLElements=False).getroot().iter()
    assert ours == [element.tag for element in other if isinstance(element.tag, str)]


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
    page = str(message.alternatives[0][0])
    assert message.subject == f"[TEST] {issue.subject}"
    assert "https://example.org/a?x=1&amp;y=2#top" in page
    assert "/c/" not in page
    assert "/o/" not in page
    assert "0s0s1k" not in page + str(message.body)
    assert not Delivery.objects.exists()
    assert not Link.objects.exists()
