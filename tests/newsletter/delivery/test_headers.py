"""Headers as a server receives them, read by the standard library's two parsers and by aiosmtpd, none of which wrote them."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path

import pytest
from django.conf import LazySettings
from hypothesis import example, given
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from newsletter.delivery import sender, smtp_pool
from newsletter.delivery.compose import IssueTemplate, Recipient, one_line
from newsletter.delivery.email_url import ProviderSettings
from newsletter.demo.inbox import Inbox, InboxServer
from newsletter.models import Batch, Issue
from newsletter.tokens import personal_token, read_bounce_tag, read_message_token
from subscribers.models import MailingList, Subscriber
from tests.newsletter.delivery.conftest import make_sending_issue
from tests.newsletter.delivery.test_compose import unstuffed
from tests.smtp_twin import SmtpTwin

HARD = [
    "오늘의 소식: 새로운 시작",
    "נבחרו 🏳️‍🌈 👩‍👩‍👧‍👦 ‏שלום‏",
    "النشرة الأسبوعية، العدد ٣",
    "각각 (자모로 쓴) 가\u0301",
    "日本語の件名です、とても長い件名なので折り返しが必要になるはずです。本当に長いですよ。",
    'He said "hi", (really) <now> \\ @ home; a:b',
    "=?utf-8?q?not_an_encoded_word?=",
    "ẍ͓̤̣̮͙̟̘̮̞̤̱̲͎͂̄̓̾̽̀̕͘ " * 3,
    "x" * 118,
    "👍🏽" * 50,
]
_LETTERS = st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn"))
TEXTS = st.one_of(
    st.sampled_from(HARD),
    st.text(_LETTERS, min_size=1, max_size=110),
    st.text('가각ㄱ\u1100\u1161\u0301\u200d\u200f\u202e🏳👩🏽️ab "(<=?_،', min_size=1, max_size=110),
).filter(lambda text: one_line(text) != "")


def template_of(subject: str = "소식", name: str = "아침", **fields: object) -> IssueTemplate:
    """A template of an issue that is in no database."""
    details = {"slug": "morning", "name": name, "from_name": name, "from_email": "news@news.example.org"}
    mailing_list = MailingList(**(details | fields))
    return IssueTemplate(
        Issue(pk=3, mailing_list=mailing_list, subject=subject, text="x\n", html="<p>x</p>\n"), eight_bit=True
    )


def raw_of(template: IssueTemplate, subscriber_id: int = 7, **values: str) -> bytes:
    return unstuffed(template.message_for(Recipient(subscriber_id, "reader@example.net", values)))


def read_old(raw: bytes, name: str) -> str:
    """What the standard library's compat32 policy makes of a header."""
    return str(make_header(decode_header(email.message_from_bytes(raw, policy=email.policy.compat32)[name])))


def read_new(raw: bytes) -> EmailMessage:
    """The mail as the standard library's default policy reads it: another parser, and a stricter one."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def read_header(raw: bytes, name: str) -> str:
    """A header's value as it stands, unfolded."""
    return re.sub(r"\r?\n", "", email.message_from_bytes(raw, policy=email.policy.compat32)[name])


def squashed(text: str) -> str:
    """Without spaces: the default policy of Python 3.11 puts one between two encoded words of a name, against RFC 2047 section 6.2."""
    return "".join(one_line(text).split())


def collapsed(text: str) -> str:
    return " ".join(text.split())


@given(subject=TEXTS, name=TEXTS)
def test_subjects_and_names_in_any_script_round_trip_through_both_parsers(subject: str, name: str) -> None:
    subject = subject.replace("{{", "").replace("0s0s1k", "")
    raw = raw_of(template_of(subject or "x", name))
    head = raw.split(b"\r\n\r\n")[0].decode("ascii")
    assert max(map(len, head.split("\r\n"))) <= 998
    for line in head.split("\r\n"):
        assert "=?" not in line or len(line) <= 76, (
            "RFC 2047 section 2: the most that a line with an encoded word may have"
        )
    for value in (read_header(raw, "Subject"), read_header(raw, "From"), read_header(raw, "List-Id")):
        words = [str(make_header(decode_header(word))) for word in re.findall(r"=\?utf-8\?b\?[^?]*\?=", value)]
        letters = list(iter_graphemes("".join(words)))
        if all(len(letter.encode()) <= 36 for letter in letters):  # what fits into a word
            assert [letter for word in words for letter in iter_graphemes(word)] == letters, "no letter is broken"
    expected = one_line(subject or "x")
    assert collapsed(read_old(raw, "Subject")) == expected
    assert collapsed(str(read_new(raw)["Subject"])) == expected
    shown, spec = parseaddr(read_header(raw, "From"))
    assert (collapsed(str(make_header(decode_header(shown)))), spec) == (one_line(name), "news@news.example.org")
    (address,) = read_new(raw)["From"].addresses
    assert (squashed(address.display_name), address.addr_spec) == (squashed(name), "news@news.example.org")
    assert " <morning.news.example.org>\r\n" in head
    assert re.search(r"^List-Unsubscribe: <https?://[!-~]+>\r?$", head, re.MULTILINE)
    assert "Bcc" not in read_new(raw)
    assert len(read_new(raw).keys()) == len(set(read_new(raw).keys())), "no header twice"


