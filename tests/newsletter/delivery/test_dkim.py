"""Signatures, judged by dkimpy, which made none of them, over the bytes a server has received."""

from __future__ import annotations

import re
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from newsletter.delivery import sender
from newsletter.delivery.compose import IssueTemplate, Recipient
from newsletter.delivery.dkim import DkimKey, DkimKeyError, canonical_body, load_key, sign_message
from newsletter.delivery.transactional import send_alert, send_confirmation_mail, send_test
from newsletter.models import Batch, Issue
from newsletter.rendering.merge import TOKEN, Slot, mark_slot
from subscribers.models import MailingList, Subscription
from subscribers.signup import request_subscription
from tests.factories import make_issue, make_list
from tests.newsletter.delivery.conftest import make_sending_issue
from tests.newsletter.delivery.test_compose import unstuffed
from tests.smtp_twin import SmtpTwin

DOMAIN = "news.example.org"
RSA = DkimKey(DOMAIN, "r1", rsa.generate_private_key(65537, 2048))
ED25519 = DkimKey(DOMAIN, "e1", Ed25519PrivateKey.generate())
KEYS = (RSA, ED25519)


def published(name: bytes, timeout: int = 5) -> bytes | None:
    """The DNS, as it is once an operator has published what `doctor` prints."""
    return next((key.record.encode() for key in KEYS if name.decode().rstrip(".") == key.record_name), None)


def verdicts(raw: bytes) -> list[bool]:
    """dkimpy's word on each signature from top to bottom."""
    count = len(re.findall(rb"^DKIM-Signature:", raw, re.MULTILINE))
    return [is_good(raw, index) for index in range(count)]


def is_good(raw: bytes, index: int) -> bool:
    try:
        return bool(dkim.DKIM(raw).verify(idx=index, dnsfunc=published))
    except dkim.ValidationError:
        return False


# --- what leaves --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("features", [["PIPELINING", "8BITMIME"], []])
def test_every_mail_of_an_issue_verifies_as_received(
    twin: SmtpTwin, settings: LazySettings, features: list[str]
) -> None:
    settings.DKIM_KEYS = KEYS
    twin.features = features
    issue = make_sending_issue(5)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert len(twin.mails) == 5
    for mail in twin.mails:
        assert verdicts(mail.raw) == [True, True]
        assert b"d=news.example.org" in mail.raw


@pytest.mark.django_db
def test_single_mails_verify_as_received(twin: SmtpTwin, settings: LazySettings) -> None:
    settings.DKIM_KEYS = KEYS
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", twin.port
    mailing_list = make_list(name="아침 소식 " + "아주 긴 이름 " * 8, reply_to="reply@example.org")
    request_subscription(mailing_list, "me@example.net", source="page", ip="", wording="ok")
    assert send_confirmation_mail(Subscription.objects.get().pk)
    send_test(make_issue(mailing_list).pk, "editor@example.net")
    assert [mail.recipient for mail in twin.mails] == ["me@example.net", "editor@example.net"]
    for mail in twin.mails:
        assert verdicts(mail.raw) == [True, True]
        assert b"\r\nReply-To: reply@example.org\r\n" in mail.raw
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in twin.mails[0].raw


@pytest.mark.django_db
def test_an_alert_verifies_as_received(twin: SmtpTwin, settings: LazySettings) -> None:
    settings.DKIM_KEYS, settings.ALERT_EMAIL = KEYS, "operator@example.net"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    send_alert(make_issue(make_list()), ["멈췄습니다."])
    assert [mail.recipient for mail in twin.mails] == ["operator@example.net"]
    assert verdicts(twin.mails[0].raw) == [True, True]


@pytest.mark.django_db
def test_a_domain_without_a_key_sends_unsigned(twin: SmtpTwin, settings: LazySettings) -> None:
    settings.DKIM_KEYS = (DkimKey("other.example", "r1", RSA.private),)
    issue = make_sending_issue(1)
    sender.send_batch(Batch.objects.get(issue=issue).pk)
    assert b"DKIM-Signature" not in twin.mails[0].raw


# --- what a signature holds fast --------------------------------------------------------------------------------------


def signed_issue(text: str = "안녕\n", html: str = "<p>x</p>\n", **fields: str) -> tuple[IssueTemplate, Recipient]:
    """A template of an issue that is in no database."""
    mailing_list = MailingList(
        slug="morning", name="아침", from_name="아침", from_email=f"news@{DOMAIN}", merge_fields=["a", "b"]
    )
    issue = Issue(pk=3, mailing_list=mailing_list, subject="소식", text=text, html=html)
    with override_settings(DKIM_KEYS=KEYS):
        return IssueTemplate(issue, eight_bit=True), Recipient(7, "reader@example.net", fields)


def test_touching_either_unsubscribe_header_breaks_the_signature() -> None:
    template, reader = signed_issue()
    raw = unstuffed(template.message_for(reader))
    assert verdicts(raw) == [True, True]
    for name in (b"List-Unsubscribe", b"List-Unsubscribe-Post"):
        (line,) = re.findall(rb"^" + name + rb": .*\r\n", raw, re.MULTILINE)
        assert b"=?" not in line
        for other in (line.replace(b": ", b": x"), b"", line + line, line + name + b": <https://evil.test/>\r\n"):
            assert verdicts(raw.replace(line, other)) == [False, False], (name, other)


