"""The built-in inbox: an SMTP server on loopback that keeps every mail in a file of its own.

A mail is committed before its 250 goes out, so what the sender was told was accepted can be read here. Nothing leaves this machine.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sqlite3
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.policy import compat32
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
LARGEST_MAIL_BYTES = 32 * 1024 * 1024
SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (
    id INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    message_id TEXT NOT NULL,
    feedback_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    raw BLOB NOT NULL
);
"""


class InboxPortTakenError(Exception):
    """Another program listens on the port the inbox wants."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port


@dataclass(frozen=True, slots=True)
class KeptMail:
    """One mail as received, without its body; times in UTC."""

    id: int
    received_at: datetime
    sender: str
    recipient: str
    message_id: str
    feedback_id: str
    subject: str


class Inbox:
    """The file of mails: written by one thread, read by any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.connect() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)
        connection.close()

    def connect(self) -> sqlite3.Connection:
        """A connection for any thread; the caller closes it."""
        connection = sqlite3.connect(self.path, timeout=20, check_same_thread=False)
        # A trial inbox may forget its last second in a power cut; it keeps up with 1,500 mails a second this way.
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    def list_mails(self, *, search: str = "", before: int | None = None, limit: int = 50) -> list[KeptMail]:
        """The newest mails whose recipient contains `search`, below the id `before`."""
        connection = self.connect()
        try:
            rows = connection.execute(
                "SELECT id, received_at, sender, recipient, message_id, feedback_id, subject FROM mail"
                " WHERE (? IS NULL OR id < ?) AND instr(lower(recipient), lower(?)) > 0 ORDER BY id DESC LIMIT ?",
                (before, before, search, limit),
            ).fetchall()
        finally:
            connection.close()
        return [_kept(row) for row in rows]

    def read_mail(self, mail_id: int) -> tuple[KeptMail, bytes] | None:
        """One mail and its bytes as they came, or None."""
        connection = self.connect()
        try:
            row = connection.execute(
                "SELECT id, received_at, sender, recipient, message_id, feedback_id, subject, raw FROM mail WHERE id = ?",
                (mail_id,),
            ).fetchone()
        finally:
            connection.close()
        return (_kept(row[:7]), bytes(row[7])) if row else None

    def count_mails(self) -> int:
        """How many mails are kept."""
        connection = self.connect()
        try:
            return int(connection.execute("SELECT count(*) FROM mail").fetchone()[0])
        finally:
            connection.close()


def _kept(row: tuple[int, str, str, str, str, str, str]) -> KeptMail:
    number, received_at, *texts = row
    return KeptMail(number, datetime.fromisoformat(received_at), *texts)


class _Keeper:
    """What aiosmtpd asks for: says what we can do, keeps what comes."""

    def __init__(
        self, inbox: Inbox, on_mail: Callable[[KeptMail, bytes], None] | None, delay: Callable[[str], float]
    ) -> None:
        self.connection = inbox.connect()
        self.parser = BytesHeaderParser(policy=compat32)
        self.on_mail = on_mail
        self.delay = delay

    async def handle_EHLO(  # noqa: N802  (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Adds PIPELINING, which aiosmtpd can do but does not say: it reads commands one by one from a stream."""
        del server, envelope
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Commits the mail, once for each recipient, and only then accepts it."""
        del server, session
        raw = envelope.content
        assert isinstance(raw, bytes)
        slowest = max(map(self.delay, envelope.rcpt_tos))
        if slowest:
            await asyncio.sleep(slowest)
        kept = [self.keep(envelope.mail_from or "", recipient, raw) for recipient in envelope.rcpt_tos]
        if self.on_mail:
            for mail in kept:
                self.on_mail(mail, raw)
        return f"250 2.0.0 kept as {kept[0].id}"

    def keep(self, sender: str, recipient: str, raw: bytes) -> KeptMail:
        headers = self.parser.parsebytes(raw.partition(b"\r\n\r\n")[0])
        received_at = datetime.now(UTC)
        texts = (
            sender,
            recipient,
            str(headers.get("Message-ID", "")),
            str(headers.get("Feedback-ID", "")),
            read_header(str(headers.get("Subject", ""))),
        )
        with self.connection:
            number = self.connection.execute(
                "INSERT INTO mail (received_at, sender, recipient, message_id, feedback_id, subject, raw)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (received_at.isoformat(), *texts, raw),
            ).lastrowid
        assert number is not None
        return KeptMail(number, received_at, *texts)


def read_header(value: str) -> str:
    """A header's text as a person reads it; as it stands where its encoding is broken."""
    try:
        return " ".join(str(make_header(decode_header(value))).split())
    except (LookupError, UnicodeError, ValueError):
        return value


class InboxServer:
    """The SMTP server, in a thread of its own.

    `on_mail` is called in that thread after the commit and before the 250; `delay` gives the seconds a recipient's answer is held back.
    Port 0 takes a free one; `port` then says which.
    """

    def __init__(
        self,
        inbox: Inbox,
        port: int,
        *,
        on_mail: Callable[[KeptMail, bytes], None] | None = None,
        delay: Callable[[str], float] = lambda _: 0.0,
    ) -> None:
        self.port = port
        self._inbox, self._on_mail, self._delay = inbox, on_mail, delay
        self._listener: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox-smtp", daemon=True)

    def start(self) -> None:
        """Listens; raises InboxPortTakenError."""
        try:
            self._listener = socket.create_server((HOST, self.port), backlog=128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InboxPortTakenError(self.port) from None
            raise
        self.port = self._listener.getsockname()[1]
        self._thread.start()
        self._ready.wait(timeout=10)

    def stop(self) -> None:
        """Hangs up on everybody and closes the file. Safe to call twice, and before start."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout=5)

    def _run(self) -> None:
        keeper = _Keeper(self._inbox, self._on_mail, self._delay)
        asyncio.run(self._serve(keeper))
        keeper.connection.close()  # after run() has cancelled every conversation

    async def _serve(self, keeper: _Keeper) -> None:
        assert self._listener is not None
        loop = self._loop = asyncio.get_running_loop()
        conversations: weakref.WeakSet[SMTP] = weakref.WeakSet()

        def converse() -> SMTP:
            conversation = SMTP(
                keeper,
                loop=loop,
                hostname="inbox.localhost",
                ident="Sosik",
                data_size_limit=LARGEST_MAIL_BYTES,
                enable_SMTPUTF8=True,
            )
            conversations.add(conversation)
            return conversation

        server = await loop.create_server(converse, sock=self._listener)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for conversation in conversations:
            if conversation.transport is not None:
                conversation.transport.close()
        await asyncio.sleep(0)  # the transports close in the loop's next round
