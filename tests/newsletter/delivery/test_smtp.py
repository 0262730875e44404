"""Our side of SMTP, judged by aiosmtpd and by servers that misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from newsletter.delivery.smtp import (
    ConnectionLostError,
    Envelope,
    Fate,
    SmtpRefusedError,
    SmtpServer,
    SmtpSession,
)

BODY = "Subject: 안녕\r\n\r\n본문\r\n..점으로 시작\r\n.\r\n".encode()


class Keeper:
    """Keeps what arrives; refuses and defers by name; advertises PIPELINING where asked to."""

    def __init__(self, pipelining: bool = True) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.pipelining = pipelining

    async def handle_EHLO(
        self, server: SMTP, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.pipelining:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "450 4.2.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.received.append((envelope.rcpt_tos[0], envelope.content))
        if envelope.rcpt_tos[0].startswith("spam"):
            return "554 5.7.1 looks like spam"
        return "250 OK"


@contextmanager
def running(keeper: Keeper, **options: Any) -> Iterator[SmtpServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(keeper, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield SmtpServer("127.0.0.1", port, timeout_seconds=5)
    finally:
        controller.stop()
        controller.loop.close()


def deliver_all(session: SmtpSession, addresses: list[str]) -> dict[str, Fate]:
    fates: dict[str, Fate] = {}
    queue = [Envelope(index, "news@example.org", address, BODY) for index, address in enumerate(addresses)]

    def take() -> Envelope | None:
        return queue.pop(0) if queue else None

    def settle(key: int, fate: Fate, words: str) -> None:
        assert addresses[key] not in fates, "settled twice"
        fates[addresses[key]] = fate

    first = take()
    assert first is not None
    session.deliver(first, take, settle)
    return fates


@pytest.mark.parametrize("pipelining", [True, False])
def test_each_recipient_gets_one_answer_and_the_accepted_one_mail(pipelining: bool) -> None:
    addresses = ["a@x.test", "nobody@x.test", "b@x.test", "later@x.test", "nobody2@x.test", "spam@x.test", "c@x.test"]
    keeper = Keeper(pipelining)
    with running(keeper) as server:
        session = SmtpSession(server)
        assert session.pipelining is pipelining
        fates = deliver_all(session, addresses)
        session.close()
    assert fates == {
        "a@x.test": Fate.ACCEPTED,
        "nobody@x.test": Fate.REFUSED,
        "b@x.test": Fate.ACCEPTED,
        "later@x.test": Fate.DEFERRED,
        "nobody2@x.test": Fate.REFUSED,
        "spam@x.test": Fate.REFUSED,
        "c@x.test": Fate.ACCEPTED,
    }
    assert [address for address, _ in keeper.received] == ["a@x.test", "b@x.test", "spam@x.test", "c@x.test"]


def test_doubled_dots_arrive_single_and_korean_arrives_whole() -> None:
    keeper = Keeper()
    with running(keeper) as server:
        session = SmtpSession(server)
        deliver_all(session, ["a@x.test"])
        session.close()
    assert keeper.received[0][1].decode() == "Subject: 안녕\r\n\r\n본문\r\n.점으로 시작\r\n"


def test_login_works_with_plain_and_a_wrong_password_says_what_to_check() -> None:
    class Authenticator:
        def __call__(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
            from aiosmtpd.smtp import AuthResult

            return AuthResult(success=(data.login, data.password) == (b"me", b"right"), handled=False)

    options: dict[str, Any] = {"authenticator": Authenticator(), "auth_require_tls": False}
    with running(Keeper(), **options) as server:
        good = SmtpSession(SmtpServer("127.0.0.1", server.port, user="me", password="right", timeout_seconds=5))
        assert deliver_all(good, ["a@x.test"]) == {"a@x.test": Fate.ACCEPTED}
        good.close()
        with pytest.raises(SmtpRefusedError, match="EMAIL_URL"):
            SmtpSession(SmtpServer("127.0.0.1", server.port, user="me", password="wrong", timeout_seconds=5))


def test_a_server_without_starttls_gets_no_mail_in_clear() -> None:
    with running(Keeper()) as server, pytest.raises(SmtpRefusedError, match="STARTTLS"):
        SmtpSession(SmtpServer("127.0.0.1", server.port, starttls=True, timeout_seconds=5))


def test_nobody_listening_is_a_lost_connection() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionLostError):
            SmtpSession(SmtpServer("127.0.0.1", reserved.getsockname()[1], timeout_seconds=2))


@contextmanager
def scripted(talk: Callable[[socket.socket, Any], None]) -> Iterator[SmtpServer]:
    """A server that greets, says hello with PIPELINING, and then does what the test wants."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 hello\r\n")
            lines.readline()
            connection.sendall(b"250-me\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            talk(connection, lines)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield SmtpServer("127.0.0.1", listener.getsockname()[1], timeout_seconds=2)
    finally:
        thread.join(5)
        listener.close()


def read_envelope(connection: socket.socket, lines: Any) -> None:
    for _ in range(3):
        lines.readline()
    connection.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")


def read_body(lines: Any) -> None:
    while lines.readline() not in (b".\r\n", b""):
        pass


def run_until_lost(server: SmtpServer, addresses: list[str]) -> list[tuple[int, Fate]]:
    fates: list[tuple[int, Fate]] = []
    queue = [Envelope(index, "news@example.org", address, BODY) for index, address in enumerate(addresses)]
    session = SmtpSession(server)
    with pytest.raises(ConnectionLostError):
        session.deliver(
            queue.pop(0),
            lambda: queue.pop(0) if queue else None,
            lambda key, fate, words: fates.append((key, fate)),
        )
    return fates


def test_a_connection_cut_after_the_final_dot_leaves_one_uncertain_and_the_next_unsent() -> None:
    def talk(connection: socket.socket, lines: Any) -> None:
        read_envelope(connection, lines)
        read_body(lines)

    with scripted(talk) as server:
        assert run_until_lost(server, ["a@x.test", "b@x.test", "c@x.test"]) == [(0, Fate.UNCERTAIN), (1, Fate.UNSENT)]


def test_a_server_that_never_answers_after_the_dot_leaves_it_uncertain() -> None:
    done = threading.Event()

    def talk(connection: socket.socket, lines: Any) -> None:
        read_envelope(connection, lines)
        read_body(lines)
        done.wait(5)

    with scripted(talk) as server:
        assert run_until_lost(server, ["a@x.test"]) == [(0, Fate.UNCERTAIN)]
        done.set()


def test_a_421_in_place_of_the_envelope_leaves_the_message_unsent() -> None:
    def talk(connection: socket.socket, lines: Any) -> None:
        lines.readline()
        connection.sendall(b"421 too many connections\r\n")

    with scripted(talk) as server:
        assert run_until_lost(server, ["a@x.test"]) == [(0, Fate.UNSENT)]


def test_a_421_for_the_next_envelope_does_not_touch_the_one_already_accepted() -> None:
    def talk(connection: socket.socket, lines: Any) -> None:
        read_envelope(connection, lines)
        read_body(lines)
        connection.sendall(b"250 taken\r\n421 enough for today\r\n")

    with scripted(talk) as server:
        assert run_until_lost(server, ["a@x.test", "b@x.test"]) == [(0, Fate.ACCEPTED), (1, Fate.UNSENT)]


def test_a_refused_sender_is_our_trouble_and_rejects_no_reader() -> None:
    def talk(connection: socket.socket, lines: Any) -> None:
        for _ in range(3):
            lines.readline()
        connection.sendall(b"550 sender not allowed\r\n503 no\r\n503 no\r\n")

    fates: list[Fate] = []
    with scripted(talk) as server:
        session = SmtpSession(server)
        with pytest.raises(SmtpRefusedError, match="sender"):
            session.deliver(
                Envelope(0, "news@example.org", "a@x.test", BODY),
                lambda: None,
                lambda key, fate, words: fates.append(fate),
            )
    assert fates == [Fate.UNSENT]
