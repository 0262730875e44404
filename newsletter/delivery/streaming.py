"""The SMTP way out: one message after the other over kept connections, within a window the database knows of.

`reserved` is written before anything up to it may go on the wire, `position` after everything up to it is settled (ADR 4).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from django.conf import settings
from django.db import transaction

from newsletter.delivery.claims import Claim, renew_lease
from newsletter.delivery.compose import Recipient
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import Fate
from newsletter.delivery.pacing import Gate
from newsletter.delivery.recipients import load_reachable
from newsletter.delivery.recording import deliveries_of, record_fates
from newsletter.delivery.smtp_pool import start_connections
from newsletter.delivery.stopping import must_stop
from newsletter.delivery.turns import hold_back
from newsletter.delivery.window import Window
from newsletter.models import Delivery, Issue, Outcome

_GLANCE_SECONDS = 0.5  # how often a running batch looks whether its issue has been paused or cancelled
# Aimed at between two checkpoints: a slow server gets a small window, so a kill leaves few uncertain.
_CHECKPOINT_SECONDS = 0.05


class _Pace:
    """How many recipients may be on the wire at once: what this server takes in two checkpoints' time, within bounds."""

    # By provider, the last batch's size: each batch would else begin anew with five small windows, and a commit for each.
    _reached: ClassVar[dict[str, int]] = {}

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._position = 0
        self._at = time.monotonic()
        # Each connection holds one message and opens the next.
        self._least = min(2 * settings.SMTP_CONNECTIONS, settings.SMTP_WINDOW)
        self._size = max(self._least, min(self._reached.get(provider, 0), settings.SMTP_WINDOW))

    def window_size(self, position: int) -> int:
        """The size from here on, given that everything below `position` is settled by now."""
        now = time.monotonic()
        if position > self._position:
            rate = (position - self._position) / max(now - self._at, 0.001)
            fitting = int(2 * rate * _CHECKPOINT_SECONDS)
            # At most doubled at a time: one lucky burst must not open the whole window.
            self._size = max(self._least, min(fitting, 2 * self._size, settings.SMTP_WINDOW))
            self._position, self._at = position, now
            self._reached[self._provider] = self._size
        return self._size


def submit_waiting(claim: Claim, issue: Issue, provider: ProviderSettings, gate: Gate) -> str:
    """First pass: everyone above the batch's position. Gives the error that ended it early, or an empty text."""
    recipients = hold_back(claim, load_reachable(claim, _waiting_ids(claim), issue.mailing_list))
    if not recipients:
        return ""
    window = Window(len(recipients))
    pace = _Pace(provider.name)
    opened = 0

    def checkpoint() -> None:
        nonlocal opened
        position, fates = window.settled_since()
        gate.note(fates.values())
        size = pace.window_size(position)
        limit = opened + gate.open(min(position + size, len(recipients)) - opened)
        settled_id = recipients[position - 1].subscriber_id if position else claim.position
        with transaction.atomic():
            limit = opened + gate.reserve(limit - opened)
            reserved = max(settled_id, recipients[limit - 1].subscriber_id if limit else 0)
            renew_lease(claim, position=settled_id, reserved=reserved, **_progress(position))
            _record_below(claim, recipients, fates)
        opened = limit
        window.open_up_to(limit, wake_every=min(size // 2, limit - position))
        if gate.is_shut or (gate.is_spent and position >= opened):
            window.close()

    _run(claim, issue, provider, recipients, window, checkpoint, gate)
    # What was settled beyond a gap is written one by one: the gap waits, its neighbours do not go again.
    with transaction.atomic():
        position, fates = window.settled_since()
        settled_id = recipients[position - 1].subscriber_id if position else claim.position
        renew_lease(claim, position=settled_id, reserved=settled_id, **_progress(position))
        _record_below(claim, recipients, fates)
        leftovers = list(window.leftovers())
        record_fates(claim, recipients, leftovers)
        gate.take_back(opened - position - len(leftovers))
    error = window.error if window.position < window.count else ""
    gate.note([*fates.values(), *((fate, words) for _, fate, words in leftovers)], error)
    return error


def _waiting_ids(claim: Claim) -> list[int]:
    rows = Delivery.objects.filter(
        issue_id=claim.issue_id,
        batch_number=claim.number,
        outcome=Outcome.WITH_BATCH,
        subscriber_id__gt=claim.position,
    )
    return list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))


def _record_below(claim: Claim, recipients: list[Recipient], fates: dict[int, tuple[Fate, str]]) -> None:
    """What was settled below the position: whoever was accepted needs no row of his own."""
    record_fates(claim, recipients, ((index, *fate) for index, fate in fates.items() if fate[0] is not Fate.ACCEPTED))


def submit_deferred(claim: Claim, issue: Issue, provider: ProviderSettings, gate: Gate, ids: list[int]) -> str:
    """Second pass: these people, whose turn it is (turns.py). Called uncertain before they go on the wire."""
    recipients = load_reachable(claim, ids, issue.mailing_list)
    if not recipients:
        return ""
    with transaction.atomic():
        renew_lease(claim)
        recipients = recipients[: gate.reserve(len(recipients))]
        deliveries_of(claim, [r.subscriber_id for r in recipients]).update(
            outcome=Outcome.UNCERTAIN, reason="worker stopped"
        )
    if not recipients:
        return ""
    window = Window(len(recipients))
    window.open_up_to(len(recipients), wake_every=len(recipients))
    _run(claim, issue, provider, recipients, window, lambda: renew_lease(claim), gate)
    with transaction.atomic():
        renew_lease(claim)
        _, fates = window.settled_since()
        known = [(index, *fate) for index, fate in fates.items()] + list(window.leftovers())
        record_fates(claim, recipients, known)
        unsent = set(range(len(recipients))) - {index for index, *_ in known}
        record_fates(claim, recipients, [(index, Fate.DEFERRED, window.error) for index in unsent])
        gate.take_back(len(unsent))
    error = window.error if unsent else ""
    gate.note([(fate, words) for _, fate, words in known], error)
    return error


def _run(
    claim: Claim,
    issue: Issue,
    provider: ProviderSettings,
    recipients: list[Recipient],
    window: Window,
    checkpoint: Callable[[], None],
    gate: Gate,
) -> None:
    """Opens the connections and watches them until all have ended; checkpoints as they go."""
    connections = start_connections(
        issue, provider, recipients, window
    )  # they open while the first checkpoint is written
    try:
        checkpoint()
        renewed = looked = time.monotonic()
        while window.wait(gate.pause(_GLANCE_SECONDS)):
            now = time.monotonic()
            if now - looked >= _GLANCE_SECONDS:
                looked = now
                if must_stop(claim.issue_id):
                    window.close()
            if window.has_progress() or gate.is_due() or now - renewed > settings.LEASE_SECONDS / 3:
                checkpoint()
                renewed = now
    finally:
        window.close()
        for connection in connections:
            connection.join()


def _progress(position: int) -> dict[str, int | str]:
    return {"errors_count": 0, "error": ""} if position else {}
