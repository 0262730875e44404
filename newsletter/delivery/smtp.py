"""One SMTP connection: opened, secured and logged in, then written to and read from without waiting.

It is opened step by step, blocking; what is said on it for an issue stands in conversation.py, and crew.py drives several at once.
"""

from __future__ import annotations

import base64
import logging
import re
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import NamedTuple

log = logging.getLogger(__name__)

_CRLF = b"\r\n"
_READ_BYTES = 65536
_MAX_REPLY_BYTES = 65536  # a server that talks on without a line's end is not one we speak with
_REPLY_LINE = re.compile(rb"(\d{3})([ -]?)(.*)", re.DOTALL)


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


class Reply(NamedTuple):
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


@dataclass(slots=True)
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
            self.socket = socket.create_connection((server.host, server.port), timeout=server.timeout_seconds)
        except OSError as error:
            raise ConnectionLostError(f"no connection to {server.host}:{server.port}: {error}") from error
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.server.tls:
            self._wrap_tls()
        self._expect(self._wait_for_reply(), "greeting")
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
            self.socket = context.wrap_socket(self.socket, server_hostname=self.server.host)
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

    def is_alive(self) -> bool:
        """Asks the server whether it is still there (NOOP); hangs up if not."""
        try:
            # Text nobody asked for is a farewell ("421 idle for too long"), and would be taken for the answer to our next command.
            if not self._pending and self._ask(b"NOOP").code == 250 and not self._pending:
                return True
        except ConnectionLostError:
            pass
        self.close()
        return False

    def close(self) -> None:
        """Hangs up, politely where that costs nothing."""
        try:
            self.socket.settimeout(0.2)
            self.socket.sendall(b"QUIT\r\n")
        except OSError:
            log.debug("smtp.quit_failed host=%s", self.server.host)
        finally:
            self.socket.close()

    # --- bytes without waiting: the socket is in non-blocking mode -----------------------------------------------------

    def write_some(self, data: memoryview) -> memoryview:
        """Hands to the kernel what it takes now; gives the rest. Raises ConnectionLostError."""
        try:
            while data:  # TLS takes 16 kB at a time
                data = data[self.socket.send(data) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise ConnectionLostError(self._last_words() or f"writing failed: {error}") from error
        return data

    def _last_words(self) -> str:
        """What a server said before it stopped listening, for instance 421 in the middle of a body."""
        try:
            self.read_some()
        except ConnectionLostError:
            return ""
        return self._pending.decode("utf-8", "replace").strip()[:200]

    def read_some(self) -> None:
        """Takes in what has come. Raises ConnectionLostError, at a connection's end too."""
        try:
            chunk = self.socket.recv(_READ_BYTES)
            # What TLS has decrypted already shows on no select().
            while chunk and isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                chunk += self.socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise ConnectionLostError(f"no answer: {error}") from error
        if not chunk:
            raise ConnectionLostError("the server closed the connection")
        self._pending += chunk

    def next_reply(self) -> Reply | None:
        """The next whole reply of what has come; None when there is none yet. Raises ConnectionLostError for other talk."""
        pending = self._pending
        if (
            pending[3:4] == b" " and pending[:3].isdigit() and (end := pending.find(b"\n")) > 0
        ):  # one line, as nearly all are
            self._pending = pending[end + 1 :]
            return Reply(int(pending[:3]), pending[4:end].rstrip(b"\r").decode("utf-8", "replace"))
        lines: list[str] = []
        start = 0
        while (end := self._pending.find(b"\n", start)) >= 0:
            match = _REPLY_LINE.match(self._pending[start:end].rstrip(b"\r"))
            if match is None:
                raise ConnectionLostError(f"the server answered outside SMTP: {self._pending[start:end][:80]!r}")
            code, mark, words = match.groups()
            lines.append(words.decode("utf-8", "replace"))
            start = end + 1
            if mark != b"-":
                self._pending = self._pending[start:]
                return Reply(int(code), "\n".join(lines))
        if len(self._pending) > _MAX_REPLY_BYTES:
            raise ConnectionLostError("the server's answer has no end")
        return None

    # --- and with waiting, while a connection is opened ---------------------------------------------------------------

    def _expect(self, reply: Reply, step: str) -> Reply:
        if not reply.ok:
            raise SmtpRefusedError(f"{self.server.host} refused at {step}: {reply}")
        return reply

    def _ask(self, line: bytes) -> Reply:
        try:
            self.socket.settimeout(self.server.timeout_seconds)
            self.socket.sendall(line + _CRLF)
        except OSError as error:
            raise ConnectionLostError(f"writing failed: {error}") from error
        return self._wait_for_reply()

    def _wait_for_reply(self) -> Reply:
        # For the whole reply, not for each byte of it: a server could give one byte a second for an hour.
        deadline = time.monotonic() + self.server.timeout_seconds
        while (reply := self.next_reply()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ConnectionLostError("no answer: timed out")
            self.socket.settimeout(left)
            self.read_some()
        return reply
