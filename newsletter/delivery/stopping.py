"""When a batch under way stops early: this process ends, or its issue was paused or cancelled."""

from __future__ import annotations

import threading

from newsletter.models import Issue

_stopping = threading.Event()


def request_stop() -> None:
    """Lets every running batch of this process stop at its next checkpoint; it goes on where it stopped later."""
    _stopping.set()


def must_stop(issue_id: int) -> bool:
    """Whether a batch of this issue should hand nothing more out."""
    if _stopping.is_set():
        return True
    return not Issue.objects.filter(pk=issue_id, status=Issue.Status.SENDING).exists()
