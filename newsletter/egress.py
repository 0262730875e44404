"""The one guarded way out to the web. Nothing else in Sosik fetches an address that somebody else wrote.

An editor's link may lead anywhere, also into the network this machine stands in. So a name is resolved once and connected to at that
very address (a name that changes its answer between two questions gains nothing), every address must be public, every redirect is
asked the same questions, and one deadline holds for everything together, a server that sends one byte a second included.
No cookies, no credentials, no proxy from the environment. What goes wrong is a value with words, never an exception.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from ipaddress import IPv4Address, IPv6Address
from queue import Empty, Queue
from typing import Any, Literal
from urllib.parse import urljoin

from django.conf import settings
from django.utils.translation import gettext as _
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.response import HTTPResponse

from newsletter.public_address import Target, WrongTargetError, is_public, read_target

DEADLINE_SECONDS = 5.0  # for everything: resolving, connecting, all redirects, the body
MAX_BODY_BYTES = 5_000_000  # after decompression
MAX_REDIRECTS = 5
_CHUNK_BYTES = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})

Trouble = Literal["", "refused", "unknown-name", "too-slow", "untrusted", "unreachable", "not-http", "redirects"]
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one address; `status` is None and `error` has words when no answer came."""

    url: str  # as asked
    final_url: str  # after the redirects followed
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    is_cut: bool = False  # was there more than MAX_BODY_BYTES?
    permanent_url: str = ""  # where an unbroken run of permanent redirects leads; empty without one
    trouble: Trouble = ""
    error: str = ""  # the trouble in words


def resolve_name(host: str, port: int) -> list[str]:
    """The host's addresses by the system's resolver. Raises OSError."""
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


@dataclass(frozen=True, slots=True)
class Door:
    """What may pass. Only tests use another than PUBLIC: theirs leads to servers on loopback."""

    resolve: Resolve = resolve_name
    allows: Callable[[IPv4Address | IPv6Address], bool] = is_public
    ports: frozenset[int] = frozenset({80, 443})
    seconds: float = DEADLINE_SECONDS
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context


PUBLIC = Door()


class _TroubleError(Exception):
    def __init__(self, trouble: Trouble, words: str) -> None:
        super().__init__(words)
        self.trouble: Trouble = trouble


def fetch(url: str, *, method: Literal["GET", "HEAD"] = "GET", door: Door = PUBLIC) -> Fetched:
    """Fetches a web address, following up to MAX_REDIRECTS redirects; never raises for anything that a URL or a server can do."""
    deadline = time.monotonic() + door.seconds
    here, permanent, is_permanent = url, "", True
    for _hop in range(MAX_REDIRECTS + 1):
        try:
            answer = _ask(here, method, door, deadline)
        except _TroubleError as error:
            return Fetched(url, here, permanent_url=permanent, trouble=error.trouble, error=str(error))
        location = answer.headers.get("location", "")
        if answer.status not in _REDIRECTS or not location:
            return Fetched(url, here, answer.status, answer.headers, answer.body, answer.is_cut, permanent)
        try:
            here = urljoin(here, location)
        except ValueError:
            here = location
        is_permanent = is_permanent and answer.status in _PERMANENT
        permanent = here if is_permanent else permanent
    words = _("It redirects more than %(count)d times.") % {"count": MAX_REDIRECTS}
    return Fetched(url, here, permanent_url=permanent, trouble="redirects", error=words)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


def _ask(url: str, method: str, door: Door, deadline: float) -> _Answer:
    """One request to one address. Raises _TroubleError."""
    try:
        target = read_target(url, door.ports)
        addresses = _resolve(target, door, deadline)
    except WrongTargetError as error:
        raise _TroubleError("refused", str(error)) from error
    connection = _connection(target, addresses, door, deadline)
    try:
        connection.request(method, target.path, headers=_headers(target), preload_content=False, decode_content=False)
        if isinstance(connection.sock, _OnTime):
            connection.sock.deadline = deadline
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.headers.items()}
        body, is_cut = _read_body(response, headers.get("content-encoding", ""))
        return _Answer(response.status, headers, body, is_cut)
    except ssl.SSLCertVerificationError as error:
        words = _("Its certificate is not valid (%(reason)s).") % {"reason": error.verify_message}
        raise _TroubleError("untrusted", words) from error
    except (TimeoutError, ReadTimeoutError) as error:
        words = _("It does not answer within %(seconds)d seconds.") % {"seconds": round(door.seconds)}
        raise _TroubleError("too-slow", words) from error
    except (HTTPException, HTTPError, UnicodeError, ValueError, zlib.error) as error:
        raise _TroubleError("not-http", _("Its answer is not one of a web server.")) from error
    except OSError as error:
        words = _("It cannot be reached (%(reason)s).") % {"reason": error.strerror or type(error).__name__}
        raise _TroubleError("unreachable", words) from error
    finally:
        connection.close()


