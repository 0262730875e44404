"""One thread that drives all connections of a batch, so that they never wait for each other or for Python's lock.

With a thread for each connection, 2,000 mails cost 3,800 context switches; now 2,100. Connections are opened, greeted and logged in by
helper threads, since a server may take its time over that; then they come here and never block again.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

from newsletter.delivery.conversation import Conversation, Steps
from newsletter.delivery.fates import Fate
from newsletter.delivery.smtp import ConnectionLostError, Envelope, Reply, SmtpRefusedError, SmtpSession

_LOOK_SECONDS = 0.02  # how soon a connection without work sees that the window has opened, while others are busy
_OPENING_LOOK_SECONDS = 0.5


class Work(Protocol):
    """What the crew delivers, and whom it tells."""

    def take(self, session: SmtpSession) -> Envelope | None:
        """The next message, if one may go now."""
        ...

    def wait(self) -> bool:
        """Waits until a message may go; False when none ever will."""
        ...

    def is_over(self) -> bool:
        """Says whether no further connection is worth opening."""
        ...

    def settle(self, key: int, fate: Fate, words: str) -> None:
        """Takes note of one message's fate."""
        ...


class _Line:
    """One connection at work."""

    def __init__(self, session: SmtpSession, work: Work) -> None:
        self.session = session
        self.has_served = False
        self.steps: Steps | None = None  # None: without work
        self.unwritten = memoryview(b"")
        self.deadline = 0.0
        self.events = 0

        def settle(key: int, fate: Fate, words: str) -> None:
            self.has_served |= fate in (Fate.ACCEPTED, Fate.REFUSED)
            work.settle(key, fate, words)

        self.conversation = Conversation(session, lambda: work.take(session), settle)


