"""The demo's own books, kept at the receiving end: who got which issue how often, and what readers and provider did about it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ledger:
    """One issue as the world saw it. An action is entered once the web server has answered it, never before."""

    received: Counter[str] = field(default_factory=Counter)  # address -> mails
    message_ids: set[str] = field(default_factory=set)
    first_mail_id: int = 0  # in the inbox
    first_at: float = 0.0  # time.monotonic() of the first and the last mail
    last_at: float = 0.0
    delivered: set[str] = field(default_factory=set)
    bounced: set[str] = field(default_factory=set)
    deferred: set[str] = field(default_factory=set)
    complained: set[str] = field(default_factory=set)
    unsubscribed: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    machine_opened: set[str] = field(default_factory=set)
    clicked: set[str] = field(default_factory=set)
    machine_clicked: set[str] = field(default_factory=set)

    @property
    def gone(self) -> set[str]:
        """Who must not get another mail."""
        return self.bounced | self.complained | self.unsubscribed

    @property
    def duplicates(self) -> dict[str, int]:
        """Who got it more than once, and how often."""
        return {address: count for address, count in self.received.items() if count > 1}


class Books:
    """A ledger for each issue, by the number its mails carry in Feedback-ID; from any thread."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self._lock = threading.Lock()
        self.troubles: list[str] = []  # actions that were refused or never answered, without addresses

    def of(self, issue: str) -> Ledger:
        """The ledger of an issue; empty at first."""
        with self._lock:
            return self._ledgers.setdefault(issue, Ledger())

    def issues(self) -> set[str]:
        """Every issue that any mail has named."""
        with self._lock:
            return set(self._ledgers)

    def enter_mail(self, issue: str, address: str, *, mail_id: int, message_id: str, at: float) -> None:
        """One accepted mail."""
        ledger = self.of(issue)
        with self._lock:
            if not ledger.received:
                ledger.first_mail_id, ledger.first_at = mail_id, at
            ledger.received[address] += 1
            ledger.message_ids.add(message_id)
            ledger.last_at = at

    def enter(self, issue: str, page: str, address: str) -> None:
        """One answered action: `page` is the ledger's field for it."""
        ledger = self.of(issue)
        with self._lock:
            getattr(ledger, page).add(address)

    def enter_trouble(self, what: str) -> None:
        """One action that did not go through."""
        with self._lock:
            self.troubles.append(what)


def issue_number(feedback_id: str) -> str:
    """The issue a mail names in its Feedback-ID (`12:list:issue:sosik`); empty when it has none."""
    return feedback_id.partition(":")[0].strip()
