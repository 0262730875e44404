"""The feed as a feed reader sees it."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from django.test import Client

from newsletter.models import Issue
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db
ATOM = {"a": "http://www.w3.org/2005/Atom"}
SITE = "http://127.0.0.1:8000"


def test_the_feed_is_atom_with_the_whole_text(client: Client) -> None:
    mailing_list = make_list(slug="morning", name="아침 & 소식", description="하루 세 가지")
    for day in (23, 24):
        make_issue(
            mailing_list,
            slug=f"소식-{day}",
            subject=f"{day}일 <소식>",
            status=Issue.Status.SENT,
            sending_at=datetime(2026, 11, day, tzinfo=UTC),
            candidates_count=0,
            recipients_count=0,
            skipped_count=0,
            web_html="<p>본문 &amp; <a href='https://example.org/?a=1&amp;b=2'>고리</a>\x0b</p>",
        )
    answer = client.get("/morning/feed.xml")
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    feed = ElementTree.fromstring(answer.content)
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    assert feed.findtext("a:title", namespaces=ATOM) == "아침 & 소식"
    assert feed.find("a:link[@rel='self']", ATOM).get("href") == f"{SITE}/morning/feed.xml"
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "ko"
    entries = feed.findall("a:entry", ATOM)
    assert [entry.findtext("a:title", namespaces=ATOM) for entry in entries] == ["24일 <소식>", "23일 <소식>"]
    # RFC 4287, 4.1.1 and 4.1.2: what a feed and each of its entries must hold
    for element in (feed, *entries):
        for required in ("id", "title", "updated"):
            assert len(element.findall(f"a:{required}", ATOM)) == 1
    assert feed.findtext("a:updated", namespaces=ATOM) == entries[0].findtext("a:updated", namespaces=ATOM)
    assert len({entry.findtext("a:id", namespaces=ATOM) for entry in entries}) == 2
    content = entries[0].find("a:content", ATOM)
    assert content.get("type") == "html"
    assert content.text == "<p>본문 &amp; <a href='https://example.org/?a=1&amp;b=2'>고리</a></p>"
    assert entries[0].find("a:link", ATOM).get("href") == f"{SITE}/morning/%EC%86%8C%EC%8B%9D-24/"


def test_a_preheader_is_words_and_not_markup_to_a_feed_reader(client: Client) -> None:
    """Django marks a summary as HTML: what a reader unescapes must still be escaped."""
    mailing_list = make_list(slug="morning", description="1 < 2 <script>alert(1)</script>")
    make_issue(
        mailing_list,
        subject="<img src=x onerror=alert(1)>",
        preheader="1 < 2 <img src=x onerror=alert(1)>",
        status=Issue.Status.SENT,
        sending_at=datetime(2026, 11, 23, tzinfo=UTC),
        candidates_count=0,
        recipients_count=0,
        skipped_count=0,
    )
    feed = ElementTree.fromstring(client.get("/morning/feed.xml").content)
    summary = feed.find("a:entry/a:summary", ATOM)
    assert summary.get("type") == "html"
    assert summary.text == "1 &lt; 2 &lt;img src=x onerror=alert(1)&gt;"
    for name in ("a:entry/a:title", "a:subtitle"):
        words = feed.find(name, ATOM)
        assert words.get("type", "text") == "text"
        assert "<" in words.text


def test_a_list_with_nothing_sent_has_an_empty_feed(client: Client) -> None:
    feed = ElementTree.fromstring(client.get(f"/{make_list().slug}/feed.xml").content)
    assert feed.findall("a:entry", ATOM) == []
