"""SMTP over kept connections, one reader after another on each, with the next envelope pipelined behind the last body.

One write carries "end of this body, MAIL, RCPT, DATA of the next" (RFC 2920 allows the body to open a group), so a message costs
one round trip. A server without PIPELINING is spoken to step by step. What became of a message is told in a word:
accepted, deferred (surely not accepted, may be later), refused (for good), uncertain (the body left and no answer came),
unsent (the body never left). A sixth, failed, is the sender's own: a message that could not be composed.
"""

from __future__ import annotations

import base64
import logging
import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from newsletter.delivery.fates import Fate

log = logging.getLogger(__name__)

_CRLF = b"\r\n"
_READ_BYTES = 65536
_MAX_REPLY_BYTES = 65536  # a server that talks on without a line's end is not one we speak with


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to connect. `starttls` is never given up: a server that does not offer it gets no mail."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    starttls: bool = False
    tls: bool = False
    timeout_seconds: float = 60
    local_name: str = "localhost"


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: its code and its words."""

    code: int
    text: str

    @property
    def ok(self) -> bool:
        """Whether the server agreed (2xx or 3xx)."""
        return 200 <= self.code < 400

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class ConnectionLostError(Exception):
    """The connection broke, timed out, or the server closed it (421)."""


class SmtpRefusedError(Exception):
    """The server answers but will not take mail from us: greeting, STARTTLS or login refused."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on the wire; `key` is the caller's own mark for it, `payload` ends in the closing dot."""

    key: int
    sender: str
    recipient: str
    payload: bytes


