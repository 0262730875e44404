"""A web server on loopback that answers with the very bytes a test gives it, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from newsletter.egress import Door

CERTIFICATE = Path(__file__).with_name("site.test.pem")
Answer = Callable[[bytes], Iterable[bytes]]  # of the request's bytes: what is sent, piece by piece


class Site:
    """Serves until its `with` block ends."""

    def __init__(self, answer: Answer, *, tls: bool = False) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.hung_up = threading.Event()  # somebody closed before the answer's end
        self._context = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATE)

    def __enter__(self) -> Site:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()

    def url(self, path: str = "/", *, host: str = "site.test") -> str:
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def door(self, **changes: object) -> Door:
        """A way to this server under any name."""
        settings: dict[str, object] = {
            "resolve": lambda _host, _port: ["127.0.0.1"],
            "allows": lambda address: str(address) == "127.0.0.1",
            "ports": frozenset({self.port, 80, 443}),
            "seconds": 30.0,  # a busy machine is not a slow site
            "trust": lambda: ssl.create_default_context(cafile=str(CERTIFICATE)),
        }
        return Door(**(settings | changes))  # type: ignore[arg-type]

    def _serve(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[connection], daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            talk = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            request = b""
            while b"\r\n\r\n" not in request:
                piece = talk.recv(65_536)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            try:
                for piece in self._answer(request):
                    talk.sendall(piece)
            except OSError:
                self.hung_up.set()
            talk.close()


def page(body: bytes = b"hello", *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(url: str, status: str = "302 Found") -> bytes:
    """An answer that sends elsewhere."""
    return page(b"", f"Location: {url}", status=status)


def forever(piece: bytes, pause: threading.Event, seconds: float = 0.02) -> Iterator[bytes]:
    """The same piece again and again, slowly; `pause` is never set, it only waits."""
    while not pause.wait(seconds):
        yield piece
