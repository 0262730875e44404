"""The inbox in the browser."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from newsletter.demo.inbox import HOST, InboxServer
from newsletter.demo.views import open_inbox

PAGE = '<html><head><meta charset="utf-8"></head><body style="color:red">안녕<script>alert(1)</script></body></html>'


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> Client:
    settings.DATA_DIR = settings.STATIC_ROOT = tmp_path
    return Client()


@pytest.fixture
def deliver(client: Client) -> Iterator[smtplib.SMTP]:
    server = InboxServer(open_inbox(), 0)
    server.start()
    with smtplib.SMTP(HOST, server.port, timeout=10) as connection:
        yield connection
    server.stop()


def write_mail(recipient: str, subject: str = "소식 <b>") -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "news@news.example.org", recipient
    message.set_content("안녕 & 반가워")
    message.add_alternative(PAGE, subtype="html")
    return message


def test_an_empty_inbox_says_what_to_do(client: Client) -> None:
    response = client.get("/inbox/")
    assert response.status_code == 200
    assert "No mail yet" in response.text


def test_mails_are_listed_newest_first_and_found_by_recipient(client: Client, deliver: smtplib.SMTP) -> None:
    for name in ("first", "second"):
        deliver.send_message(write_mail(f"{name}@example.net"))
    page = client.get("/inbox/").text
    assert page.index("second@example.net") < page.index("first@example.net")
    assert "소식 &lt;b&gt;" in page
    found = client.get("/inbox/", {"to": "FIRST"}).text
    assert "first@example.net" in found
    assert "second@example.net" not in found
    assert "No mail to an address" in client.get("/inbox/", {"to": "nobody"}).text


def test_pages_turn_without_losing_a_mail(client: Client, deliver: smtplib.SMTP) -> None:
    for number in range(52):
        deliver.send_message(write_mail(f"reader{number:02d}@example.net"))
    first = client.get("/inbox/").text
    assert "reader51" in first
    assert "reader01@" not in first
    assert 'href="?before=3"' in first
    second = client.get("/inbox/", {"before": "3"}).text
    assert "reader01" in second
    assert "reader00" in second


def test_a_mail_reads_as_html_in_a_frame_that_runs_nothing(client: Client, deliver: smtplib.SMTP) -> None:
    deliver.send_message(write_mail("a@example.net"))
    page = client.get("/inbox/1/").text
    assert 'src="/inbox/1/html/"' in page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    frame = client.get("/inbox/1/html/")
    policy = frame.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups" in policy
    assert '<head><base target="_blank"><meta' in frame.text


def test_a_mail_reads_as_text_and_as_source(client: Client, deliver: smtplib.SMTP) -> None:
    deliver.send_message(write_mail("a@example.net"))
    assert "안녕 &amp; 반가워" in client.get("/inbox/1/text/").text
    source = client.get("/inbox/1/source/").text
    assert "Content-Type: multipart/alternative" in source
    assert "<script>alert" not in source


@pytest.mark.parametrize("path", ["/inbox/1/", "/inbox/1/html/", "/inbox/1/text/", "/inbox/99999999999999999999/"])
def test_a_mail_that_is_not_there_is_not_found(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_nothing_in_the_inbox_can_be_posted(client: Client) -> None:
    assert client.post("/inbox/").status_code == 405
