"""The words in which a way out tells what became of one message."""

from __future__ import annotations

from enum import Enum


class Fate(Enum):
    """What became of one message."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    UNSENT = "unsent"
    FAILED = "failed"  # could not be composed; never told to a server
