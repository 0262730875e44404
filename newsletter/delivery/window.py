"""Hands a batch's messages to several connections, never past what the database knows may be on the wire.

Indices run from 0 to count. `position` says that everything below it is settled; nothing at or above `limit` is handed out. The
one who watches (the sender) moves `limit` after writing it to the database: the write comes before the mail.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator

from newsletter.delivery.fates import Fate


class Window:
    """Shared by one watcher and several connections; every method may be called from any thread."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.position = 0
        self._wake_every = 1  # settled messages between two wake-ups of the watcher
        self._limit = 0
        self._next = 0
        self._woken_at = 0
        self._returned: list[int] = []
        self._fates: dict[int, tuple[Fate, str]] = {}
        self._reported = 0
        self._closed = False
        self._workers = 0
        self.error = ""
        lock = threading.Lock()
        self._room = threading.Condition(lock)
        self._progress = threading.Condition(lock)

    # --- the connections' side ----------------------------------------------------------------------------------------

    def take(self, *, wait: bool) -> int | None:
        """The next index to send; None when there is none (wait=False: none at hand; wait=True: never again)."""
        with self._room:
            while True:
                if self._closed:
                    return None
                if self._returned:
                    return heapq.heappop(self._returned)
                if self._next < self._limit:
                    self._next += 1
                    return self._next - 1
                if not wait or (self._next >= self.count and self.position >= self.count):
                    return None
                self._room.wait()

    def settle(self, index: int, fate: Fate, words: str) -> None:
        """Records what became of `index`; an unsent one is handed out again."""
        with self._progress:
            if fate is Fate.UNSENT:
                heapq.heappush(self._returned, index)
                self._room.notify()
                return
            self._fates[index] = (fate, words)
            while self.position in self._fates and self.position < self.count:
                self.position += 1
            if self.position - self._woken_at >= self._wake_every or self.position >= self.count:
                self._woken_at = self.position
                self._progress.notify_all()
            if self.position >= self.count:
                self._room.notify_all()

    def join(self) -> None:
        """A connection begins to take."""
        with self._progress:
            self._workers += 1

    def leave(self, error: str = "") -> None:
        """A connection has ended, with the reason if it broke."""
        with self._progress:
            self._workers -= 1
            if error:
                self.error = error
            self._progress.notify_all()

    # --- the watcher's side -------------------------------------------------------------------------------------------

    def open_up_to(self, limit: int, *, wake_every: int = 1) -> None:
        """Allows everything below `limit` to go on the wire, and wakes the watcher each time so many more are settled."""
        with self._room:
            self._wake_every = max(1, wake_every)
            self._limit = max(self._limit, min(limit, self.count))
            self._room.notify_all()

    def close(self) -> None:
        """Hands nothing out any more; what is on the wire is still settled."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def has_progress(self) -> bool:
        """Says whether enough has been settled since the last report to be worth a checkpoint."""
        with self._progress:
            fresh = self.position - self._reported
            return fresh >= self._wake_every or (fresh > 0 and self.position >= self.count)

    def wait(self, seconds: float) -> bool:
        """Waits for progress, at most so long; False once every connection has ended."""
        with self._progress:
            fresh = self.position - self._reported
            if self._workers and fresh < self._wake_every and self.position < self.count:
                self._progress.wait(seconds)
            return self._workers > 0

    def settled_since(self) -> tuple[int, dict[int, tuple[Fate, str]]]:
        """The position, and the fates that were settled below it since the last call."""
        with self._progress:
            upto = self.position
            fates = {index: self._fates.pop(index) for index in range(self._reported, upto)}
            self._reported = upto
            return upto, fates

    def leftovers(self) -> Iterator[tuple[int, Fate, str]]:
        """Fates settled beyond the position, once every connection has ended."""
        with self._progress:
            return iter([(index, *self._fates[index]) for index in sorted(self._fates)])