class Crew:
    """Opens up to `size` connections and delivers until the work is done or no connection is left.

    A connection that broke after it had served is replaced; one that never served is not, so a server in trouble is not hammered.
    """

    def __init__(
        self,
        size: int,
        work: Work,
        open_session: Callable[[], SmtpSession],
        keep_session: Callable[[SmtpSession], None],
    ) -> None:
        self._size, self._work = size, work
        self._open_session, self._keep_session = open_session, keep_session
        self._opening = 0
        self._opened: queue.SimpleQueue[SmtpSession | BaseException] = queue.SimpleQueue()
        self._lines: set[_Line] = set()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._error = ""
        self._is_ending = False

    def run(self) -> str:
        """Delivers; gives the reason why the last connection that broke did so, or an empty text."""
        self._selector.register(self._ear, selectors.EVENT_READ)
        try:
            for _ in range(self._size):
                self._open()
            while self._lines or self._opening:
                if not self._employ():
                    break
                self._turn()
        finally:
            self._disband()
        return self._error

    # --- connections --------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._opening += 1
        threading.Thread(target=self._greet, name="smtp-open", daemon=True).start()

    def _greet(self) -> None:
        """In a thread of its own: the only place where the crew waits for one server."""
        try:
            self._opened.put(self._open_session())
        except Exception as error:  # must reach the batch, not vanish with the thread
            self._opened.put(error)
        with contextlib.suppress(OSError):  # the crew has disbanded: it empties the queue itself
            self._bell.send(b"!")

    def _welcome(self) -> None:
        self._ear.recv(4096)
        while not self._opened.empty():
            found = self._opened.get()
            self._opening -= 1
            if isinstance(found, SmtpSession):
                found.socket.setblocking(False)
                self._lines.add(_Line(found, self._work))
            elif isinstance(found, ConnectionLostError | SmtpRefusedError):
                self._error = str(found)
            else:
                raise found

    def _lose(self, line: _Line, error: Exception) -> None:
        self._watch(line, 0)
        self._lines.discard(line)
        line.session.close()
        if isinstance(error, ConnectionLostError) and line.has_served and not self._is_ending:
            if not self._work.is_over():
                self._open()
            return
        self._error = str(error)

    def _disband(self) -> None:
        """Keeps the connections that are in order for the next batch; those that were still being opened, too."""
        self._is_ending = True
        for line in list(self._lines):
            if (
                line.steps is not None
            ):  # only when something of ours broke: what is on the wire must not count as unsent
                self._fail(line, ConnectionLostError("stopped by an error of Sosik's own"))
                continue
            self._keep_session(line.session)
        self._selector.close()
        self._ear.close()
        self._bell.close()
        if self._opening:
            threading.Thread(target=self._await_latecomers, args=(self._opening,), daemon=True).start()

    def _await_latecomers(self, count: int) -> None:
        for _ in range(count):
            found = self._opened.get()
            if isinstance(found, SmtpSession):
                self._keep_session(found)

    # --- work ---------------------------------------------------------------------------------------------------------

    def _employ(self) -> bool:
        """Gives work to whoever has none; False when nothing is under way and nothing will ever be."""
        idle = [line for line in self._lines if line.steps is None]
        for line in idle:
            envelope = self._work.take(line.session)
            if envelope is None:
                break
            line.steps = line.conversation.steps(envelope)
            self._advance(line, None)
        if not self._lines:
            return not self._work.is_over()
        return any(line.steps for line in self._lines) or self._work.wait()

    def _turn(self) -> None:
        """Waits for the next thing to happen on any connection, and goes on there."""
        busy = [line for line in self._lines if line.steps is not None]
        if not busy and self._lines:
            return  # there is work: the next round gives it out
        seconds = _OPENING_LOOK_SECONDS
        if busy:
            seconds = max(0.0, min(line.deadline for line in busy) - time.monotonic())
            if len(busy) < len(self._lines):
                seconds = min(seconds, _LOOK_SECONDS)
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._welcome()
            else:
                self._hear(key.data)
        now = time.monotonic()
        for line in busy:
            if line.deadline <= now and line.steps is not None and line in self._lines:
                self._fail(line, ConnectionLostError("no answer: timed out"))

    def _hear(self, line: _Line) -> None:
        try:
            if line.unwritten:
                line.unwritten = line.session.write_some(line.unwritten)
                line.conversation.unwritten = len(line.unwritten)
                if not line.unwritten:
                    self._advance(line, None)
                return
            line.session.read_some()
            reply = line.session.next_reply()
        except ConnectionLostError as error:
            self._fail(line, error)
            return
        if reply is not None:
            self._advance(line, reply)

    def _advance(self, line: _Line, reply: Reply | None) -> None:
        """Goes on with the conversation until it has to wait for the network."""
        assert line.steps is not None
        try:
            while True:
                data = line.steps.send(reply)
                reply = None
                if data is not None:
                    line.conversation.unwritten = len(data)
                    line.unwritten = line.session.write_some(memoryview(data))
                    line.conversation.unwritten = len(line.unwritten)
                    if line.unwritten:
                        self._await(line, selectors.EVENT_WRITE)
                        return
                    continue
                reply = line.session.next_reply()
                if reply is None:
                    self._await(line, selectors.EVENT_READ)
                    return
        except StopIteration:
            line.steps = None
            self._watch(line, 0)
        except SmtpRefusedError as error:
            self._lose(line, error)
        except ConnectionLostError as error:
            self._fail(line, error)

    def _fail(self, line: _Line, error: ConnectionLostError) -> None:
        """Lets the conversation settle what it held, and gives the connection up."""
        steps, line.steps = line.steps, None
        if steps is not None:
            with contextlib.suppress(ConnectionLostError, StopIteration):
                steps.throw(error)
        self._lose(line, error)

    def _await(self, line: _Line, events: int) -> None:
        # The whole write, or the whole reply, by then: a server could give one byte a second for an hour.
        line.deadline = time.monotonic() + line.session.server.timeout_seconds
        self._watch(line, events)

    def _watch(self, line: _Line, events: int) -> None:
        if events == line.events:
            return
        if not events:
            self._selector.unregister(line.session.socket)
        elif line.events:
            self._selector.modify(line.session.socket, events, line)
        else:
            self._selector.register(line.session.socket, events, line)
        line.events = events