def _headers(target: Target) -> dict[str, str]:
    return {
        "Host": target.host_header,
        "User-Agent": f"Sosik (+{settings.SITE_URL}/)",
        "Accept": "text/html,*/*;q=0.5",
        "Accept-Encoding": "gzip",
    }


def _resolve(target: Target, door: Door, deadline: float) -> list[str]:
    """The target's addresses, all of them allowed: a name that mixes public and private ones is up to something."""
    answers: Queue[list[str] | OSError] = Queue()

    def ask() -> None:  # in a thread, since a resolver cannot be told to hurry
        try:
            answers.put(door.resolve(target.host, target.port))
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError())

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(deadline - time.monotonic(), 0.001))
    except Empty:
        raise _TroubleError("too-slow", _("Its name is not resolved in time.")) from None
    if isinstance(answer, OSError) or not answer:
        raise _TroubleError("unknown-name", _("There is no such site: its name is unknown."))
    for address in answer:
        target.check_address(address, door.allows)
    return answer


# --- sockets that keep the deadline -----------------------------------------------------------------------------------
# A socket's timeout is for one read: a server that sends a byte a second would never reach it. These count down.


class _OnTime:
    deadline: float = float("inf")

    def recv_into(self, *args: Any, **options: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)  # type: ignore[attr-defined]
        return super().recv_into(*args, **options)  # type: ignore[misc,no-any-return]


class _PlainSocket(_OnTime, socket.socket):
    pass


class _TlsSocket(_OnTime, ssl.SSLSocket):
    pass


def _connection(target: Target, addresses: list[str], door: Door, deadline: float) -> HTTPConnection:
    def connect() -> socket.socket:
        return _connect(addresses, target.port, deadline)

    if target.is_tls:
        context = door.trust()
        context.sslsocket_class = _TlsSocket
        return _PinnedTls(target.host, target.port, connect, context)
    return _PinnedPlain(target.host, target.port, connect)


class _PinnedPlain(HTTPConnection):
    """Connects to the addresses that were checked, whatever the name resolves to by now."""

    def __init__(self, host: str, port: int, connect: Callable[[], socket.socket]) -> None:
        super().__init__(host, port)
        self._pinned = connect

    def _new_conn(self) -> socket.socket:
        return self._pinned()


class _PinnedTls(HTTPSConnection):
    """The same with TLS: the certificate is checked against the name, not the address."""

    def __init__(self, host: str, port: int, connect: Callable[[], socket.socket], context: ssl.SSLContext) -> None:
        super().__init__(host, port, ssl_context=context)
        self._pinned = connect

    def _new_conn(self) -> socket.socket:
        return self._pinned()


def _connect(addresses: list[str], port: int, deadline: float) -> socket.socket:
    """A socket to the first address that answers. Raises OSError."""
    problem = OSError()
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        plain = _PlainSocket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        plain.settimeout(left)
        plain.deadline = deadline
        try:
            plain.connect((address, port))
        except OSError as error:
            plain.close()
            problem = error
        else:
            plain.settimeout(max(deadline - time.monotonic(), 0.001))  # OpenSSL takes it for the handshake as a whole
            return plain
    raise problem


# --- the body ---------------------------------------------------------------------------------------------------------


def _read_body(response: HTTPResponse, encoding: str) -> tuple[bytes, bool]:
    """At most MAX_BODY_BYTES as they are after decompression, and whether there was more: a small gzip can hold gigabytes."""
    inflate = zlib.decompressobj(wbits=47) if encoding.strip().lower() in ("gzip", "x-gzip", "deflate") else None
    body = bytearray()
    while chunk := response.read(_CHUNK_BYTES, decode_content=False):
        while chunk:
            room = MAX_BODY_BYTES - len(body) + 1
            body += inflate.decompress(chunk, room) if inflate else chunk[:room]
            if len(body) > MAX_BODY_BYTES:
                return bytes(body[:MAX_BODY_BYTES]), True
            chunk = inflate.unconsumed_tail if inflate else b""
    return bytes(body), False
