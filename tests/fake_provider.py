"""A provider made for tests: a real HTTP server on loopback that speaks enough of twelve providers' APIs for Anymail.

It counts every mail it accepts, merged as the provider would merge it: duplicates and losses are counted here, not in our tables.
A fault can be scripted for each call. Point Anymail at it with `anymail_settings(url)`; for other processes there are
`python -m tests.fake_provider PORT`, GET /counts and POST /faults.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.fake_provider_dialects import DIALECTS, Mail, Reply


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call: whether its mails are taken all the same, and how it is answered.

    silence: no answer until the server closes; drip: one byte a second; cut: the answer ends in the middle; hang_up: no answer and
    the connection is closed; status: an error instead of the answer; shuffle: the ids in another order.
    """

    accepts: bool = False
    how: Literal["status", "silence", "drip", "cut", "hang_up", "shuffle"] = "status"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": "scripted"}'


@dataclass
class Call:
    """One HTTP call as it came."""

    esp: str
    headers: dict[str, str]
    body: bytes


class FakeProvider:
    """What the receiving end knows. `faults` are used up one a call; `refused` addresses are refused one by one."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.calls: list[Call] = []
        self.faults: deque[Fault | None] = deque()
        self.refused: set[str] = set()
        self.reads = True  # False: takes every call unread, at no cost, for measuring Mailgun's
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[str, Reply]] = {}
        self.url = ""

    def counts(self) -> Counter[str]:
        """How many mails each address has got."""
        return Counter(mail.address for mail in self.mails)

    def answer(self, call: Call) -> tuple[Fault | None, Reply]:
        """Takes the call's mails, or not, and gives what is to be answered."""
        dialect = DIALECTS[call.esp]
        if not self.reads:
            return None, Reply(200, '{"id": "<1@mailgun.test>", "message": "Queued. Thank you."}')
        with self._lock:
            self.calls.append(call)
            fault = self.faults.popleft() if self.faults else None
            if fault is not None and not fault.accepts:
                return fault, Reply(fault.status, fault.body)
            mails, key = dialect.read(call.body, call.headers)
            if key and key in self._keys:
                return fault, dialect.repeat(*self._keys[key], hashlib.sha256(call.body).hexdigest())
            taken, reply = dialect.take(mails, self.refused)
            self.mails += taken
            if key and reply.status < 300:
                self._keys[key] = (hashlib.sha256(call.body).hexdigest(), reply)
            if fault is not None and fault.how == "status":
                reply = Reply(fault.status, fault.body)
            if fault is not None and fault.how == "shuffle":
                reply = dialect.shuffle(reply)
            return fault, reply


def anymail_settings(url: str) -> dict[str, str]:
    """Anymail's settings with which every provider is this one."""
    keys = {
        "BREVO_API_KEY": "key",
        "MAILERSEND_API_TOKEN": "key",
        "MAILGUN_API_KEY": "key",
        "MAILJET_API_KEY": "key",
        "MAILJET_SECRET_KEY": "key",
        "MAILTRAP_API_TOKEN": "key",
        "MANDRILL_API_KEY": "key",
        "POSTAL_API_KEY": "key",
        "POSTMARK_SERVER_TOKEN": "key",
        "RESEND_API_KEY": "key",
        "SCALEWAY_SECRET_KEY": "key",
        "SCALEWAY_PROJECT_ID": "project",
        "SPARKPOST_API_KEY": "key",
        "UNISENDER_GO_API_KEY": "key",
    }
    return keys | {f"{esp.upper()}_API_URL": f"{url}/{esp}/" for esp in DIALECTS}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: FakeProvider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        first = self.path.split("/")[1]
        if first == "faults":
            self.provider.faults.extend(Fault(**one) if one else None for one in json.loads(body))
            return self._send(Reply(200, "{}"))
        fault, reply = self.provider.answer(Call(first, {k.lower(): v for k, v in self.headers.items()}, body))
        match fault.how if fault else "":
            case "silence":
                self.provider.closing.wait(60)
                self.close_connection = True
            case "hang_up":
                self.close_connection = True
            case "drip":
                self._drip(reply)
            case "cut":
                self._send(Reply(reply.status, reply.body[: len(reply.body) // 2]))
            case "status":
                assert fault is not None
                self._send(Reply(reply.status, reply.body, reply.headers | fault.headers))
            case _:
                self._send(reply)
        return None

    def do_GET(self) -> None:
        mails = [asdict(mail) for mail in self.provider.mails] if self.path == "/mails" else None
        self._send(Reply(200, json.dumps(mails if mails is not None else self.provider.counts())))

    def _send(self, reply: Reply) -> None:
        data = reply.body.encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drip(self, reply: Reply) -> None:
        self.close_connection = True
        for byte in f"HTTP/1.1 {reply.status} OK\r\nX-Slow: {'x' * 100}\r\n\r\n{reply.body}".encode():
            if self.provider.closing.wait(1):
                return
            self.wfile.write(bytes([byte]))

    def log_message(self, *_args: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50

    def handle_error(self, *_args: Any) -> None:
        """A caller that hangs up is what these tests are about."""


@contextmanager
def running_provider(port: int = 0, provider: FakeProvider | None = None) -> Iterator[FakeProvider]:
    """The fake, or one of its kind, listening in a thread of this process."""
    provider = provider or FakeProvider()
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = _Server(("127.0.0.1", port), handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


if __name__ == "__main__":
    with running_provider(int(sys.argv[1])) as running:
        running.reads = "--unread" not in sys.argv
        while True:
            time.sleep(3600)