@given(name=TEXTS)
@example(name="x\r\nBcc: evil@evil.test")
@example(name="x\u2028Bcc: evil@evil.test")
def test_a_reader_s_name_in_the_subject_adds_no_header_and_stays_whole(name: str) -> None:
    raw = raw_of(template_of('{{ name|default:"독자" }}님께, 오늘의 소식'), name=name)
    assert set(read_new(raw).keys()) == set(read_new(raw_of(template_of())).keys())
    assert collapsed(read_old(raw, "Subject")) == collapsed(str(read_new(raw)["Subject"]))
    assert read_old(raw, "Subject").endswith("님께, 오늘의 소식")


def test_every_header_of_the_point_stands_once_and_is_right(settings: LazySettings) -> None:
    template = template_of(reply_to="desk@example.org", is_public=True)
    mail = read_new(raw_of(template))
    token = personal_token(3, 7)
    assert {
        name: str(mail[name]) for name in mail if name not in {"From", "Date", "Subject", "Message-ID", "Content-Type"}
    } == {
        "To": "reader@example.net",
        "Reply-To": "desk@example.org",
        "List-Id": "아침 <morning.news.example.org>",
        "List-Archive": f"<{settings.SITE_URL}/morning/>",
        "List-Unsubscribe": f"<{settings.SITE_URL}/u/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Feedback-ID": "3:morning:issue:sosik",
        "Precedence": "bulk",
        "MIME-Version": "1.0",
    }
    assert parsedate_to_datetime(mail["Date"]).tzinfo is not None
    assert read_message_token(mail["Message-ID"].strip("<>").partition("@")[0]) == (3, 7)
    assert "List-Archive" not in read_new(raw_of(template_of(is_public=False))), "there is no such page"


def test_two_readers_mails_differ_only_where_they_must() -> None:
    template = template_of()
    first, second = read_new(raw_of(template, 7)), read_new(raw_of(template, 8))
    differing = {name for name in first if str(first[name]) != str(second[name])}
    assert differing == {"Message-ID", "List-Unsubscribe"}, "Feedback-ID and Date among the others"


@pytest.mark.django_db
def test_a_bounce_finds_its_reader_by_the_signed_tag(twin: SmtpTwin, settings: LazySettings) -> None:
    settings.BOUNCE_ADDRESS = "bounces@bounce.example.org"
    issue = make_sending_issue(3)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert len({mail.sender for mail in twin.mails}) == 3
    for mail in twin.mails:
        local, _, domain = mail.sender.partition("@")
        assert domain == "bounce.example.org"
        assert len(local) <= 64
        box, _, tag = local.partition("+")
        assert box == "bounces"
        pair = read_bounce_tag(tag.upper())
        assert pair == (issue.pk, Subscriber.objects.get(email=mail.recipient).pk)
        assert read_bounce_tag(tag[:-1] + ("0" if tag[-1] != "0" else "1")) is None
        assert read_bounce_tag("x") is None
        assert b"From: =?utf-8?" in mail.raw, "the list's own address is what a reader sees"


@pytest.mark.django_db
def test_without_a_bounce_address_bounces_go_to_the_list(twin: SmtpTwin) -> None:
    issue = make_sending_issue(1)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert twin.mails[0].sender == "news@news.example.org"


@pytest.fixture
def inbox(tmp_path: Path, settings: LazySettings) -> Iterator[Inbox]:
    """aiosmtpd: a server somebody else has written."""
    kept = Inbox(tmp_path / "inbox.sqlite3")
    server = InboxServer(kept, 0)
    server.start()
    settings.PROVIDERS = (ProviderSettings("smtp", host="127.0.0.1", port=server.port),)
    yield kept
    server.stop()
    smtp_pool.close_idle_connections()


@pytest.mark.django_db
@pytest.mark.parametrize("text", HARD)
def test_hard_subjects_and_names_arrive_whole_at_aiosmtpd(inbox: Inbox, text: str) -> None:
    issue = make_sending_issue(1, subject=text)
    MailingList.objects.update(name=text, from_name=text)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    (kept,) = inbox.list_mails()
    found = inbox.read_mail(kept.id)
    assert found
    mail = read_new(found[1])
    assert collapsed(str(mail["Subject"])) == one_line(text)
    assert squashed(mail["From"].addresses[0].display_name) == squashed(text)