class SmtpSession:
    """One connection, greeted and logged in."""

    def __init__(self, server: SmtpServer) -> None:
        self.server = server
        self._pending = b""
        self._features: dict[str, str] = {}
        try:
            self._socket = socket.create_connection((server.host, server.port), timeout=server.timeout_seconds)
        except OSError as error:
            raise ConnectionLostError(f"no connection to {server.host}:{server.port}: {error}") from error
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.tls:
            self._wrap_tls()
        self._expect(self._read_reply(), "greeting")
        self._hello()
        if self.server.starttls:
            if "STARTTLS" not in self._features:
                raise SmtpRefusedError(
                    f"{self.server.host} offers no STARTTLS. Check EMAIL_URL; mail is not sent in clear."
                )
            self._expect(self._ask(b"STARTTLS"), "STARTTLS")
            if self._pending:
                raise SmtpRefusedError(f"{self.server.host} sent text before TLS began: somebody is in between.")
            self._wrap_tls()
            self._hello()
        if self.server.user:
            self._log_in()
        self.pipelining = "PIPELINING" in self._features
        self.eight_bit = "8BITMIME" in self._features
        self.utf8_addresses = "SMTPUTF8" in self._features

    def _wrap_tls(self) -> None:
        try:
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=self.server.host)
        except OSError as error:
            raise SmtpRefusedError(f"TLS with {self.server.host} failed: {error}") from error

    def _hello(self) -> None:
        reply = self._expect(self._ask(b"EHLO " + self.server.local_name.encode("idna")), "EHLO")
        lines = reply.text.split("\n")[1:]
        self._features = {word.upper(): rest for word, _, rest in (line.partition(" ") for line in lines)}

    def _log_in(self) -> None:
        # The standard library knows the mechanisms; it is lent our socket's conversation.
        methods = self._features.get("AUTH", "").upper().split()
        user, password = self.server.user, self.server.password
        if "PLAIN" in methods:
            secret = base64.b64encode(f"\0{user}\0{password}".encode())
            reply = self._ask(b"AUTH PLAIN " + secret)
        elif "LOGIN" in methods:
            reply = self._ask(b"AUTH LOGIN")
            for word in (user, password):
                if reply.code == 334:
                    reply = self._ask(base64.b64encode(word.encode()))
        elif "CRAM-MD5" in methods:
            reply = self._ask(b"AUTH CRAM-MD5")
            if reply.code == 334:
                lender = smtplib.SMTP()
                lender.user, lender.password = user, password
                answer = lender.auth_cram_md5(base64.b64decode(reply.text))
                reply = self._ask(base64.b64encode((answer or "").encode()))
        else:
            raise SmtpRefusedError(f"{self.server.host} offers no login we know ({' '.join(methods) or 'none'}).")
        if reply.code != 235:
            raise SmtpRefusedError(
                f"{self.server.host} refused the login: {reply}. Check user and password in EMAIL_URL."
            )

    # --- the conversation ---------------------------------------------------------------------------------------------

    def deliver(
        self,
        first: Envelope,
        take_next: Callable[[], Envelope | None],
        settle: Callable[[int, Fate, str], None],
    ) -> None:
        """Delivers `first` and whatever `take_next` gives without waiting, telling `settle` the fate of each.

        Ends when take_next has nothing at hand. When the connection breaks, everything it held has been settled (uncertain or
        unsent) before ConnectionLostError is raised; SmtpRefusedError tells that the server will not take our sender.
        """

        def next_envelope() -> Envelope | None:
            envelope = take_next()
            while envelope is not None and not (self.utf8_addresses or envelope.recipient.isascii()):
                settle(envelope.key, Fate.REFUSED, "the server takes no address outside ASCII (SMTPUTF8)")
                envelope = take_next()
            return envelope

        current: Envelope | None = first
        body_left = False  # whether a byte of current's closing has been written
        following: Envelope | None = None
        try:
            opened = self._open_envelope(self._envelope_commands(first))
            while current is not None:
                if isinstance(opened, Reply):
                    settle(current.key, _fate(opened), str(opened))
                    current = next_envelope()
                    if current is not None:
                        opened = self._open_envelope(b"RSET\r\n" + self._envelope_commands(current), resets=1)
                    continue
                following = next_envelope() if self.pipelining else None
                body_left = True
                self._write(current.payload + (self._envelope_commands(following) if following else b""))
                reply = self._read_reply()
                settle(current.key, _fate(reply), str(reply))
                body_left = False
                current = None
                _check_open(reply)
                if following is not None:
                    current, following = following, None
                    opened = self._read_envelope_replies()
                else:
                    current = next_envelope()
                    if current is not None:
                        opened = self._open_envelope(self._envelope_commands(current))
        except (ConnectionLostError, SmtpRefusedError) as error:
            if current is not None:
                settle(current.key, Fate.UNCERTAIN if body_left else Fate.UNSENT, str(error))
            if following is not None:
                settle(following.key, Fate.UNSENT, str(error))
            self.close()
            raise

    def _envelope_commands(self, envelope: Envelope) -> bytes:
        options = " BODY=8BITMIME" if self.eight_bit else ""
        if self.utf8_addresses and not envelope.recipient.isascii():
            options += " SMTPUTF8"
        return f"MAIL FROM:<{envelope.sender}>{options}\r\nRCPT TO:<{envelope.recipient}>\r\nDATA\r\n".encode()

    def _open_envelope(self, commands: bytes, *, resets: int = 0) -> Reply | None:
        """Speaks the envelope; None when the server waits for the body, else the answer that refused it."""
        if self.pipelining:
            self._write(commands)
            for _ in range(resets):
                self._read_reply()
            return self._read_envelope_replies()
        for line in commands.splitlines():
            reply = self._ask(line)
            _check_open(reply)
            self._check_sender(line.startswith(b"MAIL"), reply)
            if not reply.ok:
                return reply
        return None

    def _check_sender(self, is_mail: bool, reply: Reply) -> None:
        # Refused for our sake, not the reader's: nobody must be marked as rejected for that.
        if is_mail and reply.code >= 500:
            raise SmtpRefusedError(f"{self.server.host} refused our sender address: {reply}")

    def _read_envelope_replies(self) -> Reply | None:
        mail, rcpt, data = self._read_reply(), self._read_reply(), self._read_reply()
        for reply in (mail, rcpt, data):
            _check_open(reply)
        self._check_sender(True, mail)
        refusal = next((reply for reply in (mail, rcpt) if not reply.ok), None)
        if data.code == 354:
            if refusal is None:
                return None
            # A server that opens DATA though it refused the recipient: close it with nothing in it.
            self._write(b".\r\n")
            self._read_reply()
        return refusal or data

    def is_alive(self) -> bool:
        """Asks the server whether it is still there (NOOP)."""
        try:
            return self._ask(b"NOOP").code == 250
        except ConnectionLostError:
            self.close()
            return False

    def close(self) -> None:
        """Hangs up, politely where that costs nothing."""
        try:
            self._socket.settimeout(0.2)
            self._socket.sendall(b"QUIT\r\n")
        except OSError:
            log.debug("smtp.quit_failed host=%s", self.server.host)
        finally:
            self._socket.close()

    # --- bytes --------------------------------------------------------------------------------------------------------

    def _expect(self, reply: Reply, step: str) -> Reply:
        if not reply.ok:
            raise SmtpRefusedError(f"{self.server.host} refused at {step}: {reply}")
        return reply

    def _ask(self, line: bytes) -> Reply:
        self._write(line + _CRLF)
        return self._read_reply()

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ConnectionLostError(f"writing failed: {error}") from error

    def _read_reply(self) -> Reply:
        lines: list[str] = []
        while True:
            line = self._read_line()
            match = re.match(r"(\d{3})([ -]?)(.*)", line)
            if match is None:
                raise ConnectionLostError(f"the server answered outside SMTP: {line[:80]!r}")
            lines.append(match[3])
            if match[2] != "-":
                return Reply(int(match[1]), "\n".join(lines))

    def _read_line(self) -> str:
        while True:
            line, found, rest = self._pending.partition(b"\n")
            if found:
                self._pending = rest
                return line.rstrip(b"\r").decode("utf-8", "replace")
            if len(self._pending) > _MAX_REPLY_BYTES:
                raise ConnectionLostError("the server's answer has no end")
            try:
                chunk = self._socket.recv(_READ_BYTES)
            except OSError as error:
                raise ConnectionLostError(f"no answer: {error}") from error
            if not chunk:
                raise ConnectionLostError("the server closed the connection")
            self._pending += chunk


def _check_open(reply: Reply) -> None:
    if reply.code == 421:  # the server says that it closes the connection
        raise ConnectionLostError(str(reply))


def _fate(reply: Reply) -> Fate:
    if reply.ok:
        return Fate.ACCEPTED
    return Fate.REFUSED if reply.code >= 500 else Fate.DEFERRED
