"""The receiving end: an SMTP server that keeps books and no mail, quick enough for a hundred thousand a run.

tests/smtp_twin.py judges every line and keeps every byte; here only who got which issue, how often and when, is of interest.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import defaultdict

from newsletter.demo.system import HOST, find_free_port
from tests.fake_provider import Call, FakeProvider, Fault
from tests.fake_provider_dialects import Reply

_FEEDBACK_ID = re.compile(rb"\r\nFeedback-ID: *(\d+):", re.IGNORECASE)
_END = b"\r\n.\r\n"
_ANSWERS = {b"RSET": b"250 ok\r\n", b"NOOP": b"250 ok\r\n", b"MAIL": b"250 ok\r\n"}


class Receipts:
    """A listening server and its books. A mail is entered before its answer leaves: an answer that is lost has been a mail.

    `unanswered_percent` of the mails are kept and never answered: the connection is closed behind them. `seconds_a_mail` makes the
    server slow, so that a small audience lasts as long as the faults need.
    """

    def __init__(self) -> None:
        self.port = find_free_port()
        self.unanswered_percent = 0.0
        self.seconds_a_mail = 0.0
        self._debt = 0.0  # what unanswered_percent has added up to
        self._times: dict[int, dict[str, list[float]]] = defaultdict(dict)
        self._counts: dict[int, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="receiver", daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def close(self) -> None:
        """Stops listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def enter(self, recipient: str, head: bytes) -> None:
        """One accepted mail; `head` is its beginning."""
        found = _FEEDBACK_ID.search(head)
        issue_id = int(found[1]) if found else 0
        now = time.monotonic()
        with self._lock:
            self._times[issue_id].setdefault(recipient, []).append(now)
            self._counts[issue_id] += 1

    def owes_an_answer(self) -> bool:
        """Whether the mail entered last is answered."""
        self._debt += self.unanswered_percent / 100
        if self._debt < 1:
            return True
        self._debt -= 1
        return False

    def count(self, issue_id: int) -> int:
        """Mails of this issue so far, second copies included."""
        with self._lock:
            return self._counts[issue_id]

    def times(self, issue_id: int) -> dict[str, list[float]]:
        """When each reader got the issue (time.monotonic())."""
        with self._lock:
            return {recipient: list(times) for recipient, times in self._times[issue_id].items()}

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._loop.create_server(lambda: _Conversation(self), HOST, self.port))
        ready.set()
        self._loop.run_forever()


class CountingProvider(FakeProvider):
    """A provider's API that enters its mails in the same books and keeps none of them."""

    def __init__(self, receipts: Receipts) -> None:
        super().__init__()
        self._receipts = receipts

    def answer(self, call: Call) -> tuple[Fault | None, Reply]:
        """As a provider answers; `unanswered_percent` of the calls are taken and never answered."""
        if not self._receipts.owes_an_answer():
            self.faults.append(Fault(accepts=True, how="hang_up"))
        answered = super().answer(call)
        with self._lock:
            taken, self.mails = self.mails, []
            self.calls.clear()
        if self._receipts.seconds_a_mail:
            time.sleep(self._receipts.seconds_a_mail * len(taken))
        for mail in taken:
            self._receipts.enter(mail.address, f"\r\nFeedback-ID: {mail.headers['Feedback-ID']}".encode())
        return answered


class _Conversation(asyncio.Protocol):
    """One connection: envelopes answered, bodies scanned for the number of their issue and forgotten."""

    def __init__(self, receipts: Receipts) -> None:
        self.receipts = receipts
        self.pending = b""
        self.head: bytes | None = None  # the body's beginning, while one is read
        self.recipient = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 receiver\r\n")

    def data_received(self, data: bytes) -> None:
        self.pending += data
        answers: list[bytes] = []
        while self.pending and not self.transport.is_closing():
            answer = self.read_line() if self.head is None else self.read_body()
            if answer is None:
                break
            answers.append(answer)
        self.transport.write(b"".join(answers))

    def read_line(self) -> bytes | None:
        line, found, rest = self.pending.partition(b"\r\n")
        if not found:
            return None
        self.pending = rest
        verb = line[:4].upper()
        if verb == b"RCPT":
            self.recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            return b"250 ok\r\n"
        if verb == b"DATA":
            self.head = b""
            return b"354 go\r\n"
        if verb == b"EHLO":
            return b"250-receiver\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        if verb == b"QUIT":
            self.transport.close()
            return b"221 bye\r\n"
        return _ANSWERS.get(verb, b"502 no\r\n")

    def read_body(self) -> bytes | None:
        assert self.head is not None
        end = self.pending.find(_END)
        if not self.head:
            self.head = b"\r\n" + self.pending[:8000]
        if end < 0:
            self.pending = self.pending[-len(_END) + 1 :]
            return None
        self.pending = self.pending[end + len(_END) :]
        self.receipts.enter(self.recipient, self.head)
        self.head = None
        if self.receipts.seconds_a_mail:
            time.sleep(self.receipts.seconds_a_mail)  # one thread serves all: nobody is served meanwhile
        if not self.receipts.owes_an_answer():
            self.transport.abort()
        return b"250 ok\r\n"
