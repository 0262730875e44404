"""The inbox's SMTP server, spoken to by the standard library and by a bare socket."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from newsletter.demo.inbox import HOST, Inbox, InboxPortTakenError, InboxServer, KeptMail

RAW = b"Subject: one\r\nMessage-ID: <m@x>\r\nFeedback-ID: 7:list:issue:sosik\r\n\r\nbody\r\n..dotted\r\n.\r\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox.sqlite3")


@pytest.fixture
def server(inbox: Inbox) -> Iterator[InboxServer]:
    server = InboxServer(inbox, 0)
    server.start()
    yield server
    server.stop()


class Wire:
    """A bare SMTP conversation."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.lines = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        self.read()
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.socket.close()

    def read(self) -> str:
        """One reply, its continuation lines included."""
        reply = ""
        while True:
            line = self.lines.readline().decode()
            reply += line
            if line[3:4] != "-":
                return reply

    def say(self, data: bytes, replies: int = 1) -> list[str]:
        self.socket.sendall(data)
        return [self.read() for _ in range(replies)]


def test_a_mail_by_smtplib_is_kept_with_its_headers_decoded(server: InboxServer, inbox: Inbox) -> None:
    message = EmailMessage()
    message["Subject"] = "오늘의 소식: 아주 길어서 여러 줄로 접히는 제목입니다, 정말로 그렇습니다"
    message["From"], message["To"] = "news@news.example.org", "seoyeon@example.org"
    message["Message-ID"] = "<token@news.example.org>"
    message.set_content("안녕하세요")
    with smtplib.SMTP(HOST, server.port, timeout=10) as client:
        client.send_message(message)
    (kept,) = inbox.list_mails()
    assert kept.subject == message["Subject"]
    assert (kept.sender, kept.recipient) == ("news@news.example.org", "seoyeon@example.org")
    assert kept.message_id == "<token@news.example.org>"


def test_the_server_offers_what_the_fast_path_needs(server: InboxServer) -> None:
    with smtplib.SMTP(HOST, server.port, timeout=10) as client:
        client.ehlo()
        assert {"pipelining", "8bitmime", "smtputf8"} <= set(client.esmtp_features)


def test_a_pipelining_sender_is_answered_in_order_and_dots_are_taken_off(server: InboxServer, inbox: Inbox) -> None:
    envelope = b"MAIL FROM:<a@example.org> BODY=8BITMIME\r\nRCPT TO:<%s>\r\nDATA\r\n"
    with Wire(server.port) as wire:
        wire.say(b"EHLO test\r\n")
        replies = wire.say(envelope % b"b@example.net", replies=3)
        # The end of one body and the whole envelope of the next in one write.
        replies += wire.say(RAW + envelope % b"c@example.net", replies=4)
        replies += wire.say(RAW + b"QUIT\r\n", replies=2)
    assert [reply[:3] for reply in replies] == ["250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [mail.recipient for mail in inbox.list_mails()] == ["c@example.net", "b@example.net"]
    _, raw = inbox.read_mail(1) or (None, b"")
    assert raw.endswith(b"\r\n\r\nbody\r\n.dotted\r\n")


def test_a_mail_to_two_is_kept_twice(server: InboxServer, inbox: Inbox) -> None:
    with smtplib.SMTP(HOST, server.port, timeout=10) as client:
        client.sendmail("a@example.org", ["b@example.net", "c@example.net"], RAW[:-3])
    assert {mail.recipient for mail in inbox.list_mails()} == {"b@example.net", "c@example.net"}
    assert {mail.feedback_id for mail in inbox.list_mails()} == {"7:list:issue:sosik"}


def test_what_is_answered_with_250_is_in_the_file_already(inbox: Inbox) -> None:
    seen: list[int] = []

    def look(mail: KeptMail, raw: bytes) -> None:
        assert raw.startswith(b"Subject: one")
        seen.append(len(inbox.list_mails()) if inbox.read_mail(mail.id) else 0)

    server = InboxServer(inbox, 0, on_mail=look)
    server.start()
    with smtplib.SMTP(HOST, server.port, timeout=10) as client:
        client.sendmail("a@example.org", ["b@example.net"], RAW[:-3])
        client.sendmail("a@example.org", ["c@example.net"], RAW[:-3])
    server.stop()
    assert seen == [1, 2]


def test_a_slow_recipient_holds_up_nobody_else(inbox: Inbox) -> None:
    server = InboxServer(inbox, 0, delay=lambda address: 0.5 if address.startswith("slow") else 0.0)
    server.start()
    order: list[str] = []

    def send(address: str) -> None:
        with smtplib.SMTP(HOST, server.port, timeout=10) as client:
            client.sendmail("a@example.org", [address], RAW[:-3])
        order.append(address)

    threads = [threading.Thread(target=send, args=(address,)) for address in ("slow@example.net", "b@example.net")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    server.stop()
    assert order == ["b@example.net", "slow@example.net"]


def test_a_taken_port_is_named(server: InboxServer, inbox: Inbox) -> None:
    with pytest.raises(InboxPortTakenError) as caught:
        InboxServer(inbox, server.port).start()
    assert caught.value.port == server.port


def test_stopping_hangs_up_on_whoever_is_connected(server: InboxServer) -> None:
    with Wire(server.port) as wire:
        wire.say(b"EHLO test\r\n")
        server.stop()
        assert wire.lines.read() == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, server.port), timeout=10)


def test_the_newest_mails_come_first_and_pages_do_not_overlap(server: InboxServer, inbox: Inbox) -> None:
    with smtplib.SMTP(HOST, server.port, timeout=10) as client:
        for number in range(5):
            client.sendmail("a@example.org", [f"Reader{number}@example.net"], RAW[:-3])
    first = inbox.list_mails(limit=2)
    second = inbox.list_mails(limit=2, before=first[-1].id)
    assert [mail.recipient[:7] for mail in first + second] == ["Reader4", "Reader3", "Reader2", "Reader1"]
    assert [mail.recipient for mail in inbox.list_mails(search="reader2@")] == ["Reader2@example.net"]
    assert inbox.count_mails() == 5
    assert inbox.read_mail(999) is None
