"""What is said on one SMTP connection: one reader after another, the next envelope pipelined behind the last body.

One write carries "end of this body, MAIL, RCPT, DATA of the next" (RFC 2920 allows the body to open a group), so a message costs
one round trip. A server without PIPELINING is spoken to step by step. Nothing here touches a socket: a generator says what to write
and asks for replies, so the same words serve every way of driving a connection.

What became of a message is told in one word (Fate). "Uncertain" is said only where nobody can know: the closing dot was handed to the
network and no answer came back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from newsletter.delivery.fates import Fate
from newsletter.delivery.smtp import ConnectionLostError, Envelope, Reply, SmtpRefusedError

Steps = Generator[bytes | None, Reply | None, None]  # bytes: write them; None: send me the next reply
_Opening = Generator[bytes | None, Reply | None, Reply | None]


class Traits(Protocol):
    """What the server offers."""

    pipelining: bool
    eight_bit: bool
    utf8_addresses: bool


class Conversation:
    """Delivers what `take_next` gives until it has nothing at hand, telling `settle` the fate of each.

    When the driver throws ConnectionLostError into `steps`, whatever the connection held is settled before it is raised again.
    The driver keeps `unwritten` up to date: how many bytes of the last write the kernel has not taken yet.
    """

    def __init__(
        self,
        traits: Traits,
        take_next: Callable[[], Envelope | None],
        settle: Callable[[int, Fate, str], None],
    ) -> None:
        self.unwritten = 0
        self._traits = traits
        self._take_next = take_next
        self._settle = settle
        self._current: Envelope | None = None
        self._following: Envelope | None = None
        self._in_body = False
        self._behind_body = 0  # bytes of the last write that follow the closing dot
        self._options = " BODY=8BITMIME" if traits.eight_bit else ""

    def steps(self, first: Envelope) -> Steps:
        """The conversation from `first` on; ends when nothing more is at hand."""
        try:
            yield from self._deliver(first)
        except BaseException as error:  # an error of our own, too: what is on the wire must not count as unsent
            if self._current is not None:
                self._settle(self._current.key, self._fate_of_current(), str(error))
            if self._following is not None:
                self._settle(self._following.key, Fate.UNSENT, str(error))
            raise

    def _fate_of_current(self) -> Fate:
        if not self._in_body:
            return Fate.UNSENT
        if self.unwritten > self._behind_body:
            # Without its closing dot no server takes a mail. Not "unsent": if this very mail makes the server hang up, its
            # neighbours must go first.
            return Fate.DEFERRED
        return Fate.UNCERTAIN

    def _deliver(self, first: Envelope) -> Steps:
        current = self._current = first if self._can_address(first) else self._next()
        refusal = (yield from self._open_envelope(b"", current)) if current else None
        while current is not None:
            if refusal is not None:
                self._settle(current.key, _fate(refusal), str(refusal))
                current = self._current = self._next()
                if current is not None:
                    refusal = yield from self._open_envelope(b"RSET\r\n", current)
                else:  # the connection is kept: its next MAIL must not find this one open
                    yield b"RSET\r\n"
                    yield None
                continue
            following = self._following = self._next() if self._traits.pipelining else None
            commands = self._commands(following) if following else b""
            self._in_body, self._behind_body = True, len(commands)
            yield current.payload + commands
            reply = yield None
            assert reply is not None
            _check_kind(reply, 2)
            self._settle(current.key, _fate(reply), str(reply))
            self._in_body = False
            current, self._current, self._following = following, following, None
            _check_open(reply)
            if current is not None:
                refusal = yield from self._read_envelope_replies()
            else:
                current = self._current = self._next()
                refusal = (yield from self._open_envelope(b"", current)) if current else None

    def _next(self) -> Envelope | None:
        while (envelope := self._take_next()) is not None:
            if self._can_address(envelope):
                return envelope
        return None

    def _can_address(self, envelope: Envelope) -> bool:
        if self._traits.utf8_addresses or envelope.recipient.isascii():
            return True
        self._settle(envelope.key, Fate.REFUSED, "the server takes no address outside ASCII (SMTPUTF8)")
        return False

    def _commands(self, envelope: Envelope) -> bytes:
        options = self._options if envelope.recipient.isascii() else self._options + " SMTPUTF8"
        return f"MAIL FROM:<{envelope.sender}>{options}\r\nRCPT TO:<{envelope.recipient}>\r\nDATA\r\n".encode()

    def _open_envelope(self, reset: bytes, envelope: Envelope) -> _Opening:
        """Speaks the envelope; None when the server waits for the body, else the answer that refused it."""
        commands = self._commands(envelope)
        if self._traits.pipelining:
            yield reset + commands
            if reset:
                yield None
            return (yield from self._read_envelope_replies())
        for line in (reset + commands).splitlines(keepends=True):
            yield line
            reply = yield None
            assert reply is not None
            _check_open(reply)
            _check_kind(reply, 3 if line.startswith(b"DATA") else 2)
            if line.startswith(b"MAIL"):
                _check_sender(reply)
            if not reply.ok:
                return reply
        return None

    def _read_envelope_replies(self) -> _Opening:
        mail = yield None
        assert mail is not None
        _check_open(mail)
        rcpt = yield None
        assert rcpt is not None
        _check_open(rcpt)
        data = yield None
        assert data is not None
        if mail.code == rcpt.code == 250 and data.code == 354:  # as it nearly always is
            return None
        _check_open(data)
        _check_sender(mail)
        for reply, kind in ((mail, 2), (rcpt, 2), (data, 3)):
            _check_kind(reply, kind)
        refusal = None if rcpt.ok else rcpt
        if data.code == 354:
            if refusal is None:
                return None
            # A server that opens DATA though it refused the recipient: close it with nothing in it.
            yield b".\r\n"
            yield None
        return refusal or data


def _check_open(reply: Reply) -> None:
    if reply.code == 421:  # the server says that it closes the connection
        raise ConnectionLostError(str(reply))


def _check_kind(reply: Reply, kind: int) -> None:
    # One answer too many would shift all that follow: a 250 in DATA's place would pass for a mail that was never sent.
    if reply.ok and reply.code // 100 != kind:
        raise ConnectionLostError(f"the server answered out of turn: {reply}")


def _check_sender(reply: Reply) -> None:
    # Refused for our sake, not the reader's: nobody must be marked as rejected or put off for that.
    if reply.code >= 500:
        raise SmtpRefusedError(f"our sender address was refused: {reply}")
    if reply.code >= 400:  # for instance "too many messages in this connection": another one may have better luck
        raise ConnectionLostError(f"our sender address was put off: {reply}")


def _fate(reply: Reply) -> Fate:
    if reply.ok:
        return Fate.ACCEPTED
    return Fate.REFUSED if reply.code >= 500 else Fate.DEFERRED
