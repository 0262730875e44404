"""An SMTP server for tests that does what it is told: refuses, falls silent, hangs up, lies. It counts every mail it accepted.

Raw sockets and threads, so that a fault is exactly where the test wants it. It judges its client, too: `violations` lists what no
client may do (a group of commands without PIPELINING, eight bits without 8BITMIME, a bare line feed, a line past 998 octets,
a body before the 354).
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

_LONGEST_LINE = 998  # octets without CRLF, RFC 5321 section 4.5.3.1.6
_CHALLENGE = b"<1896.697170952@twin.test>"


class Ending(Enum):
    """How a conversation ends in place of the answer to a body."""

    DROP = "closes, having kept nothing"
    KEEP_AND_DROP = "keeps the mail and closes without a word"
    KEEP_AND_HANG = "keeps the mail and never answers"


@dataclass(frozen=True, slots=True)
class Mail:
    """What the twin took: its envelope, and the bytes as a mailbox would hold them, dots single again."""

    sender: str
    options: str
    recipient: str
    raw: bytes


class _HangUpError(Exception):
    """This conversation is over."""


class SmtpTwin:
    """Each `on_...` is called with an address and gives the answer; replace it, or any other attribute, at any time."""

    def __init__(self, *, certificate: str = "", login: tuple[str, str] | None = None, methods: str = "PLAIN") -> None:
        self.features = ["PIPELINING", "8BITMIME"]
        self.greeting = "220 twin.test"  # empty: closes at once
        self.on_mail: Callable[[str], str] = lambda sender: "250 sender ok"
        self.on_recipient: Callable[[str], str] = lambda recipient: "250 recipient ok"
        self.on_data: Callable[[str], str] = lambda recipient: "354 go"
        self.on_body: Callable[[str], str | Ending] = lambda recipient: "250 kept"
        self.cuts_in_body: Callable[[str], bool] = lambda recipient: False  # 421 after the first kilobyte, and gone
        self.seconds_between_bytes = 0.0  # of its answers
        self.starttls_answer = "220 go ahead"
        self.certificate, self.login, self.methods = certificate, login, methods
        if certificate:
            self.features.append("STARTTLS")
        self.mails: list[Mail] = []
        self.bodies = Counter[str]()  # every body that came whole, accepted or not
        self.violations: list[str] = []
        self.logins: list[str] = []  # each attempt's method
        self.conversations = 0
        self._closing = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, name="twin", daemon=True).start()

    def counts(self) -> Counter[str]:
        """How many mails each address has got: what was accepted here, whatever the sender believes."""
        return Counter(mail.recipient for mail in list(self.mails))

    def close(self) -> None:
        """Hangs up on everybody."""
        self._closing.set()
        for open_socket in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
            open_socket.close()

    def hang_up(self) -> None:
        """Closes every open conversation and goes on listening, as a server does that is restarted."""
        for open_socket in list(self._sockets):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Waits, at most until the twin is closed."""
        self._closing.wait(seconds)

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            self.conversations += 1
            threading.Thread(target=self._converse, args=(connection,), name="twin-talk", daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(_HangUpError, OSError), contextlib.closing(connection):
            conversation = _Conversation(self, connection)
            with contextlib.closing(conversation):
                conversation.run()


class _Conversation:
    """One connection."""

    def __init__(self, twin: SmtpTwin, connection: socket.socket) -> None:
        self.twin, self.connection = twin, connection
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.in_clear = True
        self.reset()

    def close(self) -> None:
        self.connection.close()  # TLS has put another in the place of the first

    def reset(self) -> None:
        self.sender, self.options, self.recipients = "", "", list[str]()

    def run(self) -> None:
        if not self.twin.greeting:
            raise _HangUpError
        self.say(self.twin.greeting)
        while True:
            line = self.read_line().decode()
            verb, _, rest = line.partition(" ")
            # A greeting of 421 or 554 is followed by nothing that could work.
            answer = getattr(self, f"do_{verb.lower()}", self.do_unknown)(rest)
            if self.pending and "PIPELINING" not in self.twin.features:
                self.twin.violations.append(f"more behind {verb} without PIPELINING")
            self.say(answer)
            if answer.startswith(("421", "221")):
                raise _HangUpError
            if verb.upper() == "STARTTLS" and answer.startswith("220"):
                self.begin_tls()
            if verb.upper() == "DATA" and answer.startswith("354"):
                self.take_body()

    # --- commands -----------------------------------------------------------------------------------------------------

    def do_unknown(self, rest: str) -> str:
        return "502 unknown"

    def do_ehlo(self, rest: str) -> str:
        features = [word for word in self.twin.features if word != "STARTTLS" or self.in_clear]
        if self.twin.login:
            features.append(f"AUTH {self.twin.methods}")
        return "\r\n".join(
            [*(f"250-{word}" for word in ["twin.test", *features[:-1]]), f"250 {(features or ['ok'])[-1]}"]
        )

    def do_starttls(self, rest: str) -> str:
        return self.twin.starttls_answer

    def do_auth(self, rest: str) -> str:
        assert self.twin.login
        user, password = self.twin.login
        method, _, first = rest.partition(" ")
        self.twin.logins.append(method)
        match method:
            case "PLAIN":
                good = base64.b64decode(first) == f"\0{user}\0{password}".encode()
            case "LOGIN":
                good = [self.ask("334 VXNlcm5hbWU6"), self.ask("334 UGFzc3dvcmQ6")] == [
                    user.encode(),
                    password.encode(),
                ]
            case "CRAM-MD5":
                expected = hmac.new(password.encode(), _CHALLENGE, "md5").hexdigest()
                good = self.ask("334 " + base64.b64encode(_CHALLENGE).decode()) == f"{user} {expected}".encode()
            case _:
                good = False
        return "235 welcome" if good else "535 5.7.8 no"

    def do_mail(self, rest: str) -> str:
        self.reset()
        address, _, self.options = rest.removeprefix("FROM:").partition(" ")
        self.sender = address.strip("<>")
        if "BODY=8BITMIME" in self.options and "8BITMIME" not in self.twin.features:
            self.twin.violations.append("BODY=8BITMIME was not offered")
        return self.twin.on_mail(self.sender)

    def do_rcpt(self, rest: str) -> str:
        address = rest.removeprefix("TO:").partition(" ")[0].strip("<>")
        answer = self.twin.on_recipient(address)
        if answer.startswith("250"):
            self.recipients.append(address)
        return answer

    def do_data(self, rest: str) -> str:
        if not self.recipients:
            return "503 no recipient"
        answer = self.twin.on_data(self.recipients[0])
        if answer.startswith("354") and self.pending:
            self.twin.violations.append("a body before the 354")
        return answer

    def do_rset(self, rest: str) -> str:
        self.reset()
        return "250 forgotten"

    def do_noop(self, rest: str) -> str:
        return "250 here"

    def do_quit(self, rest: str) -> str:
        return "221 bye"

    # --- the body -----------------------------------------------------------------------------------------------------

    def take_body(self) -> None:
        recipient = self.recipients[0]
        if self.twin.cuts_in_body(recipient):
            while len(self.pending) < 1000 and b"\r\n.\r\n" not in self.pending:
                self.read_more()
            self.say("421 shutting down in the middle")
            raise _HangUpError
        lines = []
        while (line := self.read_line(in_body=True)) != b".":
            lines.append(line.removeprefix(b"."))
        self.twin.bodies[recipient] += 1
        self.judge(lines)
        ending = self.twin.on_body(recipient)
        if ending is Ending.DROP:
            raise _HangUpError
        if isinstance(ending, Ending) or ending.startswith("250"):
            raw = b"".join(line + b"\r\n" for line in lines)
            self.twin.mails += [Mail(self.sender, self.options, address, raw) for address in self.recipients]
        if ending is Ending.KEEP_AND_HANG:
            self.twin.wait(60)
        if isinstance(ending, Ending):
            raise _HangUpError
        self.say(ending)
        if ending.startswith("421"):
            raise _HangUpError
        self.reset()

    def judge(self, lines: list[bytes]) -> None:
        longest = max(map(len, lines), default=0)
        if longest > _LONGEST_LINE:
            self.twin.violations.append(f"a line of {longest} octets")
        head = lines[: lines.index(b"")] if b"" in lines else lines
        if not all(line.isascii() for line in head):
            self.twin.violations.append("a header outside ASCII")
        if "BODY=8BITMIME" not in self.options and not all(line.isascii() for line in lines):
            self.twin.violations.append("eight bits in a mail not said to have them")

    # --- bytes --------------------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        data = text.encode() + b"\r\n"
        gap = self.twin.seconds_between_bytes
        for piece in [data[index : index + 1] for index in range(len(data))] if gap else [data]:
            self.connection.sendall(piece)
            if gap:
                self.twin.wait(gap)

    def ask(self, text: str) -> bytes:
        self.say(text)
        return base64.b64decode(self.read_line())

    def read_more(self) -> None:
        chunk = self.connection.recv(65536)
        if not chunk:
            raise _HangUpError
        self.pending += chunk

    def read_line(self, *, in_body: bool = False) -> bytes:
        while (end := self.pending.find(b"\n")) < 0:
            self.read_more()
        line, self.pending = self.pending[: end + 1], self.pending[end + 1 :]
        if not line.endswith(b"\r\n"):
            self.twin.violations.append("a bare line feed")
        line = line.rstrip(b"\r\n") if not in_body else line[:-2]
        if b"\r" in line:
            self.twin.violations.append("a bare carriage return")
        return line

    def begin_tls(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.twin.certificate)
        self.connection = context.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
        self.connection.do_handshake()
        self.in_clear = False
        self.reset()
