"""One call a reader, several at once: for providers that take no batch, or none with each reader's own headers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from newsletter.delivery.doubt import UNANSWERED
from newsletter.delivery.esp_call import Answer, CallResult
from newsletter.delivery.fates import Fate
from newsletter.delivery.merge_template import Letter

SUSPECTS = 3  # readers refused one by one, without anybody taken, before we believe that it is not the readers
_ENDING = {Answer.LATER, Answer.CLOSED, Answer.UNKNOWN, Answer.MISMATCHED}


class _Round:
    """Letters handed out to several threads, each with a session of its own, until one of them meets more than a reader's affair."""

    def __init__(self, letters: list[Letter], *, is_proven: bool) -> None:
        self.letters = letters
        self.results: dict[int, CallResult] = {}
        self.taken = 0  # how many have been handed out
        self.is_proven = is_proven
        self.running = 0
        self._is_over = False
        self._changed = threading.Condition()

    def work(self, open_session: Callable[[], Any], call: Callable[[Any, Letter], CallResult]) -> None:
        """One thread's life."""
        try:
            with closing(open_session()) as session:
                while (index := self._take()) is not None:
                    self._note(index, call(session, self.letters[index]))
        finally:
            with self._changed:
                self.running -= 1
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Waits for news, at most so long."""
        with self._changed:
            if self.running:
                self._changed.wait(seconds)

    def end(self) -> None:
        """Hands nothing out any more."""
        with self._changed:
            self._is_over = True

    def _take(self) -> int | None:
        with self._changed:
            if self._is_over or self.taken == len(self.letters):
                return None
            self.taken += 1
            return self.taken - 1

    def _note(self, index: int, result: CallResult) -> None:
        with self._changed:
            self.results[index] = result
            self.is_proven = self.is_proven or any(fate is Fate.ACCEPTED for fate, _words in result.fates.values())
            refused = sum(one.answer is Answer.REFUSED for one in self.results.values())
            self._is_over |= result.answer in _ENDING or (refused >= SUSPECTS and not self.is_proven)
            self._changed.notify_all()


def call_each(
    letters: list[Letter],
    open_session: Callable[[], Any],
    call: Callable[[Any, Letter], CallResult],
    *,
    at_once: int,
    is_proven: bool,
    seconds: float,
    while_waiting: Callable[[], object],
    may_go_on: Callable[[], bool],
) -> CallResult:
    """Calls for each letter, and gives the fates of those who were reached; the others wait. Ends early at a refusal of us all.

    `seconds` without any answer end it, too: the calls under way are then uncertain. So does `while_waiting` by giving False: those
    are waited for. `is_proven` says that the provider has taken others of the issue, so that what it refuses is a reader's affair.
    `may_go_on` is asked at every answer: another worker may have been told to wait.
    """
    calls = _Round(letters, is_proven=is_proven)
    calls.running = min(at_once, len(letters))
    for number in range(calls.running):
        target, name = calls.work, f"single-call-{number}"
        threading.Thread(target=target, args=(open_session, call), name=name, daemon=True).start()
    try:
        _watch(calls, seconds, while_waiting, may_go_on)
    finally:
        calls.end()  # also when the lease is lost: somebody else may call for these readers now
    return _sum_up(calls)


def _watch(calls: _Round, seconds: float, while_waiting: Callable[[], object], may_go_on: Callable[[], bool]) -> None:
    """Waits until every thread has ended, or none has answered for so long."""
    heard_at = waited_at = time.monotonic()
    glance, count = min(1.0, seconds / 10), 0
    while calls.running and time.monotonic() - heard_at < seconds:
        calls.wait(glance)
        now = time.monotonic()
        if now - waited_at >= glance:
            waited_at = now
            if while_waiting() is False:
                calls.end()  # the calls under way are waited for
        if len(calls.results) > count:
            count, heard_at = len(calls.results), now
            if not may_go_on():
                calls.end()


def _sum_up(calls: _Round) -> CallResult:
    fates: dict[str, tuple[Fate, str]] = {}
    ending = CallResult(Answer.TAKEN)
    refusal = ""
    for index, letter in enumerate(calls.letters[: calls.taken]):
        address = letter.recipient.address
        result = calls.results.get(index) or CallResult(Answer.UNKNOWN, words=UNANSWERED)
        match result.answer:
            case Answer.TAKEN:
                fates |= result.fates
            case Answer.REFUSED:
                fates[address] = (Fate.REFUSED, result.words)
                refusal = result.words
            case Answer.UNKNOWN | Answer.MISMATCHED:
                fates[address] = (Fate.UNCERTAIN, UNANSWERED)
                ending = ending if ending.words else CallResult(Answer.LATER, words=result.words or UNANSWERED)
            case Answer.LATER | Answer.CLOSED:
                ending = result
    if refusal and not calls.is_proven:  # not one was taken: it is not known to be the readers
        told = {address: one for address, one in fates.items() if one[0] is not Fate.REFUSED}
        return CallResult(Answer.CLOSED, told, refusal)
    if ending.answer is Answer.TAKEN and calls.taken < len(calls.letters):
        return CallResult(Answer.LATER, fates)
    return CallResult(ending.answer, fates, ending.words, ending.retry_after)
