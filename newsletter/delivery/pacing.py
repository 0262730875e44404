"""How many may go to a provider now: by its rate, and as long as its breaker is closed. One gate a claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from django.conf import settings

from newsletter.delivery import breaker, warmup
from newsletter.delivery.breaker import Wait
from newsletter.delivery.buckets import Bucket, take
from newsletter.delivery.fates import Fate
from newsletter.delivery.stopping import is_stopping, pause

PROBE_RECIPIENTS = (
    5  # of the batch that asks a provider behind an open breaker: few enough to lose, one more than a slip
)
_LOOK_SECONDS = 0.5  # how often a batch under way looks whether another worker was told to wait
_LEAST_PAUSE_SECONDS = 0.05  # between two takings: a commit for every single mail would cost more than the mail
_ERRORS = {Fate.DEFERRED, Fate.REFUSED, Fate.UNCERTAIN}


def may_send(provider: str) -> Wait | None:
    """None when the provider may be given a batch now, else how long to wait and why. Changes nothing, takes nothing."""
    return warmup.wait_for_tomorrow(provider) or breaker.may_send(provider)


class Gate:
    """Between one claim and one provider. Shut: hand nothing out any more; `wait` says how long and why."""

    def __init__(self, provider: str) -> None:
        self.provider = provider
        self.tomorrow = warmup.wait_for_tomorrow(provider)  # why the rest of this claim waits, where its day is used up
        self.wait, self.is_probe = (self.tomorrow, False) if self.tomorrow else breaker.enter(provider)
        self._bucket = _provider_bucket(provider)
        self._probes_left = PROBE_RECIPIENTS
        self._next_at = 0.0
        self._looked_at = self._cleared_at = time.monotonic()
        self._is_clean = False
        self._has_answers = False
        self.has_granted = False

    @property
    def is_shut(self) -> bool:
        """Whether the provider must not be asked any more by this claim."""
        return self.wait is not None

    @property
    def is_spent(self) -> bool:
        """Whether this claim has been given all it may hand out; what was given may still go."""
        return self.tomorrow is not None or (self.is_probe and self._probes_left <= 0)

    def open(self, wanted: int, *, look_anew: bool = False) -> int:
        """How many of `wanted` may go on the wire now. Asks Redis: never inside a transaction.

        `look_anew`: ask the database whether another worker has been told to wait, even if that was asked a moment ago; worth it
        before a call that takes many.
        """
        self._look(look_anew)
        if self.is_shut or self.is_spent or wanted <= 0:
            return 0
        self._next_at = 0.0
        if self.is_probe:
            wanted = min(wanted, self._probes_left)
        if self._bucket is not None and wanted:
            grant = take(self._bucket, wanted)
            if grant.count < wanted:
                self._next_at = time.monotonic() + max(grant.wait_seconds, _LEAST_PAUSE_SECONDS)
            wanted = grant.count
        if self.is_probe:
            self._probes_left -= wanted
        self.has_granted = self.has_granted or wanted > 0
        return wanted

    def open_or_wait(self, wanted: int, meanwhile: Callable[[], None]) -> int:
        """`open` for a call that takes many: waits until at least one may go. 0: shut, spent, or the process is to stop.

        `meanwhile` is called at least every half second.
        """
        while not is_stopping():
            count = self.open(wanted, look_anew=True)
            if count or self.is_shut or self.is_spent:
                return count
            pause(self.pause(_LOOK_SECONDS))
            meanwhile()
        return 0

    def reserve(self, count: int) -> int:
        """How many of those that `open` gave fit into the provider's day; in the transaction that writes them as on the wire."""
        fitting = warmup.reserve(self.provider, count)
        if fitting < count:
            self.tomorrow = warmup.wait_for_tomorrow(self.provider)
        return fitting

    def take_back(self, count: int) -> None:
        """So many were reserved and did not go on the wire; in the transaction that says so."""
        warmup.give_back(self.provider, count)

    def is_due(self) -> bool:
        """Whether `open` gave less than was wanted and would give more now."""
        return bool(self._next_at) and time.monotonic() >= self._next_at

    def pause(self, most_seconds: float) -> float:
        """Seconds until `open` may give more, at most so many."""
        if not self._next_at:
            return most_seconds
        return min(most_seconds, max(0.0, self._next_at - time.monotonic()))

    def note(self, fates: Iterable[tuple[Fate, str]], error: str = "") -> None:
        """Tells the breaker what became of messages, in their order, and of the connection itself."""
        errors, words, has_ok = 0, "", False
        for fate, said in fates:
            if fate is Fate.ACCEPTED:
                errors, has_ok = 0, True
            elif fate in _ERRORS:
                errors, words = errors + 1, said
        if error:
            errors, words = errors + 1, error
        if has_ok:
            self._note_ok()
        if errors and not (has_ok and not error):
            self._has_answers, self._is_clean = True, False
            if not breaker.note_answers(self.provider, errors=errors, words=words):
                self.wait = self.wait or breaker.may_send(self.provider)

    def note_rest(self, seconds: float) -> None:
        """The provider has answered 429 and asks for so many seconds (breaker.read_retry_after)."""
        self._has_answers = True
        breaker.note_answers(self.provider, retry_after=seconds)
        self.wait = breaker.may_send(self.provider)

    def leave(self) -> None:
        """The claim is over: a probe that found nobody to send to is due again."""
        if self.is_probe and not self._has_answers:
            breaker.return_probe(self.provider)

    def _note_ok(self) -> None:
        # Once a second is enough: the row only has to forget the errors of others, and mostly has none.
        now = time.monotonic()
        self._has_answers = True
        if self._is_clean and now - self._cleared_at < 1:
            return
        breaker.note_answers(self.provider, ok=1)
        self._is_clean, self._cleared_at = True, now

    def look(self) -> bool:
        """Whether the provider may still be asked, as the database says in this moment; for calls between two openings."""
        self._look(look_anew=True)
        return not self.is_shut

    def _look(self, look_anew: bool) -> None:
        now = time.monotonic()
        if self.is_probe or self.is_shut or not (look_anew or now - self._looked_at >= _LOOK_SECONDS):
            return
        self._looked_at = now
        self.wait = breaker.may_send(self.provider)


def _provider_bucket(provider: str) -> Bucket | None:
    found = [one.per_second for one in settings.PROVIDERS if one.name == provider]
    return Bucket(f"provider {provider}", found[0]) if found and found[0] else None