@pytest.mark.parametrize(
    "name", ["From", "Subject", "To", "Date", "Message-ID", "Reply-To", "Cc", "MIME-Version", "Content-Type"]
)
def test_a_second_header_of_the_kind_a_reader_sees_breaks_the_signature(name: str) -> None:
    template, reader = signed_issue()
    raw = unstuffed(template.message_for(reader))
    signature, rest = raw.split(b"From:", 1)
    assert verdicts(signature + name.encode() + b": x@evil.test\r\nFrom:" + rest) == [False, False]


def test_list_id_and_feedback_id_are_signed() -> None:
    template, reader = signed_issue()
    raw = unstuffed(template.message_for(reader))
    assert verdicts(raw.replace(b"<morning.", b"<evening.")) == [False, False]
    assert verdicts(raw.replace(b"3:morning:", b"4:morning:")) == [False, False]


def test_a_letter_changed_in_the_body_breaks_the_signature() -> None:
    template, reader = signed_issue()
    raw = unstuffed(template.message_for(reader))
    assert verdicts(raw.replace(b"<p>x</p>", b"<p>y</p>")) == [False, False]


# --- relaxed form, exactly ----------------------------------------------------------------------------------------------

_VALUES = st.text(alphabet=" .\t\r\nab가̈\u200d🏳\u200f&<", max_size=12)
_PIECES = st.one_of(
    st.text(alphabet=" .\t\nab가<>", max_size=12),
    st.sampled_from(
        [TOKEN, Slot("a", "text"), Slot("b", "html"), Slot("a", "url", "x y"), Slot("b", "text", ". ")]
    ).map(mark_slot),
)
_MARKED = st.lists(_PIECES, max_size=12).map("".join)


@given(text=_MARKED, html=_MARKED, a=_VALUES, b=_VALUES)
@example(text=f"{mark_slot(Slot('a', 'text'))}{mark_slot(Slot('b', 'text'))}\nRCPT TO:<x@y>\n", html="", a="", b=".")
@example(text=f"a {mark_slot(Slot('a', 'text'))} \n\n\n", html=" \t", a="", b="")
def test_whatever_a_reader_is_called_the_signature_verifies_and_the_mail_ends_where_it_should(
    text: str, html: str, a: str, b: str
) -> None:
    template, reader = signed_issue(text, html, a=a, b=b)
    payload = template.message_for(reader)
    assert payload.count(b"\r\n.\r\n") == 1
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", payload)
    raw = unstuffed(payload)
    if "\n." in text:  # no line of the mail may have lost its dot on the way
        assert raw.count(b"\n.") >= text.replace("\r", "").count("\n.")
    _, ours = verdicts(raw)
    assert ours


@given(st.binary(max_size=400).map(lambda raw: raw.translate(bytes(b" \t\r\n.a"[byte % 6] for byte in range(256)))))
def test_the_relaxed_body_is_the_one_dkimpy_makes(raw: bytes) -> None:
    body = b"\r\n".join(re.split(rb"\r\n|\r|\n", raw))
    assert canonical_body(body) == dkim.canonicalization.Relaxed.canonicalize_body(body + b"\r\n")


@given(
    st.lists(
        st.tuples(st.sampled_from(["Subject", "To", "X-Other", "Date"]), st.text(alphabet=" \tab:;=가", max_size=60)),
        max_size=6,
    )
)
def test_headers_of_any_shape_verify(headers: list[tuple[str, str]]) -> None:
    lines = ["From: a@news.example.org", *(f"{name}:{value.strip()}\r\n\t x {value}y" for name, value in headers)]
    raw = "\r\n".join(lines).encode() + b"\r\n\r\nbody\r\n"
    assert verdicts(sign_message((ED25519,), raw) + raw) == [True]


# --- keys ---------------------------------------------------------------------------------------------------------------


def write_key(path: Path, key: object, *, password: bytes = b"") -> Path:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock))  # type: ignore[attr-defined]
    return path


def test_a_key_from_a_file_signs(tmp_path: Path) -> None:
    for key in KEYS:
        assert load_key(DOMAIN, key.selector, write_key(tmp_path / "key.pem", key.private)).record == key.record


def test_a_key_that_cannot_sign_is_refused_with_the_reason(tmp_path: Path) -> None:
    weak = write_key(tmp_path / "weak.pem", rsa.generate_private_key(65537, 1024))
    other = write_key(tmp_path / "other.pem", ec.generate_private_key(ec.SECP256R1()))
    locked = write_key(tmp_path / "locked.pem", ED25519.private, password=b"secret")
    text = tmp_path / "text.pem"
    text.write_text("no key")
    good = write_key(tmp_path / "good.pem", ED25519.private)
    for domain, selector, path, reason in (
        (DOMAIN, "s", tmp_path / "none.pem", "No such file"),
        (DOMAIN, "s", weak, "1024 bits"),
        (DOMAIN, "s", other, "neither an RSA nor an Ed25519"),
        (DOMAIN, "s", locked, "without a password"),
        (DOMAIN, "s", text, "no private key"),
        ("소식.kr", "s", good, "lower-case ASCII"),
        (DOMAIN, "s s", good, "lower-case ASCII"),
    ):
        with pytest.raises(DkimKeyError, match=reason):
            load_key(domain, selector, path)


def test_a_key_is_never_shown() -> None:
    assert "private" not in repr(RSA)
