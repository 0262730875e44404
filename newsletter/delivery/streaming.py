"""The SMTP way out: one message after the other over kept connections, within a window the database knows of.

`reserved` is written before anything up to it may go on the wire, `position` after everything up to it is settled (ADR 4).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.db import transaction

from newsletter.delivery.claims import Claim, renew_lease
from newsletter.delivery.compose import Recipient
from newsletter.delivery.email_url import ProviderSettings
from newsletter.delivery.fates import Fate
from newsletter.delivery.recipients import load_reachable
from newsletter.delivery.recording import deliveries_of, record_fates
from newsletter.delivery.smtp_pool import start_connections
from newsletter.delivery.stopping import must_stop
from newsletter.delivery.window import Window
from newsletter.models import Delivery, Issue, Outcome

_GLANCE_SECONDS = 0.5  # how often a running batch looks whether its issue has been paused or cancelled
# Aimed at between two checkpoints: a slow server gets a small window, so a kill leaves few uncertain.
_CHECKPOINT_SECONDS = 0.05


class _Pace:
    """How many recipients may be on the wire at once: what this server takes in two checkpoints' time, within bounds."""

    def __init__(self) -> None:
        self._position = 0
        self._at = time.monotonic()
        # Each connection holds one message and opens the next.
        self._size = self._least = min(2 * settings.SMTP_CONNECTIONS, settings.SMTP_WINDOW)

    def window_size(self, position: int) -> int:
        """The size from here on, given that everything below `position` is settled by now."""
        now = time.monotonic()
        if position > self._position:
            rate = (position - self._position) / max(now - self._at, 0.001)
            fitting = int(2 * rate * _CHECKPOINT_SECONDS)
            # At most doubled at a time: one lucky burst must not open the whole window.
            self._size = max(self._least, min(fitting, 2 * self._size, settings.SMTP_WINDOW))
            self._position, self._at = position, now
        return self._size


def submit_waiting(claim: Claim, issue: Issue, provider: ProviderSettings) -> str:
    """First pass: everyone above the batch's position. Gives the error that ended it early, or an empty text."""
    ids = list(
        Delivery.objects.filter(
            issue_id=claim.issue_id,
            batch_number=claim.number,
            outcome=Outcome.WITH_BATCH,
            subscriber_id__gt=claim.position,
        )
        .order_by("subscriber_id")
        .values_list("subscriber_id", flat=True)
    )
    recipients = load_reachable(claim, ids, issue.mailing_list)
    if not recipients:
        return ""
    window = Window(len(recipients))
    pace = _Pace()

    def checkpoint() -> None:
        position, fates = window.settled_since()
        size = pace.window_size(position)
        limit = min(position + size, len(recipients))
        settled_id = recipients[position - 1].subscriber_id if position else claim.position
        with transaction.atomic():
            reserved = max(settled_id, recipients[limit - 1].subscriber_id)
            renew_lease(claim, position=settled_id, reserved=reserved, **_progress(position))
            record_fates(
                claim, recipients, ((index, *fate) for index, fate in fates.items() if fate[0] is not Fate.ACCEPTED)
            )
        window.open_up_to(limit, wake_every=size // 2)

    _run(claim, issue, provider, recipients, window, checkpoint)
    # What was settled beyond a gap is written one by one: the gap waits, its neighbours do not go again.
    with transaction.atomic():
        position, fates = window.settled_since()
        settled_id = recipients[position - 1].subscriber_id if position else claim.position
        renew_lease(claim, position=settled_id, reserved=settled_id, **_progress(position))
        record_fates(
            claim, recipients, ((index, *fate) for index, fate in fates.items() if fate[0] is not Fate.ACCEPTED)
        )
        record_fates(claim, recipients, window.leftovers())
    return window.error if window.position < window.count else ""


def submit_deferred(claim: Claim, issue: Issue, provider: ProviderSettings) -> str:
    """Second pass: those whom a server put off at an earlier claim. Called uncertain before they go on the wire."""
    rows = Delivery.objects.filter(issue_id=claim.issue_id, batch_number=claim.number, outcome=Outcome.DEFERRED)
    if claim.errors_count == 0:  # they were put off a moment ago, in this very claim
        return ""
    ids = list(rows.order_by("subscriber_id").values_list("subscriber_id", flat=True))
    recipients = load_reachable(claim, ids, issue.mailing_list)
    if not recipients:
        return ""
    with transaction.atomic():
        renew_lease(claim)
        deliveries_of(claim, [r.subscriber_id for r in recipients]).update(
            outcome=Outcome.UNCERTAIN, reason="worker stopped"
        )
    window = Window(len(recipients))
    window.open_up_to(len(recipients), wake_every=len(recipients))
    _run(claim, issue, provider, recipients, window, lambda: renew_lease(claim))
    with transaction.atomic():
        renew_lease(claim)
        _, fates = window.settled_since()
        known = [(index, *fate) for index, fate in fates.items()] + list(window.leftovers())
        record_fates(claim, recipients, known)
        unsent = set(range(len(recipients))) - {index for index, *_ in known}
        record_fates(claim, recipients, [(index, Fate.DEFERRED, window.error) for index in unsent])
    return window.error if unsent else ""


def _run(
    claim: Claim,
    issue: Issue,
    provider: ProviderSettings,
    recipients: list[Recipient],
    window: Window,
    checkpoint: Callable[[], None],
) -> None:
    """Opens the connections and watches them until all have ended; checkpoints as they go."""
    checkpoint()
    connections = start_connections(issue, provider, recipients, window)
    try:
        renewed = looked = time.monotonic()
        while window.wait(_GLANCE_SECONDS):
            now = time.monotonic()
            if now - looked >= _GLANCE_SECONDS:
                looked = now
                if must_stop(claim.issue_id):
                    window.close()
            if window.has_progress() or now - renewed > settings.LEASE_SECONDS / 3:
                checkpoint()
                renewed = now
    finally:
        window.close()
        for connection in connections:
            connection.join()


def _progress(position: int) -> dict[str, object]:
    return {"errors_count": 0, "error": ""} if position else {}
