"""The words in which a way out tells what became of one message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What became of one message."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    UNSENT = "unsent"
    FAILED = "failed"  # could not be composed; never told to a server


@dataclass(frozen=True, slots=True)
class Ended:
    """How a way out ended. `error`: what ended it early. `pause_seconds`: when the server wants to be asked again, if it said so.
    `stop_reason`: why nothing more of the issue should be tried before a person has looked.
    """

    error: str = ""
    pause_seconds: float | None = None
    stop_reason: str = ""


class NotTakenError(OSError):
    """A server or provider has surely not taken a mail. An OSError, as connections raise: who handles those handles this."""
