"""What a rehearsal found: a table for people, the same in JSON for machines."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from wcwidth import wcswidth

from newsletter.tracking.stats import BalanceSheet

_SHEET_ROWS = (
    ("audience", "audience"),
    ("submitted", "  submitted"),
    ("skipped", "  skipped"),
    ("rejected", "  rejected"),
    ("failed", "  failed"),
    ("uncertain", "  uncertain"),
    ("waiting", "  waiting"),
    ("delivered", "delivered"),
    ("hard_bounces", "hard bounces"),
    ("soft_bounces", "soft bounces"),
    ("complaints", "complaints"),
    ("unsubscribes", "unsubscribes"),
    ("opens", "opened (people)"),
    ("machine_opens", "opened (machines)"),
    ("clicks", "clicked (people)"),
    ("machine_clicks", "clicked (machines)"),
)
_INBOX_ROWS = (
    ("expected", "expected in the inbox"),
    ("received", "received"),
    ("missing", "missing"),
    ("duplicates", "duplicates"),
    ("unexpected", "unexpected"),
    ("kills", "kills while sending"),
)


@dataclass(frozen=True, slots=True)
class IssueResult:
    """One issue: Sosik's own accounts beside what the inbox counted; `mistakes` is empty when they agree."""

    slug: str
    subject: str
    sheet: BalanceSheet
    expected: int
    received: int
    missing: int
    duplicates: int
    unexpected: int
    kills: int
    seconds: float  # from the first mail to the last, as the inbox saw them, restarts after kills included
    mistakes: tuple[str, ...]

    @property
    def recipients_per_second(self) -> float:
        """How fast the mails arrived; 0 when there were too few to tell."""
        return self.received / self.seconds if self.seconds > 0 and self.received > 1 else 0.0


@dataclass(slots=True)
class Report:
    """The whole rehearsal."""

    subscribers: int
    seed: int
    processes: str
    issues: list[IssueResult] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)  # those of no single issue

    @property
    def is_right(self) -> bool:
        """Whether every expected mail arrived exactly once and every account agrees."""
        return bool(self.issues) and not self.mistakes and not any(issue.mistakes for issue in self.issues)

    def write_json(self) -> str:
        """The same for machines."""
        issues: list[dict[str, Any]] = [
            asdict(issue) | {"recipients_per_second": round(issue.recipients_per_second, 1)} for issue in self.issues
        ]
        body = {
            "right": self.is_right,
            "subscribers": self.subscribers,
            "seed": self.seed,
            "processes": self.processes,
            "python": platform.python_version(),
            "issues": issues,
            "mistakes": self.mistakes,
        }
        return json.dumps(body, ensure_ascii=False, indent=2) + "\n"

    def write_table(self) -> str:
        """One column an issue, one row a figure, and below it what is wrong."""
        rows = [["", *(_shorten(issue.subject, 22) for issue in self.issues)]]
        rows += [[name, *(f"{getattr(issue.sheet, key):,}" for issue in self.issues)] for key, name in _SHEET_ROWS]
        rows += [["adds up", *("yes" if issue.sheet.adds_up else "NO" for issue in self.issues)], []]
        rows += [[name, *(f"{getattr(issue, key):,}" for issue in self.issues)] for key, name in _INBOX_ROWS]
        rows += [
            ["seconds", *(f"{issue.seconds:,.1f}" for issue in self.issues)],
            ["recipients per second", *(f"{issue.recipients_per_second:,.0f}" for issue in self.issues)],
        ]
        lines = _align(rows)
        for issue in self.issues:
            lines += [f"WRONG  {issue.slug}: {mistake}" for mistake in issue.mistakes]
        lines += [f"WRONG  {mistake}" for mistake in self.mistakes]
        lines.append(self._verdict())
        return "\n".join(lines) + "\n"

    def _verdict(self) -> str:
        if not self.is_right:
            return "The demo has failed."
        missing = sum(issue.missing for issue in self.issues)
        if not missing:
            return "Every mail arrived once, and all accounts balance."
        return f"No mail arrived twice, the {missing} missing ones are listed as uncertain, and all accounts balance."


def _align(rows: list[list[str]]) -> list[str]:
    columns = max(map(len, rows))
    widths = [max(_width(row[index]) for row in rows if index < len(row)) for index in range(columns)]
    return ["  ".join(_pad(cells, widths)).rstrip() for cells in rows]


def _pad(cells: list[str], widths: list[int]) -> Iterable[str]:
    for index, (cell, width) in enumerate(zip(cells, widths, strict=False)):
        room = " " * (width - _width(cell))
        yield cell + room if index == 0 else room + cell


def _shorten(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text.rstrip() + "…"


def _width(text: str) -> int:
    """Columns on a terminal: a Korean character takes two."""
    return max(wcswidth(text), 0)
