"""The spliced mail, judged by the standard library's compat32 parser, which built nothing of it."""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime

import pytest
from django.conf import LazySettings

from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.models import Issue
from newsletter.rendering.merge import TOKEN, Slot, mark_slot
from newsletter.rendering.render import save_render
from newsletter.tokens import personal_token, read_message_token
from tests.factories import make_issue, make_list

pytestmark = pytest.mark.django_db


def unstuffed(payload: bytes) -> bytes:
    """What the receiving server makes of the DATA payload (RFC 5321, 4.5.2)."""
    assert payload.endswith(b"\r\n.\r\n")
    lines = payload[:-3].split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


def parse(payload: bytes) -> Message:
    return email.message_from_bytes(unstuffed(payload), policy=email.policy.compat32)


def decoded(message: Message, name: str) -> str:
    return str(make_header(decode_header(message[name])))


def body(message: Message, subtype: str) -> str:
    part = next(part for part in message.walk() if part.get_content_type() == f"text/{subtype}")
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw.decode()


def make_template(*, eight_bit: bool = True, **fields: str) -> tuple[Issue, IssueTemplate]:
    token, name = mark_slot(TOKEN), mark_slot(Slot("name", "text", ""))
    defaults = {
        "html": f'<p>안녕 {mark_slot(Slot("name", "html", "독자"))}</p>\n<a href="https://n.test/c/1/{token}">x</a>\n',
        "text": f"안녕\n.점으로 시작\n{name}. 끝\n{name}\nhttps://n.test/u/{token}\n",
    }
    mailing_list = make_list(slug="morning", name="아침 소식, 그리고 더 긴 이름의 목록입니다")
    issue = make_issue(mailing_list, **(defaults | fields))
    return issue, IssueTemplate(issue, eight_bit=eight_bit)


READER = Recipient(7, "reader@example.net", {"name": "김하늘", "email": "reader@example.net"})


@pytest.mark.parametrize("eight_bit", [True, False])
def test_korean_subject_names_and_both_parts_survive_somebody_elses_parser(eight_bit: bool) -> None:
    issue, template = make_template(eight_bit=eight_bit, subject="오늘의 소식: " + "아주 길고 긴 제목 " * 8 + "🤖 끝")
    message = parse(template.message_for(READER))
    assert decoded(message, "Subject") == issue.subject
    assert parseaddr(decoded(message, "From")) == ("아침 소식", "news@news.example.org")
    assert message["To"] == "reader@example.net"
    token = personal_token(issue.pk, 7)
    assert body(message, "html") == f'<p>안녕 김하늘</p>\r\n<a href="https://n.test/c/1/{token}">x</a>\r\n'
    text = f"안녕\r\n.점으로 시작\r\n김하늘. 끝\r\n김하늘\r\nhttps://n.test/u/{token}\r\n"
    assert body(message, "plain") == text
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_the_headers_a_mailbox_provider_reads_stand_raw_and_whole(settings: LazySettings) -> None:
    issue, template = make_template()
    raw = unstuffed(template.message_for(READER)).split(b"\r\n\r\n")[0].decode("ascii") + "\r\n"
    token = personal_token(issue.pk, 7)
    assert f"\r\nList-Unsubscribe: <{settings.SITE_URL}/u/{token}>\r\n" in raw
    assert "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
    assert "\r\n <morning.news.example.org>\r\n" in raw, "the id of List-Id is ASCII and outside the encoded words"
    assert f"\r\nFeedback-ID: {issue.pk}:morning:issue:sosik\r\n" in raw
    assert all(len(line) <= 998 for line in raw.split("\r\n"))
    message = parse(template.message_for(READER))
    assert parsedate_to_datetime(message["Date"]).tzinfo is not None
    left, _, domain = message["Message-ID"].strip("<>").rpartition("@")
    assert domain == "news.example.org"
    assert read_message_token(left) == (issue.pk, 7)
    assert left != token, "a Message-ID in a log must not let its reader unsubscribe anybody"


def test_the_message_id_is_the_same_on_every_attempt() -> None:
    issue, template = make_template()
    again = IssueTemplate(Issue.objects.select_related("mailing_list").get(pk=issue.pk), eight_bit=False)
    assert template.message_id(7) == again.message_id(7)
    assert template.message_id(7) != template.message_id(8)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".숨은", "a\r\n.\r\nMAIL FROM:<x@y>", "<b>&\"'", "{{ email }}", "0s0s1kh9"]
)
@pytest.mark.parametrize("eight_bit", [True, False])
def test_no_value_of_a_reader_breaks_out_of_its_place(name: str, eight_bit: bool) -> None:
    _, template = make_template(eight_bit=eight_bit)
    payload = template.message_for(Recipient(7, "reader@example.net", {"name": name, "email": ""}))
    assert payload.count(b"\r\n.\r\n") == 1
    shown = " ".join(name.split())
    lines = body(parse(payload), "plain").split("\r\n")
    assert lines[2:4] == [f"{shown}. 끝", shown]
    assert "<b>" not in body(parse(payload), "html")


def test_two_readers_share_nothing_personal() -> None:
    _, template = make_template()
    first = template.message_for(Recipient(1, "a@example.net", {"name": "가", "email": ""}))
    second = template.message_for(Recipient(2, "b@example.net", {"name": "나", "email": ""}))
    assert b"a@example.net" not in second
    assert "가</p>".encode() in first
    assert "가</p>".encode() not in second


def test_a_subject_with_a_merge_field_is_encoded_anew_for_each_reader() -> None:
    _, template = make_template(subject='{{ name|default:"독자" }}님께')
    message = parse(template.message_for(READER))
    assert decoded(message, "Subject") == "김하늘님께"
    nameless = parse(template.message_for(Recipient(8, "x@example.net", {"name": "", "email": ""})))
    assert decoded(nameless, "Subject") == "독자님께"


def test_a_name_with_signs_is_escaped_in_html_and_plain_in_the_text_part() -> None:
    issue = make_issue(make_list(), body_markdown='안녕하세요 {{ name|default:"독자" }}님, **반갑습니다**.')
    save_render(issue)
    issue.refresh_from_db()
    message = parse(
        IssueTemplate(issue, eight_bit=True).message_for(
            Recipient(7, "t@example.net", {"name": "Tom O'Brien & <Co>", "email": ""})
        )
    )
    assert "안녕하세요 Tom O'Brien & <Co>님" in body(message, "plain")
    assert "Tom O&#x27;Brien &amp; &lt;Co&gt;님" in body(message, "html")
